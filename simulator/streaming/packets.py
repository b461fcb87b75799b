"""Binary packets of Dhan's market feed v2, byte for byte, written independently of our own reader
of them.

All numbers are little-endian; every packet starts with the eight-byte header of `HEADER_FIELDS`,
whose length includes it. Prices are 32-bit floats in rupees. Last trade time is Indian clock time
encoded as if it were UTC: 19,800 seconds more than the true epoch, unless `Encoded` is told
otherwise. Source: Dhan, Live Market Feed, and captures named in the project's Dhan reference.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId, Segment
from schemas.units import PAISE_PER_RUPEE, Price
from simulator.market import depth, ladder
from simulator.market.tape import Prints

IST_OFFSET_SECONDS: Final = 19_800
# the field has 16 bits; what Dhan sends above is unknown, we send the largest
MAX_LAST_QUANTITY: Final = 65_535
DEPTH_LEVELS: Final = depth.LEVELS

Packets = npt.NDArray[np.void]


class Mode(IntEnum):
    """How much an instrument's packets tell; the value is the packet's response code."""

    TICKER = 2
    QUOTE = 4
    FULL = 8


class Reason(IntEnum):
    """Why the server disconnects (annexure, data API errors)."""

    SERVER_ERROR = 800
    TOO_MANY_INSTRUMENTS = 804
    TOO_MANY_CONNECTIONS = 805
    NOT_SUBSCRIBED = 806
    TOKEN_EXPIRED = 807
    AUTHENTICATION_FAILED = 808
    TOKEN_INVALID = 809
    CLIENT_ID_INVALID = 810
    BAD_EXPIRY = 811
    BAD_DATE = 812
    BAD_SECURITY_ID = 813
    BAD_REQUEST = 814


_OPEN_INTEREST: Final = 5
_PREVIOUS_CLOSE: Final = 6
_MARKET_STATUS: Final = 7
_DISCONNECT: Final = 50

_HEADER_FIELDS: Final = [
    ("code", "u1"),
    ("length", "<u2"),
    ("segment", "u1"),
    ("security_id", "<u4"),
]
_LEVEL: Final = np.dtype(
    [
        ("bid_quantity", "<u4"),
        ("ask_quantity", "<u4"),
        ("bid_orders", "<u2"),
        ("ask_orders", "<u2"),
        ("bid_price", "<f4"),
        ("ask_price", "<f4"),
    ]
)
_TRADE_FIELDS: Final = [
    ("price", "<f4"),
    ("last_quantity", "<u2"),
    ("last_trade_time", "<u4"),
    ("average_price", "<f4"),
    ("volume", "<u4"),
    ("sell_quantity", "<u4"),
    ("buy_quantity", "<u4"),
]
# Not OHLC: Dhan's order is open, close, high, low; `close` is the previous session's while the
# market is open.
_DAY_FIELDS: Final = [("open", "<f4"), ("close", "<f4"), ("high", "<f4"), ("low", "<f4")]
_INTEREST_FIELDS: Final = [
    ("open_interest", "<u4"),
    ("interest_high", "<u4"),
    ("interest_low", "<u4"),
]

TICKER: Final = np.dtype([*_HEADER_FIELDS, ("price", "<f4"), ("last_trade_time", "<u4")])
OPEN_INTEREST: Final = np.dtype([*_HEADER_FIELDS, ("open_interest", "<u4")])
QUOTE: Final = np.dtype([*_HEADER_FIELDS, *_TRADE_FIELDS, *_DAY_FIELDS])
FULL: Final = np.dtype(
    [
        *_HEADER_FIELDS,
        *_TRADE_FIELDS,
        *_INTEREST_FIELDS,
        *_DAY_FIELDS,
        ("depth", _LEVEL, (DEPTH_LEVELS,)),
    ]
)

_SMALL_HEADER: Final = "<BHBI"
_TRADE_TIME_AT: Final[Mapping[int, int]] = {
    code: layout.fields["last_trade_time"][1]
    for code, layout in ((Mode.TICKER, TICKER), (Mode.QUOTE, QUOTE), (Mode.FULL, FULL))
    if layout.fields is not None
}


def ticker(prints: Prints, offset: int = IST_OFFSET_SECONDS) -> Packets:
    """One Ticker packet (16 bytes) for each print.

    `offset` is what is added to the true epoch, in all packets.
    """
    packets = _headed(TICKER, Mode.TICKER, prints)
    packets["price"] = _rupees(prints["price"])
    packets["last_trade_time"] = prints["second"] + offset
    return packets


def quote(prints: Prints, offset: int = IST_OFFSET_SECONDS) -> Packets:
    """One Quote packet (50 bytes) for each print."""
    packets = _headed(QUOTE, Mode.QUOTE, prints)
    _fill_day(packets, prints, offset)
    return packets


def full(prints: Prints, offset: int = IST_OFFSET_SECONDS) -> Packets:
    """One Full packet (162 bytes) for each print, with the five best levels around it."""
    packets = _headed(FULL, Mode.FULL, prints)
    _fill_day(packets, prints, offset)
    for name in ("open_interest", "interest_high", "interest_low"):
        # its extremes of the day are not kept: they are the present one
        packets[name] = prints["open_interest"]
    _fill_depth(packets["depth"], prints)
    return packets


def open_interest(prints: Prints) -> Packets:
    """One OI packet (12 bytes) for each print.

    In Quote mode it comes beside the Quote of a derivative.
    """
    packets = _headed(OPEN_INTEREST, _OPEN_INTEREST, prints)
    packets["open_interest"] = prints["open_interest"]
    return packets


_ENCODERS: Final[Mapping[Mode, Callable[[Prints, int], Packets]]] = {
    Mode.TICKER: ticker,
    Mode.QUOTE: quote,
    Mode.FULL: full,
}


class Encoded:
    """Packets of a tape, made a window ahead.

    One call of numpy costs as much for one print as for thousands. With `true_utc` the trade times
    are honest epochs, which Dhan's are not: whoever converts both ways is caught.
    """

    WINDOW: Final = 4_096  # prints; 0.7 MB of Full packets

    def __init__(self, prints: Prints, *, true_utc: bool = False) -> None:
        self._prints = prints
        self._offset = 0 if true_utc else IST_OFFSET_SECONDS
        self._windows: dict[Mode, tuple[int, Packets]] = {}

    def packets(self, mode: Mode, place: slice) -> Packets:
        """The packets of the prints at `place`."""
        first, window = self._windows.get(mode, (0, _NOTHING))
        if not first <= place.start <= place.stop <= first + len(window):
            first = place.start
            window = _ENCODERS[mode](
                self._prints[first : max(place.stop, first + self.WINDOW)], self._offset
            )
            self._windows[mode] = first, window
        return window[place.start - first : place.stop - first]


_NOTHING: Final[Packets] = np.zeros(0, TICKER)


def previous_close(instrument: InstrumentId, price: Price, interest: int = 0) -> bytes:
    """The packet that follows a subscription: yesterday's close and open interest."""
    header = (_PREVIOUS_CLOSE, 16, instrument.segment.code, instrument.security_id)
    return struct.pack(_SMALL_HEADER + "fI", *header, price / PAISE_PER_RUPEE, interest)


def market_status(segment: Segment) -> bytes:
    """The market of `segment` opened or closed.

    Dhan has not published a payload; the header alone is what clients read.
    """
    return struct.pack(_SMALL_HEADER, _MARKET_STATUS, 8, segment.code, 0)


def strange(code: int) -> bytes:
    """A packet without a body: 0 is a heartbeat, most other codes are unknown to anybody."""
    return struct.pack(_SMALL_HEADER, code, 8, 0, 0)


def disconnect(reason: int) -> bytes:
    """The server's last word before it closes."""
    return struct.pack(_SMALL_HEADER + "H", _DISCONNECT, 10, 0, 0, reason)


def earlier(packet: bytes, seconds: int) -> bytes:
    """The same print with an earlier trade time. OI packets have none and stay as they are."""
    at = _TRADE_TIME_AT.get(packet[0])
    if at is None:
        return packet
    (moment,) = struct.unpack_from("<I", packet, at)
    return packet[:at] + struct.pack("<I", max(0, moment - seconds)) + packet[at + 4 :]


def name(packet: bytes) -> str:
    """Which packet this is, for the journal.

    Says kind, segment and security id, and the trade time if it has one.
    """
    code, _, segment, security_id = struct.unpack_from(_SMALL_HEADER, packet)
    at = _TRADE_TIME_AT.get(code)
    moment = f" LTT {struct.unpack_from('<I', packet, at)[0]}" if at else ""
    return f"code {code} of {Segment.from_code(segment)}:{security_id}{moment}"


def _headed(dtype: np.dtype[np.void], mode: int, prints: Prints) -> Packets:
    packets = np.zeros(len(prints), dtype)
    packets["code"], packets["length"] = mode, dtype.itemsize
    packets["segment"], packets["security_id"] = prints["segment"], prints["security_id"]
    return packets


def _fill_day(packets: Packets, prints: Prints, offset: int) -> None:
    volume = prints["volume"]
    packets["price"] = _rupees(prints["price"])
    packets["last_quantity"] = np.minimum(prints["quantity"], MAX_LAST_QUANTITY)
    packets["last_trade_time"] = prints["second"] + offset
    packets["average_price"] = _rupees(
        np.where(volume > 0, prints["turnover"] / np.maximum(volume, 1), 0)
    )
    packets["volume"] = volume
    packets["open"], packets["close"] = _rupees(prints["open"]), _rupees(prints["previous_close"])
    packets["high"], packets["low"] = _rupees(prints["high"]), _rupees(prints["low"])
    for name, salt in (("sell_quantity", 1), ("buy_quantity", 2)):
        packets[name] = np.where(
            volume > 0, depth.resting(prints["second"], prints["price"], salt) * 40, 0
        )


def _fill_depth(levels: Packets, prints: Prints) -> None:
    for side, rungs in (
        ("bid", ladder.bids(prints, DEPTH_LEVELS)),
        ("ask", ladder.asks(prints, DEPTH_LEVELS)),
    ):
        levels[f"{side}_price"] = _rupees(rungs.prices)
        levels[f"{side}_quantity"], levels[f"{side}_orders"] = rungs.quantities, rungs.orders


def _rupees(paise: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return (paise.astype(np.float64) / PAISE_PER_RUPEE).astype(np.float32)

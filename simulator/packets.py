"""Binary packets of Dhan's market feed v2, byte for byte, written independently of our own reader of them.

All numbers are little-endian; every packet starts with the eight-byte header of `HEADER_FIELDS`, whose length includes it.
Prices are 32-bit floats in rupees. Last trade time is Indian clock time encoded as if it were UTC: 19,800 seconds more
than the true epoch. Source: Dhan, Live Market Feed, and captures named in the project's Dhan reference.
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
from simulator.market import depth
from simulator.market.tape import Prints

IST_OFFSET_SECONDS: Final = 19_800
MAX_LAST_QUANTITY: Final = 65_535  # the field has 16 bits; what Dhan sends above is unknown, we send the largest
DEPTH_LEVELS: Final = depth.LEVELS

Packets = npt.NDArray[np.void]


class Mode(IntEnum):
    """How much an instrument's packets tell; the value is the packet's response code."""

    TICKER = 2
    QUOTE = 4
    FULL = 8


class Reason(IntEnum):
    """Why the server disconnects (annexure, data API errors)."""

    TOO_MANY_INSTRUMENTS = 804
    TOO_MANY_CONNECTIONS = 805
    BAD_REQUEST = 814


_PREVIOUS_CLOSE: Final = 6
_MARKET_STATUS: Final = 7
_DISCONNECT: Final = 50

_HEADER_FIELDS: Final = [("code", "u1"), ("length", "<u2"), ("segment", "u1"), ("security_id", "<u4")]
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
# Not OHLC: Dhan's order is open, close, high, low; `close` is the previous session's while the market is open.
_DAY_FIELDS: Final = [("open", "<f4"), ("close", "<f4"), ("high", "<f4"), ("low", "<f4")]
_INTEREST_FIELDS: Final = [("open_interest", "<u4"), ("interest_high", "<u4"), ("interest_low", "<u4")]

TICKER: Final = np.dtype([*_HEADER_FIELDS, ("price", "<f4"), ("last_trade_time", "<u4")])
QUOTE: Final = np.dtype([*_HEADER_FIELDS, *_TRADE_FIELDS, *_DAY_FIELDS])
FULL: Final = np.dtype(
    [*_HEADER_FIELDS, *_TRADE_FIELDS, *_INTEREST_FIELDS, *_DAY_FIELDS, ("depth", _LEVEL, (DEPTH_LEVELS,))]
)

_SMALL_HEADER: Final = "<BHBI"


def ticker(prints: Prints) -> Packets:
    """One Ticker packet (16 bytes) for each print."""
    packets = _headed(TICKER, Mode.TICKER, prints)
    packets["price"] = _rupees(prints["price"])
    packets["last_trade_time"] = prints["second"] + IST_OFFSET_SECONDS
    return packets


def quote(prints: Prints) -> Packets:
    """One Quote packet (50 bytes) for each print."""
    packets = _headed(QUOTE, Mode.QUOTE, prints)
    _fill_day(packets, prints)
    return packets


def full(prints: Prints) -> Packets:
    """One Full packet (162 bytes) for each print, with a plausible book of five levels around the price."""
    packets = _headed(FULL, Mode.FULL, prints)
    _fill_day(packets, prints)
    _fill_depth(packets["depth"], prints)
    return packets


_ENCODERS: Final[Mapping[Mode, Callable[[Prints], Packets]]] = {
    Mode.TICKER: ticker,
    Mode.QUOTE: quote,
    Mode.FULL: full,
}


class Encoded:
    """Packets of a tape, made a window ahead: one call of numpy for thousands of prints costs what it does for one."""

    WINDOW: Final = 4_096  # prints; 0.7 MB of Full packets

    def __init__(self, prints: Prints) -> None:
        self._prints = prints
        self._windows: dict[Mode, tuple[int, Packets]] = {}

    def packets(self, mode: Mode, place: slice) -> Packets:
        """The packets of the prints at `place`."""
        first, window = self._windows.get(mode, (0, _NOTHING))
        if not first <= place.start <= place.stop <= first + len(window):
            first = place.start
            window = _ENCODERS[mode](self._prints[first : max(place.stop, first + self.WINDOW)])
            self._windows[mode] = first, window
        return window[place.start - first : place.stop - first]


_NOTHING: Final[Packets] = np.zeros(0, TICKER)


def previous_close(instrument: InstrumentId, price: Price) -> bytes:
    """The packet that follows a subscription; open interest is always 0."""
    header = (_PREVIOUS_CLOSE, 16, instrument.segment.code, instrument.security_id)
    return struct.pack(_SMALL_HEADER + "fI", *header, price / PAISE_PER_RUPEE, 0)


def market_status(segment: Segment) -> bytes:
    """The market of `segment` opened or closed. Dhan has not published a payload; the header alone is what clients read."""
    return struct.pack(_SMALL_HEADER, _MARKET_STATUS, 8, segment.code, 0)


def disconnect(reason: Reason) -> bytes:
    """The server's last word before it closes."""
    return struct.pack(_SMALL_HEADER + "H", _DISCONNECT, 10, 0, 0, reason)


def _headed(dtype: np.dtype[np.void], mode: Mode, prints: Prints) -> Packets:
    packets = np.zeros(len(prints), dtype)
    packets["code"], packets["length"] = mode, dtype.itemsize
    packets["segment"], packets["security_id"] = prints["segment"], prints["security_id"]
    return packets


def _fill_day(packets: Packets, prints: Prints) -> None:
    volume = prints["volume"]
    packets["price"] = _rupees(prints["price"])
    packets["last_quantity"] = np.minimum(prints["quantity"], MAX_LAST_QUANTITY)
    packets["last_trade_time"] = prints["second"] + IST_OFFSET_SECONDS
    packets["average_price"] = _rupees(np.where(volume > 0, prints["turnover"] / np.maximum(volume, 1), 0))
    packets["volume"] = volume
    packets["open"], packets["close"] = _rupees(prints["open"]), _rupees(prints["previous_close"])
    packets["high"], packets["low"] = _rupees(prints["high"]), _rupees(prints["low"])
    traded = volume > 0  # an index has no orders
    packets["sell_quantity"] = np.where(traded, depth.resting(prints["second"], prints["price"], 1) * 40, 0)
    packets["buy_quantity"] = np.where(traded, depth.resting(prints["second"], prints["price"], 2) * 40, 0)


def _fill_depth(packed: Packets, prints: Prints) -> None:
    second, last, tick_size = prints["second"], prints["price"], prints["tick_size"]
    offered = prints["volume"] > 0  # an index has no orders
    for level in range(DEPTH_LEVELS):
        side = packed[:, level]
        bid, ask = depth.bid_price(last, tick_size, level), depth.ask_price(last, tick_size, level)
        wanted = offered & (bid > 0)
        side["bid_price"], side["ask_price"] = np.where(wanted, _rupees(bid), 0), np.where(offered, _rupees(ask), 0)
        side["bid_quantity"] = np.where(wanted, depth.quantity(second, last, depth.BID, level), 0)
        side["ask_quantity"] = np.where(offered, depth.quantity(second, last, depth.ASK, level), 0)
        side["bid_orders"] = np.where(wanted, depth.orders(second, last, depth.BID, level), 0)
        side["ask_orders"] = np.where(offered, depth.orders(second, last, depth.ASK, level), 0)


def _rupees(paise: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return (paise.astype(np.float64) / PAISE_PER_RUPEE).astype(np.float32)

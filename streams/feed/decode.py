"""Binary frames to tick rows. Pure; a packet that cannot be read is named, and the rest goes on.

A frame may hold any number of packets (the SDK reads only the first). Frames of many equal packets
are taken as one array, others packet by packet; either way the numbers are converted once per call,
so a burst costs little more than one frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.binary import Rows
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.ticks import NO_VOLUME, TICK
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE
from streams.feed.books import books_of
from streams.feed.packets import DISCONNECT_CODE, HEAD, LAYOUTS, LEVEL, LEVELS, SIZES, Code

IST_OFFSET: Final = 19_800  # seconds: the feed writes Indian clock time as if it were UTC
EARLIEST: Final = 946_684_800  # 2000-01-01: an earlier trade time is not one
UNIFORM_MIN: Final = 4  # packets from which reading a frame as one array pays


class ReceivedFrame(NamedTuple):
    """One WebSocket message and when it came (wall clock, UTC ns)."""

    data: bytes
    received_at: int


@dataclass(slots=True)
class Decoded:
    """What some frames held.

    Attributes:
        rows: Ticks in order of arrival; `clock` is still zero.
        books: The order book of each row (`streams.feed.books.BOOK`), empty where it is no Full
            packet's; None where nobody asked for books.
        packets: Whole packets of any kind.
        problems: One line for each packet that could not be read, naming what was wrong.
        unsubscribed: Packets of instruments we did not ask for.
        silent: Instruments that have not traded yet (no price, no time).
        ignored: Packets that carry no tick: previous close, open interest, status, codes unknown to
            us.
        disconnect_code: Dhan's code of a disconnect packet, if one came.
    """

    rows: Rows
    books: Rows | None = None
    packets: int = 0
    problems: list[str] = field(default_factory=list)
    unsubscribed: int = 0
    silent: int = 0
    ignored: int = 0
    disconnect_code: int | None = None


class Decoder:
    """Reads packets of a known set of instruments."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        joined: Mapping[InstrumentId, int] | None = None,
        *,
        depth: bool = False,
    ) -> None:
        """`joined`: since what market time (UTC ns) each is watched; 0: before any tick.

        With `depth` the order books of Full packets are read too.
        """
        self._depth = depth
        ordered = sorted(instruments, key=lambda instrument: _key(instrument.id))
        self._keys = np.array([_key(instrument.id) for instrument in ordered] or [-1], np.int64)
        self._tick_sizes = np.array(
            [int(instrument.tick_size) for instrument in ordered] or [1], np.int64
        )
        since = (
            np.array(
                [(joined or {}).get(instrument.id, 0) for instrument in ordered] or [0], np.int64
            )
            + _IST_NS
        )
        self._joined_day, within = np.divmod(since, _DAY_NS)
        self._joined = np.where(since > _IST_NS, within // _MINUTE_NS + 1, 0).astype(np.uint16)

    def decode(self, frames: Sequence[ReceivedFrame], *, latest: int | None = None) -> Decoded:
        """Read frames in order.

        A trade time after `latest` (UTC ns) is refused: one would run all clocks ahead.
        """
        found = Decoded(np.zeros(0, TICK))
        groups: dict[int, _PacketGroup] = {}
        for frame in frames:
            if not _take_uniform(frame, groups):
                _walk(frame, groups, found)
        total = sum(len(group.places) for group in groups.values())
        rows, rupees = np.zeros(total, TICK), np.zeros(total)
        levels = np.zeros((total, LEVELS), LEVEL) if self._depth else None
        for code, group in groups.items():
            packets, places = (
                np.frombuffer(b"".join(group.pieces), LAYOUTS[code]),
                np.array(group.places),
            )
            rows[places], rupees[places] = _rows(packets, code, group.times), packets["price"]
            if levels is not None and code == Code.FULL:
                levels[places] = packets["depth"]
        found.packets = total + found.ignored
        self._accept(
            rows, rupees, levels, np.iinfo(np.int64).max if latest is None else latest, found
        )
        return found

    def _accept(
        self,
        rows: Rows,
        rupees: npt.NDArray[np.float64],
        levels: npt.NDArray[np.void] | None,
        latest: int,
        found: Decoded,
    ) -> None:
        """Leave out what is no tick, and round the prices of the rest to paise and tick size."""
        moments = rows["exchange_time"]
        place, known = self._lookup(rows)
        silent = known & ((rupees == 0) | (moments == _UNTRADED))
        possible = (rupees > 0) & (rupees < _DEAREST)
        timely = (moments >= EARLIEST * NS_PER_SECOND) & (moments <= latest)
        good = known & ~silent & possible & timely
        found.unsubscribed += int((~known).sum())
        found.silent += int(silent.sum())
        for at in np.flatnonzero(known & ~silent & ~good):
            what = f"trade time {moments[at]}" if possible[at] else f"price {rupees[at]}"
            packet = _packet(*(int(rows[at][name]) for name in ("mode", "segment", "security_id")))
            found.problems.append(f"{packet} has an impossible {what}")
        kept: Rows = rows[good]
        which = place[good]
        size = self._tick_sizes[which]
        # as schemas.market.to_tick, for many
        kept["price"] = (
            np.maximum(np.rint(rupees[good] * PAISE_PER_RUPEE / size), 1).astype(np.int64) * size
        )
        same_day = (kept["exchange_time"] + _IST_NS) // _DAY_NS == self._joined_day[which]
        kept["joined"] = np.where(same_day, self._joined[which], 0)
        found.rows = kept
        if levels is not None:
            found.books = books_of(levels[good], kept["price"], size)

    def _lookup(self, rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        keys = keys_of(rows)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known: npt.NDArray[np.bool_] = self._keys[place] == keys
        return place, known


_IST_NS: Final = IST_OFFSET * NS_PER_SECOND
_DAY_NS: Final = 86_400 * NS_PER_SECOND
_MINUTE_NS: Final = 60 * NS_PER_SECOND
_UNTRADED: Final = -IST_OFFSET * NS_PER_SECOND  # what a trade time of 0 becomes
_DEAREST: Final = 1e9  # rupees; a 32-bit float of line noise is mostly far beyond


def keys_of(rows: Rows) -> npt.NDArray[np.int64]:
    """Segment and security id in one number."""
    keys: npt.NDArray[np.int64] = rows["segment"].astype(np.int64) << 32 | rows["security_id"]
    return keys


@dataclass(slots=True)
class _PacketGroup:
    """Packets of one kind, and their places among all."""

    pieces: list[bytes] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


def _take_uniform(received: ReceivedFrame, groups: dict[int, _PacketGroup]) -> bool:
    """Take a frame of equal packets as a whole; False when it is anything else."""
    frame = received.data
    layout = LAYOUTS.get(frame[0]) if frame else None
    if layout is None or len(frame) < UNIFORM_MIN * layout.itemsize or len(frame) % layout.itemsize:
        return False
    packets = np.frombuffer(frame, layout)
    if (packets["code"] != frame[0]).any() or (packets["length"] != layout.itemsize).any():
        return False
    _group(groups, frame[0], frame, len(packets), received.received_at)
    return True


def _group(
    groups: dict[int, _PacketGroup], code: int, packets: bytes, count: int, moment: int
) -> None:
    first = sum(len(group.places) for group in groups.values())
    group = groups.setdefault(code, _PacketGroup())
    group.pieces.append(packets)
    group.places.extend(range(first, first + count))
    group.times.extend([moment] * count)


def _walk(received: ReceivedFrame, groups: dict[int, _PacketGroup], found: Decoded) -> None:
    """Take a frame packet by packet.

    After a length that cannot be true the rest of the frame cannot be found.
    """
    frame, at = received.data, 0
    while (left := len(frame) - at) > 0:
        if left < HEAD.size:
            found.problems.append(f"{left} bytes where a packet header of {HEAD.size} was expected")
            return
        code, length, segment, security_id = HEAD.unpack_from(frame, at)
        if not HEAD.size <= length <= left:
            what = (
                f"is cut short: {left} of {length} bytes"
                if length > left
                else f"says it has {length} bytes"
            )
            found.problems.append(
                f"{_packet(code, segment, security_id)} {what}; {left} bytes of the frame are lost"
            )
            return
        if length != SIZES.get(code, length):
            what = f"has {length} bytes, expected {SIZES[code]}"
            found.problems.append(f"{_packet(code, segment, security_id)} {what}")
        elif code in LAYOUTS:
            _group(groups, code, frame[at : at + length], 1, received.received_at)
        else:
            found.ignored += 1
            if code == Code.DISCONNECT:
                (found.disconnect_code,) = DISCONNECT_CODE.unpack_from(frame, at + HEAD.size)
        at += length


def _rows(packets: npt.NDArray[np.void], code: int, times: list[int]) -> Rows:
    rows = np.zeros(len(packets), TICK)
    seconds = packets["last_trade_time"].astype(np.int64) - IST_OFFSET
    rows["exchange_time"] = seconds * NS_PER_SECOND
    rows["received_at"] = times
    rows["segment"], rows["security_id"], rows["mode"] = (
        packets["segment"],
        packets["security_id"],
        code,
    )
    rows["volume"] = NO_VOLUME
    if code != Code.TICKER:
        # an index reports 0, which is not a volume
        traded = packets["segment"] != Segment.IDX_I.code
        rows["volume"][traded] = packets["volume"][traded]
        rows["last_quantity"] = packets["last_quantity"]
    if code == Code.FULL:
        rows["open_interest"] = packets["open_interest"]
    return rows


def _key(instrument: InstrumentId) -> int:
    return instrument.segment.code << 32 | instrument.security_id


def _packet(code: int, segment: int, security_id: int) -> str:
    name = _NAMES.get(code, f"code {code}")
    return f"{name} packet of {Segment.from_code(segment) or f'segment {segment}'}:{security_id}"


_NAMES: Final = {int(code): code.name.lower().replace("_", " ") for code in Code}

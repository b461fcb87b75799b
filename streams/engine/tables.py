"""The engine's state of one partition: one row per instrument, one bar per instrument and timeframe."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.market import CLOSE_IST, OPEN_IST, Timeframe
from schemas.units import NS_PER_SECOND, UtcNs

Table: TypeAlias = npt.NDArray[np.void]
Numbers: TypeAlias = npt.NDArray[np.int64]

TIMEFRAMES: Final = (Timeframe.M1, Timeframe.M5)  # shortest first: it decides lateness, and every other is made of it
ALLOWED_LATENESS: Final = UtcNs.seconds(2)  # Dhan stamps whole seconds and sends a liquid quote about every second
NEVER: Final = np.iinfo(np.int64).max

MARKET: Final = np.dtype(
    [
        ("clock", "i8"),  # largest market clock seen, UTC ns
        ("day", "i8"),  # Indian day number of the clock
        ("day_seen_from", "i8"),  # first clock of that day
        ("next_due", "i8"),  # no open bar is due before this clock
        ("ticks", "i8"),
        ("late", "i8"),  # ticks whose bar was over
        ("outside", "i8"),  # ticks outside the session
        ("resets", "i8"),  # day volumes that fell
    ]
)
INSTRUMENT: Final = np.dtype(
    [
        ("key", "i8"),
        ("day", "i8"),  # Indian day number of `volume`
        ("volume", "i8"),  # cumulative of the day, as far as bars have it
        ("last_at", "i8"),  # latest exchange time
    ]
)
BAR: Final = np.dtype(
    [
        ("start", "i8"),  # of the open bar, else of the last one closed; 0 before the first
        ("ticks", "i8"),  # 0: closed
        ("opened_at", "i8"),
        ("closed_at", "i8"),
        ("open", "i8"),
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),
        ("volume", "i8"),
        ("complete", "i8"),
    ]
)
STUDY: Final = np.dtype(
    [
        ("bars", "i8"),  # closed so far
        ("close", "f8"),  # of the last closed bar
        ("ema_9", "f8"),  # during warm-up each of these is the running sum of its seed
        ("ema_21", "f8"),
        ("gain", "f8"),
        ("loss", "f8"),
        ("atr", "f8"),
    ]
)
READINGS: Final = ("ema_9", "ema_21", "rsi_14", "atr_14")
CLOSED: Final = np.dtype(
    [(name, "i8") for name in ("instrument", "timeframe", "start", "end")]
    + [(name, "i8") for name in ("open", "high", "low", "close", "volume", "ticks", "complete")]
    + [(name, "f8") for name in READINGS]  # NaN during warm-up
    + [(f"previous_{name}", "f8") for name in READINGS]  # at the bar before
)
GRID: Final = np.dtype([("open", "i8"), ("close", "i8"), ("lateness", "i8"), ("spans", "i8", (len(TIMEFRAMES),))])


class Tables(NamedTuple):
    """What the kernels read and write.

    Attributes:
        market: Shape (1,), `MARKET`.
        grid: Shape (1,), `GRID`: session hours after Indian midnight and bar lengths; constant.
        instruments: Shape (capacity,), `INSTRUMENT`, in order of first sight.
        bars: Shape (capacity, timeframes), `BAR`.
        studies: Shape (capacity, timeframes), `STUDY`.
        order: Shape (instruments,): row numbers by (segment, security id), the order in which a sweep closes bars.
        lookup: Shape (2^k, 2): open-addressing table of (key, row number), key -1 where empty.
    """

    market: Table
    grid: Table
    instruments: Table
    bars: Table
    studies: Table
    order: Numbers
    lookup: Numbers


def empty(capacity: int = 64) -> Tables:
    market = np.zeros(1, MARKET)
    market["next_due"] = NEVER
    shape = (capacity, len(TIMEFRAMES))
    nobody = np.empty(0, np.int64)
    return with_index(
        Tables(
            market,
            _grid(),
            np.zeros(capacity, INSTRUMENT),
            np.zeros(shape, BAR),
            np.zeros(shape, STUDY),
            nobody,
            nobody,
        ),
        nobody,
    )


def _grid() -> Table:
    grid = np.zeros(1, GRID)
    for name, moment in (("open", OPEN_IST), ("close", CLOSE_IST)):
        grid[name] = (moment.hour * 3_600 + moment.minute * 60) * NS_PER_SECOND
    grid["lateness"] = ALLOWED_LATENESS
    grid["spans"] = [timeframe.ns for timeframe in TIMEFRAMES]
    return grid


def grown(tables: Tables, new_keys: Numbers) -> Tables:
    """Tables with a row for each of `new_keys` (distinct, unknown so far, in order of first sight)."""
    known = tables.instruments["key"][: len(tables.order)]
    keys = np.concatenate([known, new_keys])
    capacity = len(tables.instruments)
    while capacity < len(keys):
        capacity *= 2
    wider = Tables(
        tables.market,
        tables.grid,
        _resized(tables.instruments, capacity),
        _resized(tables.bars, capacity),
        _resized(tables.studies, capacity),
        tables.order,
        tables.lookup,
    )
    wider.instruments["key"][: len(keys)] = keys
    return with_index(wider, keys)


def _resized(table: Table, capacity: int) -> Table:
    if len(table) == capacity:
        return table
    wider = np.zeros((capacity, *table.shape[1:]), table.dtype)
    wider[: len(table)] = table
    return wider


def with_index(tables: Tables, keys: Numbers) -> Tables:
    """`tables` with `order` and `lookup` made from the first `keys`."""
    size = 64
    while size < 4 * len(keys):  # at most a quarter full: a look-up takes about one step
        size *= 2
    lookup = np.full((size, 2), -1, np.int64)
    for row, key in enumerate(keys.tolist()):
        at = home(key, size)
        while lookup[at, 0] >= 0:
            at = (at + 1) & (size - 1)
        lookup[at] = key, row
    return tables._replace(order=np.argsort(keys, kind="stable").astype(np.int64), lookup=lookup)


def home(key: int, size: int) -> int:
    """Where the search for `key` begins; the kernels compute the same."""
    return (key ^ (key >> 7)) & (size - 1)


def key_of(instrument: InstrumentId) -> int:
    return instrument.segment.code << 32 | instrument.security_id


def instrument_of(key: int) -> InstrumentId:
    return InstrumentId(_SEGMENTS[key >> 32], key & 0xFFFFFFFF)


_SEGMENTS: Final[dict[int, Segment]] = {code: segment for segment, code in SEGMENT_CODES.items()}


def arrays(tables: Tables) -> dict[str, npt.NDArray[Any]]:
    """What a snapshot must hold; the rest follows from it."""
    count = len(tables.order)
    return {
        "market": tables.market,
        "instruments": tables.instruments[:count],
        "bars": tables.bars[:count],
        "studies": tables.studies[:count],
    }

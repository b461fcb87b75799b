"""The engine's state of one partition.

A row per instrument, and one per instrument and timeframe.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.units import UtcNs
from streams.columns.names import VALUES
from streams.engine import hours, layout
from streams.engine.compiled import FloatArray, IntArray
from streams.engine.config import EngineConfig
from streams.engine.lanes import LANES

# Dhan stamps whole seconds and sends a liquid quote about every second
ALLOWED_LATENESS: Final = UtcNs.seconds(2)
NEVER: Final = np.iinfo(np.int64).max


class Tables(NamedTuple):
    """What the kernels read and write. Columns stand in `layout`.

    Attributes:
        market: Shape (`MARKET_WIDTH`,).
        live: Shape (capacity, `LIVE_WIDTH`): the 1-minute bar and the counters of each instrument,
            in order of first sight.
        due: Shape (capacity, timeframes): end of each open bar, `NEVER` where none is open.
        bars: Shape (capacity, timeframes, `BAR_WIDTH`): the longer bars; place 0 is unused.
        days: Shape (capacity, `DAY_WIDTH`).
        states: Shape (capacity, blocks, `STATE_WIDTH`, `LANES`): the recurrences; timeframe `k` is
            lane `k % LANES` of block `k // LANES`, and lanes beyond the last hold nothing of use.
        prices: Shape (capacity, timeframes, `PRICES_WIDTH`), int32 paise: up to ₹21 million, beyond
            what a 32-bit float holds.
        volumes: Shape (capacity, timeframes, `RING`).
        finals: Shape (capacity, timeframes, values): the last closed bar, NaN before the first.
        order: Shape (instruments,): row numbers by (segment, security id), the order in which a
            sweep closes bars.
        lookup: Shape (2^k, 2): open-addressing table of (key, row number), key -1 where empty.
        hours: The calendar (`hours.table`); constant.
        spans: Shape (timeframes,): greatest length of a bar; constant.
        wanted: Shape (1,): a bit for each indicator that is computed; constant.
        bins: Scratch of the volume profile.
        row: Shape (values, `LANES`): scratch of a commit.
        noted: Shape (capacity,): begin of the minute for which `states` holds what the longer bars
            were before it (`bars.note_longer_bars`).
    """

    market: IntArray
    live: IntArray
    due: IntArray
    bars: IntArray
    days: FloatArray
    states: FloatArray
    prices: npt.NDArray[np.int32]
    volumes: FloatArray
    finals: FloatArray
    order: IntArray
    lookup: IntArray
    hours: IntArray
    spans: IntArray
    wanted: IntArray
    bins: FloatArray
    row: FloatArray
    noted: IntArray


_PER_INSTRUMENT: Final = (
    "live",
    "due",
    "bars",
    "days",
    "states",
    "prices",
    "volumes",
    "finals",
    "noted",
)


def empty(config: EngineConfig, capacity: int = 64) -> Tables:
    """Tables with room for `capacity` instruments, and none in them."""
    market = np.zeros(layout.MARKET_WIDTH, np.int64)
    market[layout.NEXT_DUE] = NEVER
    frames, nobody = len(config.timeframes), np.empty(0, np.int64)
    fresh = Tables(
        market=market,
        live=np.zeros((capacity, layout.LIVE_WIDTH), np.int64),
        due=np.full((capacity, frames), NEVER),
        bars=np.zeros((capacity, frames, layout.BAR_WIDTH), np.int64),
        days=_blank_days(capacity),
        states=aligned((capacity, blocks_of(frames), layout.STATE_WIDTH, LANES)),
        prices=np.zeros((capacity, frames, layout.PRICES_WIDTH), np.int32),
        volumes=np.zeros((capacity, frames, layout.RING)),
        finals=np.full((capacity, frames, len(VALUES)), np.nan),
        order=nobody,
        lookup=nobody,
        hours=hours.table(config.calendar),
        spans=np.array([timeframe.ns for timeframe in config.timeframes], np.int64),
        wanted=np.array([layout.wanted_of(config.indicators)], np.int64),
        bins=np.zeros(layout.BINS),
        row=blank((len(VALUES), LANES)),
        noted=np.zeros(capacity, np.int64),
    )
    return with_index(fresh, nobody)


def _blank_days(capacity: int) -> FloatArray:
    days = np.zeros((capacity, layout.DAY_WIDTH))
    days[:, [layout.RANGE_HIGH, layout.RANGE_LOW]] = np.nan
    days[:, [layout.BEFORE_HIGH, layout.BEFORE_LOW, layout.BEFORE_LAST]] = np.nan
    return days


def grown(tables: Tables, new_keys: IntArray, config: EngineConfig) -> Tables:
    """Tables with a row for each of `new_keys`.

    They are distinct, unknown so far and in order of first sight.
    """
    count = len(tables.order)
    keys = np.concatenate([tables.live[:count, layout.KEY], new_keys])
    capacity = len(tables.live)
    while capacity < len(keys):
        capacity *= 2
    wider = tables
    if capacity > len(tables.live):
        room = empty(config, capacity)
        for name in _PER_INSTRUMENT:
            getattr(room, name)[:count] = getattr(tables, name)[:count]
        wider = room._replace(market=tables.market)
    wider.live[count : len(keys), layout.KEY] = new_keys
    kinds = [hours.kind_of(instrument_of(key), config.calendar) for key in new_keys.tolist()]
    wider.live[count : len(keys), layout.HOURS] = kinds
    return with_index(wider, keys)


def with_index(tables: Tables, keys: IntArray) -> Tables:
    """`tables` with `order` and `lookup` made from the first `keys`."""
    size = 64
    while size < 4 * len(keys):  # at most a quarter full: a look-up takes about one step
        size *= 2
    lookup = np.full((size, 2), -1, np.int64)
    for row, key in enumerate(keys.tolist()):
        at = hash_slot(key, size)
        while lookup[at, 0] >= 0:
            at = (at + 1) & (size - 1)
        lookup[at] = key, row
    return tables._replace(order=np.argsort(keys, kind="stable").astype(np.int64), lookup=lookup)


def hash_slot(key: int, size: int) -> int:
    """Where the search for `key` begins; the kernels compute the same."""
    return (key ^ (key >> 7)) & (size - 1)


def key_of(instrument: InstrumentId) -> int:
    """The instrument as one number: segment << 32 | security id."""
    return instrument.segment.code << 32 | instrument.security_id


def instrument_of(key: int) -> InstrumentId:
    """The reverse of `key_of`."""
    return InstrumentId(_SEGMENTS[key >> 32], key & 0xFFFFFFFF)


_SEGMENTS: Final[dict[int, Segment]] = {code: segment for segment, code in SEGMENT_CODES.items()}


def arrays(tables: Tables) -> dict[str, npt.NDArray[Any]]:
    """What a snapshot must hold; the rest follows from it and the configuration.

    `indicators` is a copy that `set_indicators` takes: shape (instruments, timeframes,
    `INDICATOR_WIDTH`).
    """
    count = len(tables.order)
    held = {name: getattr(tables, name)[:count] for name in _PER_INSTRUMENT}
    names = ("live", "due", "bars", "days", "indicators", "prices", "volumes", "finals")
    held["indicators"] = _by_timeframe(tables)
    return {"market": tables.market} | {name: held[name] for name in names}


def _by_timeframe(tables: Tables) -> FloatArray:
    count, frames = len(tables.order), len(tables.spans)
    lanes = tables.states[:count, :, : layout.INDICATOR_WIDTH].transpose(0, 1, 3, 2)
    blocks = blocks_of(frames)
    whole = lanes.reshape(count, blocks * LANES, layout.INDICATOR_WIDTH)
    return np.ascontiguousarray(whole[:, :frames])


def set_indicators(tables: Tables, indicators: FloatArray) -> None:
    """Take what `arrays` gave; prices must be there already."""
    count, frames = indicators.shape[:2]
    blocks, width = blocks_of(frames), layout.STATE_WIDTH
    lanes = np.zeros((count, blocks * LANES, width))
    lanes[:, :frames, : layout.INDICATOR_WIDTH] = indicators
    prices = tables.prices[:count].astype(np.int64)
    bars = indicators[:, :, layout.BARS].astype(np.int64)
    for back in range(1, layout.RING):
        at = bars - back
        found = 20.0 * sum(
            np.take_along_axis(prices, (first + at % size)[:, :, None], axis=2)
            for first, size in (
                (layout.HIGHS, layout.RING),
                (layout.LOWS, layout.RING),
                (0, layout.CLOSES),
            )
        )
        slot = (layout.TYPICALS + at % (layout.RING - 1))[:, :, None]
        np.put_along_axis(lanes[:, :frames], slot, found, axis=2)
    tables.states[:count] = lanes.reshape(count, blocks, LANES, width).transpose(0, 1, 3, 2)


def blocks_of(frames: int) -> int:
    """How many vectors of `LANES` the timeframes need."""
    return -(-frames // LANES)


def blank(shape: tuple[int, ...]) -> FloatArray:
    """Rows of values that nobody wrote yet: NaN, which unwanted columns stay for ever."""
    rows = aligned(shape)
    rows[...] = np.nan
    return rows


def aligned(shape: tuple[int, ...]) -> FloatArray:
    """Zeros that begin where a cache line does, so that no vector lies across two."""
    size = math.prod(shape)
    whole = np.zeros(size + _LINE)
    first = -whole.ctypes.data // whole.itemsize % _LINE
    return whole[first : first + size].reshape(shape)


# where the rings of what a typical price is made of begin, and their sizes
_TYPICAL: Final = (
    (layout.HIGHS, layout.RING),
    (layout.LOWS, layout.RING),
    (0, layout.CLOSES),
)
_LINE: Final = 8  # doubles of a cache line

"""The hot path, compiled: rows of ticks become closed bars with their indicators.

Everything is decided row by row, so one batch of a thousand ticks and a thousand batches of one give the same bars in the
same order. What sweeps close comes in order of (end, segment, security id, timeframe), so heartbeats change nothing either.

All kernels stand in this one file and take what may change as arguments: numba's disk cache notices changes of the file
that holds a kernel, not of files that kernel calls into.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.engine.compiled import compiled
from streams.engine.tables import Numbers, Table, Tables

_IST: Final = 19_800_000_000_000
_DAY: Final = 86_400_000_000_000
_NEVER: Final = np.iinfo(np.int64).max
_EPSILON: Final = 1e-14  # TA-Lib's TA_IS_ZERO


@compiled
def locate(rows: Table, lookup: Numbers, found: Numbers) -> int:
    """Write each row's instrument number to `found`, -1 where unknown; returns how many are unknown."""
    unknown = 0
    mask = len(lookup) - 1
    for at in range(len(rows)):
        key = np.int64(rows[at].segment) << 32 | np.int64(rows[at].security_id)
        slot = (key ^ (key >> 7)) & mask
        while lookup[slot, 0] != key and lookup[slot, 0] >= 0:
            slot = (slot + 1) & mask
        found[at] = lookup[slot, 1]
        unknown += found[at] < 0
    return unknown


@compiled
def apply_rows(rows: Table, found: Numbers, first: int, tables: Tables, closed: Table) -> tuple[int, int]:
    """Apply rows from `first` on; returns the row to go on with and the number of bars written to `closed`.

    Stops early while every open bar still fits into `closed`, so that the caller can empty it and call again.
    """
    count = 0
    room = len(tables.order) * tables.bars.shape[1] + tables.bars.shape[1]
    for at in range(first, len(rows)):
        if len(closed) - count < room:
            return at, count
        row = rows[at]
        count = advance(row.clock, tables, closed, count)
        count = apply_tick(row, found[at], tables, closed, count)
    return len(rows), count


@compiled
def advance(clock: int, tables: Tables, closed: Table, count: int) -> int:
    """Move the market clock on and close every bar that can get no more ticks. A clock that falls back is ignored."""
    market = tables.market[0]
    if clock <= market.clock:
        return count
    market.clock = clock
    day = (clock + _IST) // _DAY
    if day != market.day:
        market.day = day
        market.day_seen_from = clock
    while market.next_due <= clock:
        count = close_due(market.next_due, tables, closed, count)
    return count


@compiled
def close_due(due: int, tables: Tables, closed: Table, count: int) -> int:
    """Close the open bars due exactly at `due`, in instrument order, and find the next moment one is due."""
    grid = tables.grid[0]
    soonest = _NEVER
    for instrument in tables.order:
        for timeframe in range(tables.bars.shape[1]):
            bar = tables.bars[instrument, timeframe]
            if bar.ticks == 0:
                continue
            bar_due = bar.start + grid.spans[timeframe] + grid.lateness
            if bar_due <= due:
                count = close_bar(instrument, timeframe, tables, closed, count)
            else:
                soonest = min(soonest, bar_due)
    tables.market[0].next_due = soonest
    return count


@compiled
def apply_tick(row: Any, instrument: int, tables: Tables, closed: Table, count: int) -> int:
    """Merge one tick into the instrument's bars, unless it is late or outside the session."""
    market, grid, state = tables.market[0], tables.grid[0], tables.instruments[instrument]
    moment = row.exchange_time
    midnight = (moment + _IST) // _DAY * _DAY - _IST
    session_open = midnight + grid.open
    market.ticks += 1
    if moment < session_open or moment >= midnight + grid.close:
        market.outside += 1
        note_outside(row, state)
        return close_older(moment, instrument, tables, closed, count)
    if is_late(moment, row.clock, session_open, tables.bars[instrument, 0], grid):
        market.late += 1
        return count

    complete = begin_day(row, state, market, session_open + grid.spans[0])
    volume, steady = traded(row, state)
    market.resets += not steady
    for timeframe in range(tables.bars.shape[1]):
        span = grid.spans[timeframe]
        start = moment - (moment - session_open) % span
        bar = tables.bars[instrument, timeframe]
        if bar.start != start:
            if bar.ticks:
                count = close_bar(instrument, timeframe, tables, closed, count)
            open_bar(bar, start, moment, row.price)
            market.next_due = min(market.next_due, start + span + grid.lateness)
        merge(bar, moment, row.price, volume, complete and steady)
    return count


@compiled
def is_late(moment: int, clock: int, session_open: int, bar: Any, grid: Any) -> bool:
    """Whether the tick's shortest bar is over: by the clock it arrived with, or because a later one is open or closed."""
    start = moment - (moment - session_open) % grid.spans[0]
    if start + grid.spans[0] + grid.lateness <= clock:
        return True
    return bool(start < bar.start or (start == bar.start and bar.ticks == 0))


@compiled
def note_outside(row: Any, state: Any) -> None:
    """A tick before the open or after the close makes no bar, but its volume is not the next bar's."""
    day = (row.exchange_time + _IST) // _DAY
    if day < state.day or row.exchange_time < state.last_at or row.volume < 0:
        return
    state.day, state.volume, state.last_at = day, row.volume, row.exchange_time


@compiled
def close_older(moment: int, instrument: int, tables: Tables, closed: Table, count: int) -> int:
    """Close the instrument's bars that ended by `moment`: the snapshot after the close ends the day's last bars."""
    for timeframe in range(tables.bars.shape[1]):
        bar = tables.bars[instrument, timeframe]
        if bar.ticks and bar.start + tables.grid[0].spans[timeframe] <= moment:
            count = close_bar(instrument, timeframe, tables, closed, count)
    return count


@compiled
def begin_day(row: Any, state: Any, market: Any, first_bar_end: int) -> bool:
    """On the instrument's first tick of a day, choose where its volume counts from; False when that is unknown."""
    day = (row.exchange_time + _IST) // _DAY
    if day == state.day:
        return True
    state.day = day
    watched = market.day == day and market.day_seen_from < first_bar_end
    state.volume = 0 if watched else max(row.volume, 0)
    return bool(watched)


@compiled
def traded(row: Any, state: Any) -> tuple[int, bool]:
    """Units traded since the instrument's last tick, and False when the day's counter fell.

    A tick that was overtaken by a later one may show a smaller counter: that is no fall.
    """
    overtaken = row.exchange_time < state.last_at
    state.last_at = max(state.last_at, row.exchange_time)
    if row.volume < 0:
        return 0, True
    growth = row.volume - state.volume
    if growth < 0 and overtaken:
        return 0, True
    state.volume = row.volume
    return max(growth, 0), growth >= 0


@compiled
def open_bar(bar: Any, start: int, moment: int, price: int) -> None:
    bar.start = start
    bar.opened_at = bar.closed_at = moment
    bar.open = bar.high = bar.low = bar.close = price
    bar.volume = bar.ticks = 0
    bar.complete = 1


@compiled
def merge(bar: Any, moment: int, price: int, volume: int, complete: bool) -> None:
    """Open and close go by exchange time; within one second the first to arrive opens and the last closes."""
    if moment < bar.opened_at:
        bar.opened_at, bar.open = moment, price
    if moment >= bar.closed_at:
        bar.closed_at, bar.close = moment, price
    bar.high = max(bar.high, price)
    bar.low = min(bar.low, price)
    bar.volume += volume
    bar.ticks += 1
    if not complete:
        bar.complete = 0


@compiled
def close_bar(instrument: int, timeframe: int, tables: Tables, closed: Table, count: int) -> int:
    """Commit the bar to its indicators and write both to `closed[count]`."""
    bar, study, out = tables.bars[instrument, timeframe], tables.studies[instrument, timeframe], closed[count]
    out.instrument, out.timeframe = instrument, timeframe
    out.start, out.end = bar.start, bar.start + tables.grid[0].spans[timeframe]
    out.open, out.high, out.low, out.close = bar.open, bar.high, bar.low, bar.close
    out.volume, out.ticks, out.complete = bar.volume, bar.ticks, bar.complete
    out.previous_ema_9, out.previous_ema_21, out.previous_rsi_14, out.previous_atr_14 = read(study)
    commit(study, bar.high, bar.low, bar.close)
    out.ema_9, out.ema_21, out.rsi_14, out.atr_14 = read(study)
    bar.ticks = 0
    return count + 1


@compiled
def commit(study: Any, high: float, low: float, close: float) -> None:
    """Take one final bar into the recurrences, seeded as TA-Lib does."""
    bars = study.bars
    study.ema_9 = ema(study.ema_9, close, bars, 9)
    study.ema_21 = ema(study.ema_21, close, bars, 21)
    if bars > 0:  # changes and true ranges need a bar before
        change = close - study.close
        study.gain = wilder(study.gain, max(change, 0.0), bars, 14)
        study.loss = wilder(study.loss, max(-change, 0.0), bars, 14)
        true_range = max(high - low, abs(high - study.close), abs(low - study.close))
        study.atr = wilder(study.atr, true_range, bars, 14)
    study.close = close
    study.bars = bars + 1


@compiled
def ema(value: float, close: float, bars: int, period: int) -> float:
    """Exponential moving average; the seed is the mean of the first `period` closes. `bars` are those before this one."""
    if bars >= period:
        return value + (close - value) * (2.0 / (period + 1))
    total = value + close
    return total / period if bars == period - 1 else total


@compiled
def wilder(value: float, sample: float, bars: int, period: int) -> float:
    """Wilder's smoothing; the seed is the mean of the first `period` samples, the first sample being that of bar 1.

    Source: Wilder (1978), New Concepts in Technical Trading Systems, ch. 3 and 6.
    """
    if bars > period:
        return (value * (period - 1) + sample) / period
    total = value + sample
    return total / period if bars == period else total


@compiled
def read(study: Any) -> tuple[float, float, float, float]:
    """The four values as they stand, NaN during warm-up."""
    bars = study.bars
    ema_9 = study.ema_9 if bars >= 9 else np.nan
    ema_21 = study.ema_21 if bars >= 21 else np.nan
    if bars < 15:
        return ema_9, ema_21, np.nan, np.nan
    moved = study.gain + study.loss
    rsi = 100.0 * (study.gain / moved) if moved > _EPSILON else 0.0
    return ema_9, ema_21, rsi, study.atr

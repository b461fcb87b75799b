"""The hot path's entry points, compiled: rows of ticks become closed bars with their values.

Everything is decided row by row, so one batch of a thousand ticks and a thousand batches of one
give the same bars in the same order. `streams.engine.bars` says how ticks make bars.

`addresses` are the arrays (`streams.engine.arrays`), `i` is the number of an instrument, `k` the
place of a timeframe.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.units import NS_PER_SECOND
from streams.engine.arrays import BATCH, COUNT, LIST, open_out, open_provisional, open_tables
from streams.engine.bars import (
    add,
    add_to_day,
    advance_to,
    begin_day,
    commit,
    open_bar,
    open_for_tick,
    session_at,
    update,
    write_prices,
)
from streams.engine.compiled import FloatArray, IntArray, StructArray, compiled, inner, prefetch
from streams.engine.indicators import compute
from streams.engine.layout import (
    ANCHOR,
    BAR_WIDTH,
    CLOCK,
    CLOSE,
    COMMITTED,
    COMPLETE,
    DAY_CLOSE,
    DAY_OPEN,
    DAY_SQUARES,
    DAY_TURNOVER,
    DAY_VOLUME,
    DAY_WHOLE,
    END,
    HIGH,
    INSTRUMENT_WORD,
    KEY_BITS,
    LIVE_WIDTH,
    LOW,
    NEXT_DUE,
    OPEN,
    ROW_CLOCK,
    SESSION_CLOSE,
    SESSION_OPEN,
    START,
    TICKS,
    TICKS_SEEN,
    TIME,
    VOLUME,
)
from streams.engine.session_indicators import OPENING_RANGE, compute_day
from streams.engine.tables import ALLOWED_LATENESS, NEVER, Tables

_DAY: Final = 86_400 * NS_PER_SECOND
_MINUTE: Final = 60 * NS_PER_SECOND
_LATENESS: Final = int(ALLOWED_LATENESS)
_NEVER: Final = int(NEVER)
_LINE: Final = 64  # bytes of a cache line
_SOON: Final = 8  # rows of ticks between the asking for a row of the table and its use
_NEXT: Final = 2  # the same, in instruments looked at


@compiled
def lookup(rows: IntArray, addresses: IntArray, found: IntArray) -> int:
    """Write each row's instrument number to `found`, -1 where unknown.

    Returns how many are unknown.
    """
    index = open_tables(addresses).lookup
    unknown = 0
    mask = len(index) - 1
    for nth in range(len(rows)):
        key = rows[nth, INSTRUMENT_WORD] & KEY_BITS
        slot = (key ^ (key >> 7)) & mask
        while index[slot, 0] != key and index[slot, 0] >= 0:
            slot = (slot + 1) & mask
        found[nth] = index[slot, 1]
        unknown += found[nth] < 0
    return unknown


@compiled
def apply_rows(
    rows: IntArray, found: IntArray, first: int, clock: int, addresses: IntArray
) -> tuple[int, int]:
    """Apply rows from `first` on, then move the market clock on to `clock`.

    Returns the row to go on with and the number of closed bars written. Stops early while every
    open bar still fits, so that the caller can take the closed ones and call again.
    """
    tables, out = open_tables(addresses), open_out(addresses)
    dirty = open_provisional(addresses).dirty
    market, count = tables.market, 0
    room = (len(tables.order) + 1) * len(tables.spans)
    if first == 0:
        dirty[COUNT] = 0
        dirty[BATCH] += 1
    for nth in range(first, len(rows)):
        if len(out.facts) - count < room:
            return nth, count
        row, i = rows[nth], found[nth]
        if nth + _SOON < len(rows):
            prefetch_row(tables.live, found[nth + _SOON])
        if row[ROW_CLOCK] > market[CLOCK]:
            count = advance_to(row[ROW_CLOCK], tables, out, count)
        market[TICKS_SEEN] += 1
        live, moment = tables.live[i], row[TIME]
        complete = True
        if live[TICKS] == 0 or moment < live[START] or moment >= live[END]:
            accepted, complete, count = open_for_tick(row, i, tables, out, count)
            if not accepted:
                continue
        update(row, live, market, complete)
        mark_dirty(i, dirty, len(tables.live))
    if len(out.facts) - count < room:
        return len(rows), count
    return len(rows) + 1, advance_to(clock, tables, out, count)


@inner
def mark_dirty(i: int, dirty: IntArray, capacity: int) -> None:
    """Note that the instrument had a tick in this batch, once."""
    if dirty[LIST + capacity + i] != dirty[BATCH]:
        dirty[LIST + capacity + i] = dirty[BATCH]
        dirty[LIST + dirty[COUNT]] = i
        dirty[COUNT] += 1


@inner
def prefetch_row(table: IntArray | FloatArray, i: int) -> None:
    """Have row `i` brought into the cache: rows of thousands of instruments do not fit there."""
    address, size = table[i].ctypes.data, table[i].size * table.itemsize
    for line in range(0, size + _LINE, _LINE):
        prefetch(address + line)


@compiled
def provisional_values(addresses: IntArray) -> int:
    """Write the values that forming bars would have if they closed now; returns how many.

    Of the instruments that had a tick in the last batch.
    """
    tables, provisional = open_tables(addresses), open_provisional(addresses)
    count, dirty, wanted = 0, provisional.dirty, tables.wanted[0]
    bar = np.empty(BAR_WIDTH, np.int64)
    for nth in range(dirty[COUNT]):
        if nth + _NEXT < dirty[COUNT]:
            soon = dirty[LIST + nth + _NEXT]
            prefetch_row(tables.live, soon)
            prefetch_row(tables.due, soon)
            prefetch_row(tables.bars, soon)
            prefetch_row(tables.indicators, soon)
            prefetch_row(tables.days, soon)
        i = dirty[LIST + nth]
        live = tables.live[i]
        for k in range(len(tables.spans)):
            if tables.due[i, k] == _NEVER:
                continue
            bar[:] = tables.bars[i, k]  # place 0 stays empty
            if live[TICKS] > 0:
                add(bar, live)
            out = provisional.values[count]
            write_prices(bar, out)
            compute(
                wanted,
                tables.indicators[i, k],
                tables.prices[i, k],
                tables.volumes[i, k],
                out,
                tables.bins,
                False,
            )
            compute_day(wanted, live, tables.days[i], True, tables.due[i, k], out)
            provisional.slots[count, 0], provisional.slots[count, 1] = i, k
            count += 1
    return count


@compiled
def seed(rows: StructArray, numbers: IntArray, places: IntArray, addresses: IntArray) -> int:
    """Take bars of the past into the indicators, without output; returns how many were new.

    `numbers` are the rows' instruments, `places` those of their timeframes (-1: not computed),
    which become -1 where the bar is not new. A bar is new when it begins after the last committed
    one and before the one that ticks are in. New minutes also count in their day, and in the longer
    bars around them, which are committed without output should no tick come.
    """
    seeded, tables = 0, open_tables(addresses)
    bar = np.zeros(LIVE_WIDTH, np.int64)
    for nth in range(len(rows)):
        row, i, k = rows[nth], numbers[nth], places[nth]
        if k < 0:
            continue
        live = tables.live[i]
        current = live if k == 0 else tables.bars[i, k]
        opens, closes, day_opens, day_closes = session_at(row.start, live, tables.hours)
        has_ticks = live[TICKS] > 0 or (k > 0 and current[TICKS] > 0 and tables.due[i, k] != _NEVER)
        if (
            opens == 0
            or row.start <= current[COMMITTED]
            or (has_ticks and row.start >= current[START])
        ):
            places[nth] = -1
            continue
        seeded += 1
        bar[START], bar[OPEN], bar[HIGH], bar[LOW], bar[CLOSE] = (
            row.start,
            row.open,
            row.high,
            row.low,
            row.close,
        )
        bar[VOLUME], bar[COMPLETE] = row.volume, 1
        if k == 0:
            end = min(row.start + _MINUTE, closes)
            if day_opens >= live[DAY_OPEN]:
                seed_minute(i, bar, (opens, closes, day_opens, day_closes), tables)
            if not has_ticks:
                live[START], live[END] = row.start, end
        else:
            end = (
                day_closes if tables.spans[k] >= _DAY else min(row.start + tables.spans[k], closes)
            )
            if not has_ticks and row.start >= current[START]:
                current[START] = row.start
                tables.due[i, k] = _NEVER  # what minutes made of it is less than the whole bar
        commit(i, k, bar, end, tables)
        current[COMMITTED] = row.start
    return seeded


@inner
def seed_minute(i: int, minute: IntArray, hours: tuple[int, int, int, int], tables: Tables) -> None:
    """Count a minute of the past in its day and in the longer bars around it.

    History is taken to be without holes and its days to begin with their open
    (`streams.warmup.plan.latest`).
    """
    live, day = tables.live[i], tables.days[i]
    if hours[2] > live[DAY_OPEN]:
        begin_day(live, day, minute[CLOSE], True)
        live[SESSION_OPEN], live[SESSION_CLOSE], live[DAY_OPEN], live[DAY_CLOSE] = hours
    day[DAY_WHOLE] = 1.0
    distance = minute[HIGH] + minute[LOW] + minute[CLOSE] - 3 * live[ANCHOR]
    day[DAY_VOLUME] += minute[VOLUME]
    day[DAY_TURNOVER] += distance * minute[VOLUME]
    day[DAY_SQUARES] += distance * distance * minute[VOLUME]
    add_to_day(day, minute, minute[START] < live[DAY_OPEN] + OPENING_RANGE)
    for k in range(1, len(tables.spans)):
        bar, start, end = tables.bars[i, k], hours[2], hours[3]
        if tables.spans[k] < _DAY:
            start = minute[START] - (minute[START] - hours[0]) % tables.spans[k]
            end = min(start + tables.spans[k], hours[1])
        if start <= bar[COMMITTED] or (tables.due[i, k] != _NEVER and start < bar[START]):
            continue
        if tables.due[i, k] == _NEVER or start > bar[START]:
            open_bar(bar, start)
            bar[COMPLETE] = minute[START] == start
            tables.due[i, k] = end
            tables.market[NEXT_DUE] = min(tables.market[NEXT_DUE], end + _LATENESS)
        add(bar, minute)

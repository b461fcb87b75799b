"""The hot path's entry points, compiled: records of ticks become closed bars with their values.

Everything is decided row by row, so one batch of a thousand ticks and a thousand batches of one
give the same bars in the same order. `streams.engine.bars` says how ticks make bars.

`addresses` are the arrays (`streams.engine.arrays`), `i` is the number of an instrument, `k` the
place of a timeframe.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import carray, int64

from schemas.ticks import HEADER, MAGIC, NO_VOLUME, SCHEMA_VERSION, TICK
from schemas.units import NS_PER_SECOND
from streams.engine.arrays import (
    BATCH,
    CLOSED,
    COUNT,
    LIST,
    NEXT_ROW,
    open_out,
    open_progress,
    open_provisional,
    open_tables,
)
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
from streams.engine.compiled import (
    FloatArray,
    IntArray,
    StructArray,
    bytes_address,
    compiled,
    inner,
    pointer,
    prefetch,
)
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
    DAY_TOTAL,
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
    PRICE,
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
_KIND: Final = SCHEMA_VERSION << 16 | MAGIC  # the first four bytes of a record of ticks
_CLOCK_WORD: Final = 1  # where a record's header has its clock, in words
HEADER_BYTES: Final = HEADER.itemsize
ROW_BYTES: Final = TICK.itemsize
QUIET: Final = 0
LOOK: Final = 1
UNREADABLE: Final = -1
UNKNOWN: Final = -2
_NEXT: Final = 2  # the same, in instruments looked at


@compiled
def apply_record(record: bytes, first: int, addresses: IntArray) -> int:
    """Apply a record of ticks from row `first` on, then move the market clock on to the record's.

    Returns `QUIET` when no bar closed, else `LOOK`: `progress` then tells how many closed bars were
    written and which row to go on with. It stops early while every open bar still fits, so that the
    caller can take the closed ones and call again.

    Before anything changed it returns `UNREADABLE`, where `schemas.ticks.decode` tells why, or
    `UNKNOWN`, when an instrument has no row yet.
    """
    tables, out = open_tables(addresses), open_out(addresses)
    length, start = len(record), bytes_address(record)
    if length < HEADER_BYTES:
        return UNREADABLE
    head = carray(pointer(start), (HEADER_BYTES // 8,), np.int64)
    size = head[0] >> 32 & 0xFFFFFFFF
    if head[0] & 0xFFFFFFFF != _KIND or length != HEADER_BYTES + size * ROW_BYTES:
        return UNREADABLE
    rows = carray(pointer(start + HEADER_BYTES), (size, ROW_BYTES // 8), np.int64)
    dirty, progress = open_provisional(addresses).dirty, open_progress(addresses)
    if first == 0:
        verdict = check_rows(rows, tables)
        if verdict < 0:
            return verdict
        dirty[COUNT] = 0
        dirty[BATCH] += 1
    market, count = tables.market, int64(0)
    room, at = (len(tables.order) + 1) * len(tables.spans), first
    while at < size and len(out.facts) - count >= room:
        row = rows[at]
        at += 1
        i = number_of(row[INSTRUMENT_WORD] & KEY_BITS, tables.lookup)
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
    if len(out.facts) - count >= room:
        count = advance_to(head[_CLOCK_WORD], tables, out, count)
        at = size + 1
    progress[NEXT_ROW], progress[CLOSED] = at, count
    return LOOK if count > 0 or at <= size else QUIET


@inner
def check_rows(rows: IntArray, tables: Tables) -> int:
    """Check each row as `schemas.ticks.decode` does; `UNKNOWN` if an instrument has no row yet.

    Nobody has one in a segment that does not exist. What is found has its row of the table brought
    into the cache meanwhile.
    """
    unknown = False
    for row in rows:
        if (
            row[PRICE] <= 0
            or row[DAY_TOTAL] < NO_VOLUME
            or row[TIME] <= 0
            or row[TIME] > row[ROW_CLOCK]
        ):
            return UNREADABLE
        i = number_of(row[INSTRUMENT_WORD] & KEY_BITS, tables.lookup)
        if i < 0:
            unknown = True
        else:
            prefetch_row(tables.live, i)
    return UNKNOWN if unknown else QUIET


@inner
def number_of(key: int, lookup: IntArray) -> int:
    """The number of the instrument with that key, -1 where unknown."""
    mask = len(lookup) - 1
    slot = (key ^ (key >> 7)) & mask
    while lookup[slot, 0] != key and lookup[slot, 0] >= 0:
        slot = (slot + 1) & mask
    number: int = lookup[slot, 1]
    return number


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

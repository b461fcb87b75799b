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
    CLOSED,
    NEXT_ROW,
    PROVISIONAL,
    Out,
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
    write_provisional,
)
from streams.engine.compiled import (
    FloatArray,
    IntArray,
    StructArray,
    bytes_address,
    compiled,
    inlined,
    inner,
    opener,
    pointer,
    prefetch,
)
from streams.engine.layout import (
    ANCHOR,
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
from streams.engine.session_indicators import OPENING_RANGE
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
UNREADABLE: Final = -1
UNKNOWN: Final = -2
LOOK: Final = -3


@compiled
def apply_record(record: bytes, first: int, each_tick: bool, addresses: IntArray) -> int:
    """Apply a record of ticks from row `first` on, then move the market clock on to the record's.

    With `each_tick` the values of the instrument's forming bars are written after every tick that
    counts. Returns how many rows of them there are when that is all, else `LOOK`: `progress` then
    tells how many, how many bars closed, and which row to go on with. It stops
    early while every open bar still fits, so that the caller can take them and call again.

    Before anything changed it returns `UNREADABLE`, where `schemas.ticks.decode` tells why, or
    `UNKNOWN`, when an instrument has no row yet.
    """
    start, size = bytes_address(record), rows_in(record)
    if size < 0:
        return UNREADABLE
    tables, out = open_tables(addresses), open_out(addresses)
    rows = carray(pointer(start + HEADER_BYTES), (size, ROW_BYTES // 8), np.int64)
    if first == 0:
        verdict = check_rows(rows, tables)
        if verdict < 0:
            return verdict
    provisional, progress = open_provisional(addresses), open_progress(addresses)
    count, written, at = int64(0), int64(0), first
    room = (len(tables.order) + 1) * len(tables.spans)
    while at < size and len(out.facts) - count >= room and written < len(provisional.ticks):
        i = number_of(rows[at, INSTRUMENT_WORD] & KEY_BITS, tables.lookup)
        counts, count = apply_row(rows[at], i, tables, out, count)
        if counts and each_tick:
            provisional.ticks[written, 0], provisional.ticks[written, 1] = at, i
            write_provisional(i, tables, provisional.values[written])
            written += 1
        at += 1
    if at == size and len(out.facts) - count >= room:
        clock = carray(pointer(start), (HEADER_BYTES // 8,), np.int64)[_CLOCK_WORD]
        count = advance_to(clock, tables, out, count)
        if count == 0:
            return int(written)
        at += 1
    progress[NEXT_ROW], progress[CLOSED], progress[PROVISIONAL] = at, count, written
    return LOOK


@opener
def rows_in(record: bytes) -> int:
    """How many rows a record of ticks has; `UNREADABLE` where header or length say it is none."""
    length = len(record)
    if length < HEADER_BYTES:
        return UNREADABLE
    kind = carray(pointer(bytes_address(record)), (1,), np.int64)[0]
    size = kind >> 32 & 0xFFFFFFFF
    if kind & 0xFFFFFFFF != _KIND or length != HEADER_BYTES + size * ROW_BYTES:
        return UNREADABLE
    return int(size)


@inlined
def apply_row(row: IntArray, i: int, tables: Tables, out: Out, count: int) -> tuple[bool, int]:
    """Apply one tick; says whether it counts, and the number of closed bars."""
    market, live, moment = tables.market, tables.live[i], row[TIME]
    if row[ROW_CLOCK] > market[CLOCK]:
        count = advance_to(row[ROW_CLOCK], tables, out, count)
    market[TICKS_SEEN] += 1
    complete = True
    if live[TICKS] == 0 or moment < live[START] or moment >= live[END]:
        accepted, complete, count = open_for_tick(row, i, tables, out, count)
        if not accepted:
            return False, count
    update(row, live, market, complete)
    return True, count


@inlined
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
    return UNKNOWN if unknown else 0


@inlined
def number_of(key: int, lookup: IntArray) -> int:
    """The number of the instrument with that key, -1 where unknown."""
    mask = len(lookup) - 1
    slot = (key ^ (key >> 7)) & mask
    while lookup[slot, 0] != key and lookup[slot, 0] >= 0:
        slot = (slot + 1) & mask
    number: int = lookup[slot, 1]
    return number


@inner
def prefetch_row(table: IntArray | FloatArray, i: int) -> None:
    """Have row `i` brought into the cache: rows of thousands of instruments do not fit there."""
    address, size = table[i].ctypes.data, table[i].size * table.itemsize
    for line in range(0, size + _LINE, _LINE):
        prefetch(address + line)


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
        tables.noted[i] = 0
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

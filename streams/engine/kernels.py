"""The hot path, compiled: rows of ticks become closed bars with their readings.

Everything is decided row by row, so one batch of a thousand ticks and a thousand batches of one
give the same bars in the same order. Ticks go into 1-minute bars only; a closed minute is folded
into the longer bars around it, which makes them its sum. What closes at once closes in order of
(end, segment, security id), the longest bar first, so heartbeats change nothing.

`live` is one instrument's row of the table, `i` its number, `k` the place of a timeframe. `out` are
the arrays that closed bars are written to: `facts` (`FACTS` and the key) and `values` (`VALUES`,
then what `captures` asks for).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.units import NS_PER_SECOND
from streams.engine.arrays import BATCH, COUNT, LIST, Out, open_ahead, open_out, open_tables
from streams.engine.compiled import Numbers, Reals, Table, compiled, inner, prefetch
from streams.engine.hours import DAYS, FIRST
from streams.engine.indicators import OPENING_RANGE, read, read_day
from streams.engine.layout import (
    ANCHOR,
    BAR_WIDTH,
    BEFORE_HIGH,
    BEFORE_LAST,
    BEFORE_LOW,
    CLOCK,
    CLOCK_DAY,
    CLOSE,
    CLOSED_AT,
    COMMITTED,
    COMPLETE,
    COUNTER,
    COUNTER_DAY,
    DAY_CLOSE,
    DAY_HIGH,
    DAY_LAST,
    DAY_LOW,
    DAY_OPEN,
    DAY_SEEN_FROM,
    DAY_SQUARES,
    DAY_TOTAL,
    DAY_TURNOVER,
    DAY_VOLUME,
    DAY_WHOLE,
    END,
    HIGH,
    HOURS,
    INSTRUMENT_WORD,
    JOINED_AT,
    KEY_BITS,
    LAST_AT,
    LATE,
    LIVE_WIDTH,
    LOW,
    NEXT_DUE,
    OPEN,
    OPENED_AT,
    OUTSIDE,
    PRICE,
    RANGE_HIGH,
    RANGE_LOW,
    RESETS,
    ROW_CLOCK,
    SESSION_CLOSE,
    SESSION_OPEN,
    SQUARES,
    START,
    TICKS,
    TICKS_SEEN,
    TIME,
    TURNOVER,
    VOLUME,
)  # fmt: skip
from streams.engine.tables import ALLOWED_LATENESS, NEVER, Tables

_IST: Final = 19_800 * NS_PER_SECOND
_DAY: Final = 86_400 * NS_PER_SECOND
_MINUTE: Final = 60 * NS_PER_SECOND
_LATENESS: Final = int(ALLOWED_LATENESS)
_NEVER: Final = int(NEVER)
_LINE: Final = 64  # bytes of a cache line
_SOON: Final = 8  # rows of ticks between the asking for a row of the table and its use
_NEXT: Final = 2  # the same, in instruments looked at

OWN_PREVIOUS: Final = -1
"""In a capture, in place of a timeframe: the value of the bar before."""


@compiled
def locate(rows: Numbers, at: Numbers, found: Numbers) -> int:
    """Write each row's instrument number to `found`, -1 where unknown.

    Returns how many are unknown.
    """
    lookup = open_tables(at).lookup
    unknown = 0
    mask = len(lookup) - 1
    for nth in range(len(rows)):
        key = rows[nth, INSTRUMENT_WORD] & KEY_BITS
        slot = (key ^ (key >> 7)) & mask
        while lookup[slot, 0] != key and lookup[slot, 0] >= 0:
            slot = (slot + 1) & mask
        found[nth] = lookup[slot, 1]
        unknown += found[nth] < 0
    return unknown


@compiled
def apply_rows(
    rows: Numbers, found: Numbers, first: int, clock: int, at: Numbers
) -> tuple[int, int]:
    """Apply rows from `first` on, then move the market clock on to `clock`.

    Returns the row to go on with and the number of closed bars written. Stops early while every
    open bar still fits, so that the caller can take the closed ones and call again.
    """
    tables, out, touched = open_tables(at), open_out(at), open_ahead(at).touched
    market, count = tables.market, 0
    room = (len(tables.order) + 1) * len(tables.spans)
    if first == 0:
        touched[COUNT] = 0
        touched[BATCH] += 1
    for nth in range(first, len(rows)):
        if len(out.facts) - count < room:
            return nth, count
        row, i = rows[nth], found[nth]
        if nth + _SOON < len(rows):
            fetch(tables.live, found[nth + _SOON])
        if row[ROW_CLOCK] > market[CLOCK]:
            count = advance_to(row[ROW_CLOCK], tables, out, count)
        market[TICKS_SEEN] += 1
        live, moment = tables.live[i], row[TIME]
        complete = True
        if live[TICKS] == 0 or moment < live[START] or moment >= live[END]:
            accepted, complete, count = turn(row, i, tables, out, count)
            if not accepted:
                continue
        merge(row, live, market, complete)
        touch(i, touched, len(tables.live))
    if len(out.facts) - count < room:
        return len(rows), count
    return len(rows) + 1, advance_to(clock, tables, out, count)


@inner
def touch(i: int, touched: Numbers, capacity: int) -> None:
    if touched[LIST + capacity + i] != touched[BATCH]:
        touched[LIST + capacity + i] = touched[BATCH]
        touched[LIST + touched[COUNT]] = i
        touched[COUNT] += 1


@inner
def fetch(table: Numbers | Reals, i: int) -> None:
    """Have row `i` brought into the cache: rows of thousands of instruments do not fit there."""
    address, size = table[i].ctypes.data, table[i].size * table.itemsize
    for line in range(0, size + _LINE, _LINE):
        prefetch(address + line)


@inner
def advance_to(clock: int, tables: Tables, out: Out, count: int) -> int:
    """A clock that falls back is ignored."""
    market = tables.market
    if clock <= market[CLOCK]:
        return count
    market[CLOCK] = clock
    day = (clock + _IST) // _DAY
    if day != market[CLOCK_DAY]:
        market[CLOCK_DAY] = day
        market[DAY_SEEN_FROM] = clock
    while market[NEXT_DUE] <= clock:
        count = close_due(market[NEXT_DUE], tables, out, count)
    return count


@inner
def close_due(moment: int, tables: Tables, out: Out, count: int) -> int:
    """Close the bars due exactly at `moment`, in instrument order, and find the next moment one is due."""
    soonest = _NEVER
    limit = moment - _LATENESS
    for i in tables.order:
        count = close_ended(i, limit, tables, out, count)
        for k in range(len(tables.spans)):
            soonest = min(soonest, tables.due[i, k])
    tables.market[NEXT_DUE] = soonest + _LATENESS if soonest < _NEVER else _NEVER
    return count


@inner
def close_ended(i: int, limit: int, tables: Tables, out: Out, count: int) -> int:
    """Close the instrument's bars that ended by `limit`.

    The earliest end first, of equals the longest.
    """
    due = tables.due[i]
    if due[0] <= limit:
        fold(i, tables)
    while True:
        first = -1
        for k in range(len(due) - 1, -1, -1):
            if due[k] <= limit and (first < 0 or due[k] < due[first]):
                first = k
        if first < 0:
            return count
        count = close_bar(i, first, tables, out, count)


@inner
def turn(row: Numbers, i: int, tables: Tables, out: Out, count: int) -> tuple[bool, bool, int]:
    """A tick that is not of the open minute.

    Open its own, unless it is late or outside the session.

    Returns whether the tick counts, whether its volume is known, and the bars written.
    """
    live, market, moment = tables.live[i], tables.market, row[TIME]
    opens, closes, day_opens, day_closes = session_at(moment, live, tables.hours)
    if opens == 0:
        market[OUTSIDE] += 1
        note_outside(row, live)
        return False, False, close_ended(i, moment, tables, out, count)
    start = moment - (moment - opens) % _MINUTE
    end = min(start + _MINUTE, closes)
    over = start < live[START] or (start == live[START] and live[TICKS] == 0)
    if over or end + _LATENESS <= row[ROW_CLOCK] or is_told(i, moment, opens, day_opens, tables):
        market[LATE] += 1
        return False, False, count
    count = close_ended(i, moment, tables, out, count)
    complete = begin_counting(row, live, market, day_opens + _MINUTE)
    live[SESSION_OPEN], live[SESSION_CLOSE] = opens, closes
    if day_opens != live[DAY_OPEN]:
        begin_day(live, tables.days[i], row[PRICE], complete)
        live[DAY_OPEN], live[DAY_CLOSE] = day_opens, day_closes
    open_minute(live, start, end, moment, row[PRICE])
    tables.due[i, 0] = end
    open_longer(i, moment, tables)
    market[NEXT_DUE] = min(market[NEXT_DUE], end + _LATENESS)
    return True, complete, count


@inner
def is_told(i: int, moment: int, opens: int, day_opens: int, tables: Tables) -> bool:
    """Whether a longer bar around `moment` is closed.

    A gateway's new process may tell an earlier clock than the last.
    """
    for k in range(1, len(tables.spans)):
        span = tables.spans[k]
        start = day_opens if span >= _DAY else moment - (moment - opens) % span
        if start <= tables.bars[i, k, COMMITTED]:
            return True
    return False


@inner
def session_at(moment: int, live: Numbers, hours: Numbers) -> tuple[int, int, int, int]:
    """Open and close of the session that holds `moment`, and of the day's first and last; all 0 outside."""
    if live[SESSION_OPEN] <= moment < live[SESSION_CLOSE]:
        return live[SESSION_OPEN], live[SESSION_CLOSE], live[DAY_OPEN], live[DAY_CLOSE]
    day = (moment + _IST) // _DAY - FIRST
    if not 0 <= day < DAYS:
        return 0, 0, 0, 0
    sessions = hours[live[HOURS], day]
    for nth in range(len(sessions)):
        if sessions[nth, 0] <= moment < sessions[nth, 1]:
            last = sessions[nth, 1]
            for later in range(nth, len(sessions)):
                last = max(last, sessions[later, 1])
            return sessions[nth, 0], sessions[nth, 1], sessions[0, 0], last
    return 0, 0, 0, 0


@inner
def note_outside(row: Numbers, live: Numbers) -> None:
    """A tick before the open or after the close makes no bar, but its volume is not the next bar's."""
    day = (row[TIME] + _IST) // _DAY
    if day < live[COUNTER_DAY] or row[TIME] < live[LAST_AT] or row[DAY_TOTAL] < 0:
        return
    live[COUNTER_DAY], live[COUNTER], live[LAST_AT] = day, row[DAY_TOTAL], row[TIME]


@inner
def begin_counting(row: Numbers, live: Numbers, market: Numbers, first_bar_end: int) -> bool:
    """On the instrument's first tick of a day, choose where its volume counts from.

    False when that is unknown. It counts from 0 when both we and the gateway were there in the
    day's first minute: what was traded before then is else not this bar's.
    """
    day = (row[TIME] + _IST) // _DAY
    if day == live[COUNTER_DAY]:
        return True
    live[COUNTER_DAY] = day
    joined = row[INSTRUMENT_WORD] >> JOINED_AT
    since = day * _DAY - _IST + (joined - 1) * _MINUTE if joined else 0
    watched = market[CLOCK_DAY] == day and max(market[DAY_SEEN_FROM], since) < first_bar_end
    live[COUNTER] = 0 if watched else max(row[DAY_TOTAL], 0)
    return bool(watched)


@inner
def begin_day(live: Numbers, day: Reals, price: int, whole: bool) -> None:
    """The day that ends becomes the day before, if it was whole; the new one is empty."""
    known = day[DAY_WHOLE] > 0 and day[DAY_HIGH] > 0
    day[BEFORE_HIGH] = day[DAY_HIGH] if known else np.nan
    day[BEFORE_LOW] = day[DAY_LOW] if known else np.nan
    day[BEFORE_LAST] = day[DAY_LAST] if known else np.nan
    day[DAY_VOLUME] = day[DAY_TURNOVER] = day[DAY_SQUARES] = 0.0
    day[DAY_HIGH] = day[DAY_LOW] = day[DAY_LAST] = 0.0
    day[RANGE_HIGH] = day[RANGE_LOW] = np.nan
    day[DAY_WHOLE] = 1.0 if whole else 0.0
    live[ANCHOR] = price


@inner
def open_minute(live: Numbers, start: int, end: int, moment: int, price: int) -> None:
    live[START], live[END] = start, end
    live[OPENED_AT] = live[CLOSED_AT] = moment
    live[OPEN] = live[HIGH] = live[LOW] = live[CLOSE] = price
    live[TICKS] = live[VOLUME] = live[TURNOVER] = live[SQUARES] = 0
    live[COMPLETE] = 1


@inner
def open_longer(i: int, moment: int, tables: Tables) -> None:
    """Open the longer bars around `moment` that are not open yet.

    A day's bar spans all sessions of the day.
    """
    live = tables.live[i]
    for k in range(1, len(tables.spans)):
        if tables.due[i, k] != _NEVER:
            continue
        span, bar = tables.spans[k], tables.bars[i, k]
        if span >= _DAY:
            start, end = live[DAY_OPEN], live[DAY_CLOSE]
        else:
            start = moment - (moment - live[SESSION_OPEN]) % span
            end = min(start + span, live[SESSION_CLOSE])
        open_bar(bar, start)
        tables.due[i, k] = end


@inner
def open_bar(bar: Numbers, start: int) -> None:
    bar[START], bar[TICKS], bar[OPEN], bar[VOLUME], bar[COMPLETE] = start, 0, 0, 0, 1


@inner
def merge(row: Numbers, live: Numbers, market: Numbers, complete: bool) -> None:
    """Take one tick into the open minute.

    Open and close go by exchange time; within one second the first to arrive opens and the last
    closes.
    """
    moment, price = row[TIME], row[PRICE]
    volume, steady = traded(row, live)
    if moment < live[OPENED_AT]:
        live[OPENED_AT], live[OPEN] = moment, price
    if moment >= live[CLOSED_AT]:
        live[CLOSED_AT], live[CLOSE] = moment, price
    live[HIGH], live[LOW] = max(live[HIGH], price), min(live[LOW], price)
    live[TICKS] += 1
    if volume > 0:
        distance = 3 * (price - live[ANCHOR])
        live[VOLUME] += volume
        live[TURNOVER] += distance * volume
        live[SQUARES] += distance * distance * volume
    if not steady:
        market[RESETS] += 1
    if not (complete and steady):
        live[COMPLETE] = 0


@inner
def traded(row: Numbers, live: Numbers) -> tuple[int, bool]:
    """Units traded since the instrument's last tick, and False when the day's counter fell.

    A tick that was overtaken by a later one may show a smaller counter: that is no fall.
    """
    overtaken = row[TIME] < live[LAST_AT]
    live[LAST_AT] = max(live[LAST_AT], row[TIME])
    if row[DAY_TOTAL] < 0:
        return 0, True
    growth = row[DAY_TOTAL] - live[COUNTER]
    if growth < 0 and overtaken:
        return 0, True
    live[COUNTER] = row[DAY_TOTAL]
    return max(growth, 0), growth >= 0


@inner
def fold(i: int, tables: Tables) -> None:
    """Add the minute that ends to the longer bars around it, and to the day."""
    live, day = tables.live[i], tables.days[i]
    for k in range(1, len(tables.spans)):
        if tables.due[i, k] != _NEVER:
            add(tables.bars[i, k], live)
    day[DAY_VOLUME] += live[VOLUME]
    day[DAY_TURNOVER] += live[TURNOVER]
    day[DAY_SQUARES] += live[SQUARES]
    add_to_day(day, live, live[START] < live[DAY_OPEN] + OPENING_RANGE)


@inner
def add(bar: Numbers, minute: Numbers) -> None:
    """Make `bar` the sum of itself and a minute after it."""
    if bar[OPEN] == 0:
        bar[OPEN], bar[HIGH], bar[LOW] = minute[OPEN], minute[HIGH], minute[LOW]
    bar[HIGH], bar[LOW] = max(bar[HIGH], minute[HIGH]), min(bar[LOW], minute[LOW])
    bar[CLOSE] = minute[CLOSE]
    bar[VOLUME] += minute[VOLUME]
    bar[TICKS] += minute[TICKS]
    bar[COMPLETE] &= minute[COMPLETE]


@inner
def add_to_day(day: Reals, minute: Numbers, opening: bool) -> None:
    high, low = float(minute[HIGH]), float(minute[LOW])
    day[DAY_HIGH] = max(day[DAY_HIGH], high)
    day[DAY_LOW] = min(day[DAY_LOW], low) if day[DAY_LOW] > 0 else low
    day[DAY_LAST] = minute[CLOSE]
    if opening:
        day[RANGE_HIGH] = high if np.isnan(day[RANGE_HIGH]) else max(day[RANGE_HIGH], high)
        day[RANGE_LOW] = low if np.isnan(day[RANGE_LOW]) else min(day[RANGE_LOW], low)


@inner
def close_bar(i: int, k: int, tables: Tables, out: Out, count: int) -> int:
    """Commit the bar to its indicators and write it with their values as row `count`.

    A bar built only from history has no ticks and is not published.
    """
    bar = tables.live[i] if k == 0 else tables.bars[i, k]
    final, values = tables.finals[i, k], out.values[count]
    for nth in range(len(out.captures)):
        of, place = out.captures[nth, 0], out.captures[nth, 1]
        if of == OWN_PREVIOUS:
            values[len(final) + nth] = final[place]
        else:
            values[len(final) + nth] = tables.finals[i, of, place] if of > k else np.nan
    commit(i, k, bar, tables.due[i, k], tables)
    facts = out.facts[count]
    facts[0], facts[1], facts[2], facts[3] = i, k, bar[START], tables.due[i, k]
    facts[4], facts[5] = bar[TICKS], bar[COMPLETE]
    for place in range(len(final)):
        values[place] = final[place]
    bar[TICKS] = 0
    tables.due[i, k] = _NEVER
    return count + 1


@inner
def commit(i: int, k: int, bar: Numbers, end: int, tables: Tables) -> None:
    """Take a final bar into the indicators; `finals` then holds their values."""
    final, wanted = tables.finals[i, k], tables.wanted[0]
    final[:] = np.nan
    final[0], final[1], final[2], final[3], final[4] = (
        bar[OPEN],
        bar[HIGH],
        bar[LOW],
        bar[CLOSE],
        bar[VOLUME],
    )
    read(
        wanted,
        tables.indicators[i, k],
        tables.prices[i, k],
        tables.volumes[i, k],
        final,
        tables.bins,
        True,
    )
    read_day(wanted, tables.live[i], tables.days[i], False, end, final)
    bar[COMMITTED] = bar[START]


@compiled
def look_ahead(at: Numbers) -> int:
    """Write the readings that the open bars of touched instruments would have if they closed now; returns how many."""
    tables, ahead = open_tables(at), open_ahead(at)
    count, touched, wanted = 0, ahead.touched, tables.wanted[0]
    bar = np.empty(BAR_WIDTH, np.int64)
    for nth in range(touched[COUNT]):
        if nth + _NEXT < touched[COUNT]:
            soon = touched[LIST + nth + _NEXT]
            fetch(tables.live, soon)
            fetch(tables.due, soon)
            fetch(tables.bars, soon)
            fetch(tables.indicators, soon)
            fetch(tables.days, soon)
        i = touched[LIST + nth]
        live = tables.live[i]
        for k in range(len(tables.spans)):
            if tables.due[i, k] == _NEVER:
                continue
            bar[:] = tables.bars[i, k]  # place 0 stays empty
            if live[TICKS] > 0:
                add(bar, live)
            out = ahead.values[count]
            out[:] = np.nan
            out[0], out[1], out[2], out[3], out[4] = (
                bar[OPEN],
                bar[HIGH],
                bar[LOW],
                bar[CLOSE],
                bar[VOLUME],
            )
            read(
                wanted,
                tables.indicators[i, k],
                tables.prices[i, k],
                tables.volumes[i, k],
                out,
                tables.bins,
                False,
            )
            read_day(wanted, live, tables.days[i], True, tables.due[i, k], out)
            ahead.slots[count, 0], ahead.slots[count, 1] = i, k
            count += 1
    return count


@compiled
def absorb(rows: Table, numbers: Numbers, places: Numbers, addressed: Numbers) -> int:
    """Take bars of the past into the indicators, without output; returns how many were new.

    `numbers` are the rows' instruments, `places` those of their timeframes (-1: not computed),
    which become -1 where the bar is not new. A bar is new when it begins after the last committed
    one and before the one that ticks are in. New minutes also count in their day, and in the longer
    bars around them, which are committed without output should no tick come.
    """
    taken, tables = 0, open_tables(addressed)
    bar = np.zeros(LIVE_WIDTH, np.int64)
    for at in range(len(rows)):
        row, i, k = rows[at], numbers[at], places[at]
        if k < 0:
            continue
        live = tables.live[i]
        kept = live if k == 0 else tables.bars[i, k]
        opens, closes, day_opens, day_closes = session_at(row.start, live, tables.hours)
        heard = live[TICKS] > 0 or (k > 0 and kept[TICKS] > 0 and tables.due[i, k] != _NEVER)
        if opens == 0 or row.start <= kept[COMMITTED] or (heard and row.start >= kept[START]):
            places[at] = -1
            continue
        taken += 1
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
                absorb_minute(i, bar, (opens, closes, day_opens, day_closes), tables)
            if not heard:
                live[START], live[END] = row.start, end
        else:
            end = (
                day_closes if tables.spans[k] >= _DAY else min(row.start + tables.spans[k], closes)
            )
            if not heard and row.start >= kept[START]:
                kept[START] = row.start
                tables.due[i, k] = _NEVER  # what minutes made of it is less than the whole bar
        commit(i, k, bar, end, tables)
        kept[COMMITTED] = row.start
    return taken


@inner
def absorb_minute(
    i: int, minute: Numbers, hours: tuple[int, int, int, int], tables: Tables
) -> None:
    """Count a minute of the past in its day and in the longer bars around it.

    History is taken to be without holes and its days to begin with their open
    (`streams.warmup.plan.newest`).
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

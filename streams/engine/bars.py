"""Bars, compiled: how ticks make minutes, minutes make longer bars, and bars close.

Ticks go into 1-minute bars only; a closed minute is rolled up into the longer bars around it, which
makes them its sum. What closes at once closes in order of (end, segment, security id), the longest
bar first, so heartbeats change nothing.

`live` is one instrument's row of the table, `i` its number, `k` the place of a timeframe. `out` are
the arrays that closed bars are written to: `facts` (`FACTS`) and `values` (`VALUES`, then what
`captures` asks for).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import int64

from schemas.units import NS_PER_SECOND
from streams.engine import closed_bars
from streams.engine.arrays import Out
from streams.engine.compiled import FloatArray, IntArray, inlined, inner
from streams.engine.hours import DAYS, FIRST
from streams.engine.indicators import FORMING, compute
from streams.engine.lanes import LANES, BarLanes, get, lanes, larger, select, smaller
from streams.engine.layout import (
    ANCHOR,
    BARS,
    BEFORE_HIGH,
    BEFORE_LAST,
    BEFORE_LOW,
    BIT_PROFILE,
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
    FIRST_OPEN,
    HIGH,
    HIGH_BEFORE,
    HOURS,
    INSTRUMENT_WORD,
    JOINED_AT,
    LAST_AT,
    LATE,
    LOW,
    LOW_BEFORE,
    NEXT_DUE,
    OPEN,
    OPENED_AT,
    OUTSIDE,
    PRICE,
    RANGE_HIGH,
    RANGE_KNOWN,
    RANGE_LOW,
    RESETS,
    ROW_CLOCK,
    SESSION_CLOSE,
    SESSION_OPEN,
    SQUARES,
    START,
    TICKS,
    TIME,
    TURNOVER,
    VOLUME,
    VOLUME_BEFORE,
    WINDOWED,
)
from streams.engine.session_indicators import OPENING_RANGE, day_values, write_day
from streams.engine.tables import ALLOWED_LATENESS, NEVER, Tables
from streams.engine.volume_profile import volume_profile
from streams.engine.windows import precompute, push_bar

_IST: Final = 19_800 * NS_PER_SECOND
_DAY: Final = 86_400 * NS_PER_SECOND
_MINUTE: Final = 60 * NS_PER_SECOND
_LATENESS: Final = int(ALLOWED_LATENESS)
_NEVER: Final = int(NEVER)
OWN_PREVIOUS: Final = -1
"""In a capture, in place of a timeframe: the value of the bar before."""


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
    """Close the bars due exactly at `moment`, in instrument order.

    Then find the next moment one is due.
    """
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
        roll_up(i, tables)
    while True:
        # typed: a literal would have all that follows compiled twice
        first = int64(-1)
        for k in range(len(due) - 1, -1, -1):
            if due[k] <= limit and (first < 0 or due[k] < due[first]):
                first = k
        if first < 0:
            return count
        count = close_bar(i, first, tables, out, count)


@inner
def open_for_tick(
    row: IntArray, i: int, tables: Tables, out: Out, count: int
) -> tuple[bool, bool, int]:
    """Open the minute of a tick that is not of the open one.

    Unless it is late or outside the session.

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
    if (
        over
        or end + _LATENESS <= row[ROW_CLOCK]
        or is_published(i, moment, opens, day_opens, tables)
    ):
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
def is_published(i: int, moment: int, opens: int, day_opens: int, tables: Tables) -> bool:
    """Whether a longer bar around `moment` was published.

    A gateway's new process may begin with an earlier clock than the last.
    """
    for k in range(1, len(tables.spans)):
        span = tables.spans[k]
        start = day_opens if span >= _DAY else moment - (moment - opens) % span
        if start <= tables.bars[i, k, COMMITTED]:
            return True
    return False


@inner
def session_at(moment: int, live: IntArray, hours: IntArray) -> tuple[int, int, int, int]:
    """Open and close of the session that holds `moment`, open and close of the day.

    All are 0 outside sessions.
    """
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
def note_outside(row: IntArray, live: IntArray) -> None:
    """Count the volume of a tick before the open or after the close.

    It makes no bar, and its volume must not become the next bar's.
    """
    day = (row[TIME] + _IST) // _DAY
    if day < live[COUNTER_DAY] or row[TIME] < live[LAST_AT] or row[DAY_TOTAL] < 0:
        return
    live[COUNTER_DAY], live[COUNTER], live[LAST_AT] = day, row[DAY_TOTAL], row[TIME]


@inner
def begin_counting(row: IntArray, live: IntArray, market: IntArray, first_bar_end: int) -> bool:
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
def begin_day(live: IntArray, day: FloatArray, price: int, whole: bool) -> None:
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
def open_minute(live: IntArray, start: int, end: int, moment: int, price: int) -> None:
    """Begin a 1-minute bar with its first tick."""
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
def open_bar(bar: IntArray, start: int) -> None:
    """Begin a longer bar, with nothing in it."""
    bar[START], bar[TICKS], bar[OPEN], bar[VOLUME], bar[COMPLETE] = start, 0, 0, 0, 1


@inlined
def update(row: IntArray, live: IntArray, market: IntArray, complete: bool) -> None:
    """Update the open minute with one tick.

    Open and close go by exchange time; within one second the first to arrive opens and the last
    closes.
    """
    moment, price = row[TIME], row[PRICE]
    volume, steady = volume_delta(row, live)
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


@inlined
def volume_delta(row: IntArray, live: IntArray) -> tuple[int, bool]:
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
def roll_up(i: int, tables: Tables) -> None:
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
def add(bar: IntArray, minute: IntArray) -> None:
    """Make `bar` the sum of itself and a minute after it."""
    if bar[OPEN] == 0:
        bar[OPEN], bar[HIGH], bar[LOW] = minute[OPEN], minute[HIGH], minute[LOW]
    bar[HIGH], bar[LOW] = max(bar[HIGH], minute[HIGH]), min(bar[LOW], minute[LOW])
    bar[CLOSE] = minute[CLOSE]
    bar[VOLUME] += minute[VOLUME]
    bar[TICKS] += minute[TICKS]
    bar[COMPLETE] &= minute[COMPLETE]


@inner
def add_to_day(day: FloatArray, minute: IntArray, opening: bool) -> None:
    """Add a minute to the day's extremes, and in its first minutes to the opening range."""
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
    facts[closed_bars.INSTRUMENT], facts[closed_bars.TIMEFRAME] = i, k
    facts[closed_bars.START], facts[closed_bars.END] = bar[START], tables.due[i, k]
    facts[closed_bars.TICKS], facts[closed_bars.COMPLETE] = bar[TICKS], bar[COMPLETE]
    for place in range(len(final)):
        values[place] = final[place]
    bar[TICKS] = 0
    tables.due[i, k] = _NEVER
    return count + 1


@inner
def commit(i: int, k: int, bar: IntArray, end: int, tables: Tables) -> None:
    """Take a final bar into the indicators; `finals` then holds their values."""
    wanted, live, lane = tables.wanted[0], tables.live[i], k % LANES
    state, row = tables.states[i, k // LANES], tables.row
    prices, volumes = tables.prices[i, k], tables.volumes[i, k]
    compute(wanted, state.ctypes.data, repeated(bar), row.ctypes.data, lane)
    known = 1.0 if end >= live[DAY_OPEN] + OPENING_RANGE else 0.0
    values = day_values(wanted, live, tables.days[i], False)
    write_day(wanted, values, lanes(known), row.ctypes.data)
    n, s, out = int(state[BARS, lane]), state[:, lane], row[:, lane]
    if wanted & BIT_PROFILE:
        volume_profile(n, prices, volumes, out, tables.bins)
    push_bar(n, s, prices, volumes, out)
    if wanted & WINDOWED:
        precompute(wanted, n, s, prices, volumes)
    for column in range(len(out)):
        tables.finals[i, k, column] = out[column]
    bar[COMMITTED] = bar[START]


@inlined
def repeated(bar: IntArray) -> BarLanes:
    """The bar as that of every timeframe."""
    return BarLanes(
        lanes(float(bar[OPEN])),
        lanes(float(bar[HIGH])),
        lanes(float(bar[LOW])),
        lanes(float(bar[CLOSE])),
        lanes(float(bar[VOLUME])),
    )


@inner
def note_longer_bars(i: int, tables: Tables) -> None:
    """Write as lanes what the longer bars hold without the open minute.

    It stays so until the minute closes, or history comes.
    """
    live = tables.live[i]
    for k in range(len(tables.spans)):
        bar, s = tables.bars[i, k], tables.states[i, k // LANES, :, k % LANES]
        empty = bar[OPEN] == 0  # as place 0 always is
        s[FIRST_OPEN], s[VOLUME_BEFORE] = bar[OPEN], bar[VOLUME]
        s[HIGH_BEFORE] = -np.inf if empty else float(bar[HIGH])
        s[LOW_BEFORE] = np.inf if empty else float(bar[LOW])
        s[RANGE_KNOWN] = 1.0 if tables.due[i, k] >= live[DAY_OPEN] + OPENING_RANGE else 0.0
    tables.noted[i] = live[START]


@inlined
def forming_bars(live: IntArray, s: int) -> BarLanes:
    """The open bars of four timeframes, the open minute counted in."""
    first = get(s, FIRST_OPEN)
    return BarLanes(
        select(first == 0.0, float(live[OPEN]), first),
        larger(get(s, HIGH_BEFORE), float(live[HIGH])),
        smaller(get(s, LOW_BEFORE), float(live[LOW])),
        lanes(float(live[CLOSE])),
        get(s, VOLUME_BEFORE) + float(live[VOLUME]),
    )


@inlined
def write_provisional(i: int, tables: Tables, rows: FloatArray) -> None:
    """Write the values of the instrument's open bars, as if each closed now."""
    wanted, live = tables.wanted[0], tables.live[i]
    if tables.noted[i] != live[START]:
        note_longer_bars(i, tables)
    values = day_values(wanted, live, tables.days[i], True)
    for block in range(len(rows)):
        state, row = tables.states[i, block], rows[block]
        s, out = state.ctypes.data, row.ctypes.data
        compute(wanted, s, forming_bars(live, s), out, int64(FORMING))
        write_day(wanted, values, get(s, RANGE_KNOWN), out)
        if wanted & BIT_PROFILE:
            for k in range(block * LANES, min((block + 1) * LANES, len(tables.spans))):
                lane = k % LANES
                n, prices, volumes = (
                    int(state[BARS, lane]),
                    tables.prices[i, k],
                    tables.volumes[i, k],
                )
                volume_profile(n, prices, volumes, row[:, lane], tables.bins)

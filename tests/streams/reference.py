"""A slow engine that says what candles mean, tick by tick and without tables, and random markets
with every nuisance.

Written from docs/streams.md, for comparison with the kernels: plain Python, one list of minutes per
instrument, and every longer bar, VWAP, opening range and pivot worked out from that list
afterwards.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple

import numpy as np

from schemas.calendar import Calendar, ClosingAuction, Holiday, Special
from schemas.ids import InstrumentId, Segment
from schemas.market import Session, Timeframe, trading_day
from schemas.ticks import NO_VOLUME, TICK, Batch
from schemas.units import IST, NS_PER_SECOND, UtcNs

MINUTE = 60 * NS_PER_SECOND
LATENESS = 2 * NS_PER_SECOND
OPENING_RANGE = 15 * MINUTE
# derivatives close later from 3 August on, and shares with an auction earlier
FIRST = date(2026, 7, 30)
AUCTIONED = InstrumentId(Segment.NSE_EQ, 101)
CALENDAR = Calendar(
    closed_weekdays=frozenset({6, 7}),
    holidays=(Holiday(day=FIRST + timedelta(1)),),
    special=(
        Special(day=FIRST + timedelta(2), open=time(18), close=time(18, 47)),
        Special(day=FIRST + timedelta(5), open=time(9, 15), close=time(10, 2)),
        Special(day=FIRST + timedelta(5), open=time(11, 31), close=time(12, 33)),
    ),
    closing_auction=(ClosingAuction(since=date(2026, 8, 3), close=time(15, 15)),),
    auction_shares=frozenset({AUCTIONED}),
)


class Print(NamedTuple):
    """One tick as it arrives; without an instrument the clock alone."""

    of: InstrumentId | None
    moment: int
    clock: int
    price: int = 0
    total: int = NO_VOLUME


class Row(NamedTuple):
    """A closed bar with what the day had come to; NaN where it is not known."""

    start: int
    end: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    ticks: int
    complete: bool
    vwap: float
    vwap_upper: float
    opening_range_high: float
    opening_range_low: float
    pivot: float


@dataclass
class Minute:
    session: Session
    start: int
    end: int
    open: int
    high: int
    low: int
    close: int
    opened_at: int
    closed_at: int
    volume: int = 0
    ticks: int = 0
    complete: bool = True
    traded: list[tuple[int, int]] = field(default_factory=list)  # price, units


@dataclass
class Story:
    """One instrument.

    Attributes:
        start: Of the newest minute that was opened.
        whole: Whether each day was watched from its open.
    """

    minutes: list[Minute] = field(default_factory=list)
    current: Minute | None = None
    start: int = 0
    counter_day: date = date.min
    counter: int = 0
    last: int = 0
    whole: dict[date, bool] = field(default_factory=dict)

    def close(self) -> None:
        assert self.current
        self.minutes.append(self.current)
        self.current = None


class SlowEngine:
    """Attributes: `late`, `outside` and `resets` count as the engine's do."""

    def __init__(self) -> None:
        self.stories: dict[InstrumentId, Story] = defaultdict(Story)
        self.late = self.outside = self.resets = 0
        self._clock = self._seen_from = 0
        self._day = date.min

    def take(self, tick: Print) -> None:
        self._advance(tick.clock)
        if tick.of is None:
            return
        story, day = self.stories[tick.of], trading_day(UtcNs(tick.moment))
        minute = story.current
        if minute is None or not minute.start <= tick.moment < minute.end:
            sessions = CALENDAR.sessions(day, tick.of)
            session = next((each for each in sessions if tick.moment in each), None)
            if session is None:
                self._note_outside(story, tick, day)
                return
            minute = self._opened(story, tick, session, sessions[0].open)
        if minute:
            self._merge(story, minute, tick)

    def _advance(self, clock: int) -> None:
        if clock <= self._clock:
            return
        self._clock, day = clock, trading_day(UtcNs(clock))
        if day != self._day:
            self._day, self._seen_from = day, clock
        for story in self.stories.values():
            if story.current and story.current.end + LATENESS <= clock:
                story.close()

    def _note_outside(self, story: Story, tick: Print, day: date) -> None:
        self.outside += 1
        if day >= story.counter_day and tick.moment >= story.last and tick.total >= 0:
            story.counter_day, story.counter, story.last = day, tick.total, tick.moment
        if story.current and story.current.end <= tick.moment:
            story.close()

    def _opened(self, story: Story, tick: Print, session: Session, day_open: int) -> Minute | None:
        start = tick.moment - (tick.moment - session.open) % MINUTE
        end = min(start + MINUTE, session.close)
        over = start < story.start or (start == story.start and story.current is None)
        if over or end + LATENESS <= tick.clock:
            self.late += 1
            return None
        if story.current:
            story.close()
        complete, price = True, tick.price
        if story.counter_day != session.day:
            complete = self._day == session.day and self._seen_from < day_open + MINUTE
            story.counter_day, story.counter = session.day, 0 if complete else max(tick.total, 0)
        story.whole.setdefault(session.day, complete)
        story.start = start
        story.current = Minute(
            session,
            start,
            end,
            price,
            price,
            price,
            price,
            tick.moment,
            tick.moment,
            complete=complete,
        )
        return story.current

    def _merge(self, story: Story, minute: Minute, tick: Print) -> None:
        overtaken, growth = tick.moment < story.last, tick.total - story.counter
        story.last = max(story.last, tick.moment)
        if tick.total >= 0 and not (growth < 0 and overtaken):
            story.counter = tick.total
            if growth < 0:
                self.resets += 1
                minute.complete = False
            elif growth > 0:
                minute.volume += growth
                minute.traded.append((tick.price, growth))
        if tick.moment < minute.opened_at:
            minute.opened_at, minute.open = tick.moment, tick.price
        if tick.moment >= minute.closed_at:
            minute.closed_at, minute.close = tick.moment, tick.price
        minute.high, minute.low = max(minute.high, tick.price), min(minute.low, tick.price)
        minute.ticks += 1

    def rows(self, of: InstrumentId, timeframe: Timeframe) -> Iterator[Row]:
        """Every closed bar of an instrument, in order."""
        story = self.stories[of]

        def span(minute: Minute) -> tuple[int, int]:
            if timeframe is Timeframe.D1:
                sessions = CALENDAR.sessions(minute.session.day, of)
                return sessions[0].open, sessions[-1].close
            start = minute.start - (minute.start - minute.session.open) % timeframe.ns
            return start, min(start + timeframe.ns, minute.session.close)

        for (start, end), group in groupby(story.minutes, span):
            minutes = list(group)
            yield Row(
                start,
                end,
                minutes[0].open,
                max(minute.high for minute in minutes),
                min(minute.low for minute in minutes),
                minutes[-1].close,
                sum(minute.volume for minute in minutes),
                sum(minute.ticks for minute in minutes),
                all(minute.complete for minute in minutes),
                *_vwap(story, minutes[-1]),
                *_opening_range(
                    story, minutes[-1], end, CALENDAR.sessions(minutes[-1].session.day, of)[0].open
                ),
                _pivot(story, minutes[-1].session.day),
            )


def _day(story: Story, day: date, until: int) -> list[Minute]:
    return [
        minute for minute in story.minutes if minute.session.day == day and minute.start <= until
    ]


def _vwap(story: Story, last: Minute) -> tuple[float, float]:
    traded = [
        pair for minute in _day(story, last.session.day, last.start) for pair in minute.traded
    ]
    volume = sum(units for _, units in traded)
    if not volume or not story.whole[last.session.day]:
        return math.nan, math.nan
    vwap = sum(price * units for price, units in traded) / volume
    variance = sum((price - vwap) ** 2 * units for price, units in traded) / volume
    return vwap, vwap + 2 * math.sqrt(variance)


def _opening_range(story: Story, last: Minute, end: int, day_open: int) -> tuple[float, float]:
    opening = [
        minute
        for minute in _day(story, last.session.day, last.start)
        if minute.start < day_open + OPENING_RANGE
    ]
    if not opening or not story.whole[last.session.day] or end < day_open + OPENING_RANGE:
        return math.nan, math.nan
    return max(minute.high for minute in opening), min(minute.low for minute in opening)


def _pivot(story: Story, day: date) -> float:
    before = max((each for each in story.whole if each < day), default=None)
    if before is None or not story.whole[before]:
        return math.nan
    minutes = _day(story, before, 2**63)
    return (
        max(each.high for each in minutes) + min(each.low for each in minutes) + minutes[-1].close
    ) / 3


# Markets

BUSY = (0, 0, 0, 0, 1, 1, 1, 2, 3, 20)  # seconds between two prints
QUIET = (0, 0, 0, 0, 1, 1, 2, 3, 20, 61, 61, 180, 1_000, 4_000)


def a_market(seed: int) -> list[Print]:
    """Some days of prints: overtaken, late and outside of sessions, counters that fall or are
    missing, quiet hours.
    """
    chance = random.Random(seed)
    count = chance.choice([3, 9, 70, 150])
    instruments = [
        InstrumentId(chance.choice(list(Segment)), 100 + number) for number in range(count)
    ]
    instruments[1] = AUCTIONED
    prints: list[Print] = []
    totals: dict[tuple[InstrumentId, date], int] = {}
    clock, day = 0, FIRST
    for _ in range(chance.choice([1, 2, 4, 8])):
        opened = chance.choice(
            ["08:58:00", "09:14:58", "09:15:20", "09:16:01", "11:00:00", "15:20:00", "17:59:00"]
        )
        second = (
            UtcNs.from_datetime(datetime.combine(day, time.fromisoformat(opened), tzinfo=IST))
            // NS_PER_SECOND
        )
        steps = chance.choice([BUSY, QUIET])
        for _ in range(chance.choice([5, 80, 600])):
            second += chance.choice(steps)
            if trading_day(UtcNs.seconds(second)) != day:
                break
            of = chance.choice(instruments)
            clock = max(clock, second * NS_PER_SECOND)
            moment = (
                second - chance.choice([0, 0, 0, 0, 0, 1, 2, 3, 4, 59, 200, 86_400])
            ) * NS_PER_SECOND
            total = totals.get((of, day), chance.choice([0, 0, 500])) + chance.choice(
                [0, 1, 7, 100]
            )
            totals[of, day] = max(
                0, total - (chance.randint(0, 300) if chance.random() < 0.01 else 0)
            )
            told = max(
                0, totals[of, day] - (chance.randint(0, 30) if chance.random() < 0.05 else 0)
            )
            silent = of.segment is Segment.IDX_I or chance.random() < 0.03
            price = chance.choice([10, 50, 999, 1_000, 1_005, 1_010, 2_000])
            prints.append(Print(of, moment, clock, price, NO_VOLUME if silent else told))
            if chance.random() < 0.05:
                clock += chance.choice([0, 1, 60]) * NS_PER_SECOND
                second = clock // NS_PER_SECOND
                prints.append(Print(None, 0, clock))
        day += timedelta(chance.choice([1, 1, 1, 2, 3]))
    return [*prints, Print(None, 0, clock + 3 * 86_400 * NS_PER_SECOND)]


def batches_of(prints: list[Print], most: int) -> Iterator[Batch]:
    """The prints in records of at most `most` rows; a clock alone is a heartbeat."""
    for alone, group in groupby(prints, lambda each: each.of is None):
        part = list(group)
        size = 1 if alone else most
        for first in range(0, len(part), size):
            piece = part[first : first + size]
            rows = np.zeros(0 if alone else len(piece), TICK)
            for row, each in zip(rows, piece, strict=False):
                assert each.of
                row["exchange_time"], row["clock"], row["price"] = (
                    each.moment,
                    each.clock,
                    each.price,
                )
                row["volume"], row["mode"] = each.total, 4
                row["segment"], row["security_id"] = each.of.segment.code, each.of.security_id
            yield Batch(UtcNs(piece[-1].clock), UtcNs(0), 1, rows)

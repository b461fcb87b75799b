from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from ats.demo.candles import bars_of
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Record
from dhan.history import DailyBar
from schemas import history
from schemas.calendar import Calendar, Holiday, Special
from schemas.errors import TryLater, Unreadable
from schemas.history import Bar
from schemas.ids import InstrumentId, Segment, derive
from schemas.market import Instrument, Timeframe, trading_day
from schemas.messages import Candle
from schemas.ticks import partition_of
from schemas.topics import CANDLES, INDICATORS, TICKS
from schemas.units import IST, NS_PER_SECOND, Paise, Price, Quantity, UtcNs
from simulator.market.session import market_session
from streams.warmup.candle_history import CandleHistory
from streams.warmup.plan import REQUESTS, WANTED, InstrumentHours, latest, resample
from streams.warmup.service import ATTEMPTS, WarmUpPlan, WarmUpReport, warm_up
from tests.streams.conftest import PLAN
from tests.streams.factories import (
    at,
    batch_of,
    candles,
    heartbeat,
    indicators,
    machine,
    random_market,
    record,
    run,
    split,
    streams_of,
    tick,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TODAY = date(2026, 11, 20)
OPEN = market_session(TODAY).open
A_DAY = 375  # minutes, the fewest whole days that hold `WANTED` of them
RELIANCE = Instrument(
    InstrumentId(Segment.NSE_EQ, 2885), "RELIANCE", "Reliance", "EQUITY", Quantity(1), Paise(10)
)
INFY = Instrument(
    InstrumentId(Segment.NSE_EQ, 1594), "INFY", "Infosys", "EQUITY", Quantity(1), Paise(10)
)
WEEKDAYS = Calendar(closed_weekdays=frozenset({6, 7}))
HOURS = InstrumentHours(WEEKDAYS, RELIANCE.id)


def weekdays_before(day: date, count: int) -> list[date]:
    found: list[date] = []
    while len(found) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            found.append(day)
    return found[::-1]


def day_of_bars(day: date, minutes: int) -> list[Bar]:
    session, step = market_session(day), UtcNs.minutes(minutes)
    starts = range(session.open, session.close, step)
    return [
        Bar(
            UtcNs(start),
            Price(1_000 + at),
            Price(1_005 + at),
            Price(990 + at),
            Price(1_002 + at),
            Quantity(at + 1),
        )
        for at, start in enumerate(starts)
    ]


class Archive:
    """Every weekday of a year, as the historical API has it; `failing` requests fail first."""

    def __init__(self, failing: int = 0) -> None:
        self.requests: list[tuple[InstrumentId, int]] = []
        self.failing = failing

    def _answer(self, instrument: Instrument, minutes: int) -> None:
        self.requests.append((instrument.id, minutes))
        if self.failing:
            self.failing -= 1
            raise TryLater("no answer")

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DailyBar]:
        self._answer(instrument, 1_440)
        days = (first + timedelta(days=at) for at in range((last - first).days + 1))
        return [
            DailyBar(day, Price(100), Price(110), Price(90), Price(105), Quantity(5))
            for day in days
            if day.weekday() < 5
        ]

    async def intraday(
        self, instrument: Instrument, minutes: Literal[1, 5, 15, 25, 60], first: UtcNs, until: UtcNs
    ) -> Sequence[Bar]:
        self._answer(instrument, minutes)
        days = weekdays_before(
            trading_day(until) + timedelta(days=1), (until - first) // (86_400 * NS_PER_SECOND)
        )
        bars = [bar for day in days for bar in day_of_bars(day, minutes)]
        return [
            bar
            for bar in bars
            if first <= bar.start and bar.start + UtcNs.minutes(minutes) <= until
        ]


class AtOnce:
    async def wait(self) -> None:
        return


runs = count(1)  # stamps what one run writes: the topic is the whole module's


async def written(connection: KafkaConnection, run: int) -> dict[int, list[history.History]]:
    found: dict[int, list[history.History]] = {}
    async for each in read_topics(connection, [TICKS], since="start", until_end=True):
        part = history.decode(each.value or b"")
        if part.sent_at == run:
            found.setdefault(each.partition, []).append(part)
    return found


async def warmed(
    connection: KafkaConnection,
    candle_history: CandleHistory,
    archive: Archive | None,
    *instruments: Instrument,
    run: int = 0,
    until: UtcNs = OPEN,
) -> WarmUpReport:
    plan = WarmUpPlan(instruments, until, PLAN.instrument, WEEKDAYS)
    async with Publisher(connection) as publisher:
        return await warm_up(
            plan, candle_history, archive, publisher, pace=AtOnce(), wall=lambda: run
        )


async def test_thirty_minute_bars_made_of_one_minute_bars_equal_a_brokers(
    market_data: Path,
) -> None:
    minutes = bars_of(market_data / "nse_1min/equity_2016/2016-08-16.csv.gz")
    broker = bars_of(market_data / "nse_1min/broker_30min/broker_30min.csv.gz")
    close = market_session(date(2016, 8, 16)).close
    bars = [Bar(start, *bar) for (symbol, start), bar in sorted(minutes.items()) if symbol == "ACC"]  # type: ignore[arg-type]

    made = resample(bars, Timeframe.M30, close, HOURS)

    assert len(made) == 13
    assert [broker["ACC", bar.start] for bar in made] == [bar[1:] for bar in made]


async def test_a_longer_bar_that_is_not_over_is_left_out() -> None:
    bars = day_of_bars(TODAY, 1)

    made = resample(bars[:44], Timeframe.M15, UtcNs(OPEN + UtcNs.minutes(44)), HOURS)

    assert [(bar.start - OPEN) // UtcNs.minutes(1) for bar in made] == [0, 15]


async def test_longer_bars_begin_with_a_special_session_and_none_is_of_the_one_it_replaced() -> (
    None
):
    muhurat = Special(day=TODAY, open=time(18), close=time(19))
    opens = datetime.combine(TODAY, time(18), tzinfo=IST)
    evening = [
        bar._replace(start=UtcNs.from_datetime(opens + timedelta(minutes=at)))
        for at, bar in enumerate(day_of_bars(TODAY, 1)[:60])
    ]

    made = resample(
        [*day_of_bars(TODAY, 1), *evening],
        Timeframe.M30,
        UtcNs.from_datetime(opens + timedelta(hours=1)),
        InstrumentHours(Calendar(special=(muhurat,)), RELIANCE.id),
    )

    assert [bar.start for bar in made] == [
        UtcNs.from_datetime(opens + timedelta(minutes=at)) for at in (0, 30)
    ]


async def test_a_future_is_over_with_its_own_session_not_with_the_shares() -> None:
    future = InstrumentHours(Calendar(), InstrumentId(Segment.NSE_FNO, 52_175))
    start = UtcNs(OPEN + UtcNs.minutes(360))

    assert future.span(start, Timeframe.M60) == (start, OPEN + UtcNs.minutes(385))
    assert HOURS.span(start, Timeframe.M60) == (start, OPEN + UtcNs.minutes(375))


async def test_the_sessions_last_short_bar_is_over_with_the_session() -> None:
    made = resample(day_of_bars(TODAY, 5), Timeframe.M60, market_session(TODAY).close, HOURS)

    assert (made[-1].start - OPEN) // UtcNs.minutes(1) == 360
    assert made[-1].volume == 73 + 74 + 75


async def test_bars_outside_the_session_are_left_out() -> None:
    early, late = (
        day_of_bars(TODAY, 1)[0]._replace(start=UtcNs(at))
        for at in (OPEN - 1, market_session(TODAY).close)
    )

    assert not resample([early, late], Timeframe.M5, UtcNs(OPEN + 86_400 * NS_PER_SECOND), HOURS)


async def test_every_timeframe_is_made_of_exactly_one_source_and_gets_enough_bars(
    own_kafka: KafkaConnection,
) -> None:
    assert sorted(each for source in REQUESTS for each in source.timeframes) == sorted(Timeframe)

    run = next(runs)
    report = await warmed(own_kafka, CandleHistory(), Archive(), RELIANCE, run=run)

    rows = np.concatenate(
        [part.rows for parts in (await written(own_kafka, run)).values() for part in parts]
    )
    for timeframe in Timeframe:
        of = rows[rows["timeframe"] == history.MINUTES[timeframe]]
        assert len(of) == (A_DAY if timeframe is Timeframe.M1 else WANTED), timeframe
        assert of["start"].max() < OPEN
    assert report.bars == A_DAY + (len(Timeframe) - 1) * WANTED
    assert (report.requests, report.cold) == (3, {})


async def test_each_instruments_history_goes_where_its_ticks_go(own_kafka: KafkaConnection) -> None:
    run = next(runs)
    await warmed(own_kafka, CandleHistory(), Archive(), RELIANCE, INFY, run=run)

    found = await written(own_kafka, run)
    for instrument in (RELIANCE, INFY):
        parts = found[partition_of(instrument.id, PLAN.instrument)]
        assert any((part.rows["security_id"] == instrument.id.security_id).any() for part in parts)


async def test_a_question_that_fails_is_asked_again_and_then_the_instrument_is_cold(
    own_kafka: KafkaConnection,
) -> None:
    patient, hopeless = Archive(failing=ATTEMPTS - 1), Archive(failing=ATTEMPTS)

    once_more = await warmed(own_kafka, CandleHistory(), patient, RELIANCE)
    given_up = await warmed(own_kafka, CandleHistory(), hopeless, RELIANCE)

    assert (once_more.requests, once_more.cold) == (ATTEMPTS + 2, {})
    assert given_up.cold == {RELIANCE.id: "no answer"}
    assert given_up.bars == once_more.bars - A_DAY - WANTED  # 1m and 3m come of one source


def candles_of(day: date, timeframe: Timeframe) -> list[Candle]:
    return [
        Candle(
            id=derive("candle", timeframe, bar.start),
            event_time=UtcNs(bar.start + timeframe.ns),
            instrument=RELIANCE.id,
            timeframe=timeframe,
            ticks=1,
            complete=True,
            **bar._asdict(),
        )
        for bar in resample(day_of_bars(day, 1), timeframe, market_session(day).close, HOURS)
    ]


def known_days(*days: date) -> CandleHistory:
    candle_history = CandleHistory()
    for day in days:
        for timeframe in (Timeframe.M1, Timeframe.M3):
            for candle in candles_of(day, timeframe):
                candle_history.add(candle)
    return candle_history


async def test_what_our_own_candles_hold_is_not_asked_for(own_kafka: KafkaConnection) -> None:
    archive = Archive()
    candle_history = known_days(*weekdays_before(TODAY, 4))

    await warmed(own_kafka, candle_history, archive, RELIANCE)

    assert sorted(minutes for _, minutes in archive.requests) == [5, 1_440]
    bars = candle_history.bars(Timeframe.M1, OPEN, HOURS)
    assert bars is not None
    assert bars[-1].start == market_session(weekdays_before(TODAY, 1)[0]).close - UtcNs.minutes(1)


async def test_candles_with_a_missing_day_are_not_enough() -> None:
    first, second, _, last = weekdays_before(TODAY, 4)

    assert known_days(first, second, last).bars(Timeframe.M3, OPEN, HOURS) is None
    assert known_days(first, second).bars(Timeframe.M3, OPEN, HOURS) is None


async def test_a_holiday_that_the_calendar_knows_is_no_missing_day() -> None:
    first, second, holiday, last = weekdays_before(TODAY, 4)
    candle_history = known_days(weekdays_before(first, 1)[0], first, second, last)

    assert candle_history.bars(Timeframe.M3, OPEN, HOURS) is None
    told = WEEKDAYS.model_copy(update={"holidays": (Holiday(day=holiday),)})
    assert candle_history.bars(Timeframe.M3, OPEN, InstrumentHours(told, RELIANCE.id)) is not None


async def test_a_candle_with_short_volume_ends_what_can_be_used_before_it() -> None:
    candle_history = known_days(*weekdays_before(TODAY, 4))
    short = candles_of(TODAY, Timeframe.M1)[0].model_copy(update={"complete": False})

    candle_history.add(short)

    assert candle_history.bars(Timeframe.M1, UtcNs(OPEN + UtcNs.minutes(1)), HOURS) is None


async def test_without_an_account_nothing_is_asked_and_the_instrument_is_cold(
    own_kafka: KafkaConnection,
) -> None:
    report = await warmed(own_kafka, CandleHistory(), None, RELIANCE)

    assert report.requests == 0
    assert "no Dhan account" in report.cold[RELIANCE.id]


def past_record(yesterday: Sequence[Candle], offset: int = 0) -> Record:
    bars: dict[tuple[InstrumentId, Timeframe], list[Bar]] = {}
    for candle in yesterday:
        bar = Bar(candle.start, candle.open, candle.high, candle.low, candle.close, candle.volume)
        bars.setdefault((candle.instrument, candle.timeframe), []).append(bar)
    rows = np.concatenate([history.rows_of(*slot, of) for slot, of in bars.items()])
    return record(history.encode(history.History(UtcNs(1), rows)), offset)


async def test_an_engine_that_reads_yesterdays_bars_says_today_what_one_says_that_was_there() -> (
    None
):
    rows = random_market(11, 6_000, instruments=3, days=2)
    yesterday, today = (
        rows[rows["clock"] < at("00:00:00", date(2024, 1, 3))],
        rows[rows["clock"] >= at("00:00:00", date(2024, 1, 3))],
    )
    there, warmed = machine(), machine()
    before = run(split(yesterday, range(0, len(yesterday), 500)), there)
    before += run([heartbeat(at("16:00:00"))], there)

    assert list(warmed.apply(past_record(candles(before)))) == []
    assert list(warmed.apply(past_record(candles(before), 1))) == []  # the same bars may come again

    # the day begins with a heartbeat, as the gateway sends it: both have then seen it from before
    # the open
    batches = [
        heartbeat(at("09:00:00", date(2024, 1, 3))),
        *split(today, range(0, len(today), 500)),
    ]
    told, expected = run(batches, warmed), run(batches, there)
    assert indicators(told)
    assert streams_of(told)[INDICATORS.name] == streams_of(expected)[INDICATORS.name]
    assert streams_of(told)[CANDLES.name] == streams_of(expected)[CANDLES.name]


@pytest.mark.parametrize("clock", ["09:15:00", "11:30:00", "14:00:00"])
async def test_the_day_and_the_day_before_are_whole_whenever_one_warms_up(
    own_kafka: KafkaConnection, clock: str
) -> None:
    now, warmed_at, run_ = machine(), at(clock, TODAY), next(runs)
    await warmed(own_kafka, CandleHistory(), Archive(), RELIANCE, run=run_, until=warmed_at)
    for part in (await written(own_kafka, run_))[partition_of(RELIANCE.id, PLAN.instrument)]:
        assert list(now.apply(record(history.encode(part)))) == []

    rows = tick(UtcNs(warmed_at + NS_PER_SECOND), 1_500, 10**6, of=RELIANCE.id)
    told = run([batch_of(rows), heartbeat(UtcNs(warmed_at + UtcNs.minutes(2)))], now)

    (values,) = [each.values for each in indicators(told) if each.timeframe is Timeframe.M1]
    before = day_of_bars(weekdays_before(TODAY, 1)[0], 1)
    high, low, close = (
        max(bar.high for bar in before),
        min(bar.low for bar in before),
        before[-1].close,
    )
    assert values["pivot"] == pytest.approx((high + low + close) / 3, rel=1e-12)
    so_far = [bar for bar in day_of_bars(TODAY, 1) if bar.start < warmed_at]
    if so_far:
        assert values["opening_range_high"] == max(bar.high for bar in so_far[:15])
        assert values["opening_range_low"] == min(bar.low for bar in so_far[:15])
        turnover = sum((bar.high + bar.low + bar.close) / 3 * bar.volume for bar in so_far)
        assert values["vwap"] == pytest.approx(
            turnover / sum(bar.volume for bar in so_far), rel=1e-12
        )


async def test_minutes_are_whole_days_and_a_first_day_that_may_have_been_cut_is_left_out() -> None:
    first, second = weekdays_before(TODAY, 2)
    cut, whole = day_of_bars(first, 1)[200:], day_of_bars(second, 1)

    assert latest([*cut, *whole], Timeframe.M1, OPEN, HOURS) == tuple(whole)
    assert latest(cut, Timeframe.M1, OPEN, HOURS) == ()
    assert latest(whole[:10], Timeframe.M1, OPEN, HOURS) == tuple(whole[:10])


async def test_candles_that_end_before_the_last_bar_that_is_over_are_not_enough() -> None:
    candle_history = known_days(*weekdays_before(TODAY, 4))
    eleven = at("11:00:00", TODAY)
    assert candle_history.bars(Timeframe.M1, OPEN, HOURS) is not None
    assert candle_history.bars(Timeframe.M1, eleven, HOURS) is None

    for candle in candles_of(TODAY, Timeframe.M1):
        candle_history.add(candle)

    bars = candle_history.bars(Timeframe.M1, eleven, HOURS)
    assert bars is not None
    assert bars[-1].start == eleven - UtcNs.minutes(1)


@pytest.mark.parametrize(
    ("clock", "timeframe", "expected"),
    [
        ("09:15:00", Timeframe.M1, "15:29:00"),
        ("10:00:59", Timeframe.M1, "09:59:00"),
        ("10:00:00", Timeframe.M15, "09:45:00"),
        ("09:20:00", Timeframe.M15, "15:15:00"),
        ("15:30:00", Timeframe.M60, "15:15:00"),
        ("15:29:00", Timeframe.M60, "14:15:00"),
        ("15:29:00", Timeframe.D1, "09:15:00"),
        ("15:30:00", Timeframe.D1, "09:15:00"),
    ],
)
async def test_the_last_bar_that_is_over_is_of_the_day_or_of_the_last_weekday_before(
    clock: str, timeframe: Timeframe, expected: str
) -> None:
    monday, friday = date(2026, 11, 23), date(2026, 11, 20)
    nothing_yet = {
        ("09:15:00", Timeframe.M1),
        ("09:20:00", Timeframe.M15),
        ("15:29:00", Timeframe.D1),
    }
    day = friday if (clock, timeframe) in nothing_yet else monday

    assert HOURS.last_closed(timeframe, at(clock, monday)) == at(expected, day)


async def test_a_weekend_has_a_last_bar_only_in_a_special_session() -> None:
    saturday = date(2026, 11, 21)
    open_then = Special(day=saturday, open=time(10), close=time(11))
    special = WEEKDAYS.model_copy(update={"special": (open_then,)})
    monday = at("09:15:00", date(2026, 11, 23))

    assert HOURS.last_closed(Timeframe.M1, monday) == at("15:29:00", date(2026, 11, 20))
    assert InstrumentHours(special, RELIANCE.id).last_closed(Timeframe.M1, monday) == at(
        "10:59:00", saturday
    )


async def test_broken_history_is_refused_and_changes_nothing() -> None:
    engine = machine()
    good = past_record(candles_of(TODAY, Timeframe.M5))
    before = engine.dump()

    with pytest.raises(Unreadable):
        engine.apply(replace(good, value=(good.value or b"")[:-1]))

    assert engine.dump() == before

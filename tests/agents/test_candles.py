"""What the engine's bars say of the market around a signal: nothing after it, each bar once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.candles import NIFTY, CandleStore
from agents.sectors import Sector
from schemas.codec import decode, encode
from schemas.ids import InstrumentId
from schemas.market import Session, Timeframe
from schemas.market_context import MAX_BARS, MarketContext
from schemas.units import UtcNs
from simulator.market.session import market_session
from tests.agents.bars import a_bar, daily_bars, values_of
from tests.agents.factories import AS_OF, DAY, OPENS, RELIANCE, a_signal

SESSION = Session(DAY, market_session(DAY).open, market_session(DAY).close)
NOW = 30  # minutes after the open, when the signal comes


def a_store(until: int = NOW) -> CandleStore:
    """Every minute's bar from the open on; each closes ten paise above the last."""
    store = CandleStore()
    for minute in range(1, until + 1):
        bar = a_bar(minute, 285_000 + 10 * minute)
        store.note_candle(bar)
        store.note_indicators(values_of(bar, atr_14=500.0, vwap_upper=None))
    return store


def the_context(
    store: CandleStore, *since: UtcNs, session: Session | None = SESSION
) -> MarketContext:
    return store.context(a_signal(), session, since)


def test_the_signal_s_bar_and_five_before_it_are_told_with_the_values_of_the_newest() -> None:
    (own,) = the_context(a_store()).frames

    assert (own.timeframe, own.end, len(own.start)) == (Timeframe.M1, AS_OF, MAX_BARS)
    assert own.close == tuple(285_000 + 10 * minute for minute in range(25, 31))
    assert own.values == {"atr_14": 500.0}


def test_a_signal_that_is_judged_late_sees_the_market_of_its_moment() -> None:
    late = a_store(until=NOW + 3)

    assert the_context(late) == the_context(a_store())


def test_a_bar_that_comes_again_counts_once() -> None:
    again = a_store()
    for minute in (29, 30):
        again.note_candle(a_bar(minute, 200_000))

    assert the_context(again) == the_context(a_store())


def test_higher_timeframes_are_told_by_their_newest_final_bar() -> None:
    store = a_store()
    for minute in (25, 30, 35):
        bar = a_bar(minute, 280_000 + minute, Timeframe.M5)
        store.note_candle(bar)
        store.note_indicators(values_of(bar, rsi_14=float(minute), obv=1.0))

    _, five = the_context(store).frames

    assert (five.timeframe, five.close, five.values) == (Timeframe.M5, (280_030,), {"rsi_14": 30.0})


def test_the_day_so_far_has_its_extremes_and_the_prices_of_a_quarter_of_an_hour_ago() -> None:
    day = the_context(a_store()).day

    assert day is not None
    assert (day.open, day.high, day.low, day.close) == (284_960, 285_400, 284_910, 285_300)
    assert (day.whole, day.close_15m, day.close_60m) == (True, 285_150, None)


@pytest.mark.parametrize("session", [None, Session(DAY, UtcNs(OPENS - 1), SESSION.close)])
def test_a_day_that_was_not_seen_from_its_open_on_is_not_whole(session: Session | None) -> None:
    day = the_context(a_store(), session=session).day

    assert day is not None
    assert not day.whole


def test_bars_of_yesterday_are_no_part_of_today() -> None:
    store = CandleStore()
    store.note_candle(a_bar(NOW, days_ago=1))

    told = the_context(store)

    assert (told.frames, told.day) == ((), None)


def test_the_index_stands_beside_the_symbol() -> None:
    store = a_store()
    store.note_candle(a_bar(1, 2_500_000, instrument=NIFTY))

    index = the_context(store).index

    assert index is not None
    assert index.close == 2_500_000


def test_shares_of_an_industry_count_while_they_trade() -> None:
    store = a_store()
    shares = tuple(InstrumentId(RELIANCE.segment, number) for number in range(1, 6))
    for number, share in enumerate(shares):
        store.note_candle(a_bar(1, 100_050, instrument=share))
        last = NOW - 6 if number == 0 else NOW
        store.note_candle(a_bar(last, 101_000 + 1_000 * number, instrument=share))

    told = store.context(a_signal(), SESSION, (), Sector("Oil", shares)).sector

    assert told is not None
    assert (told.name, told.shares, told.since_open) == ("Oil", 4, 3.5)


def test_volume_is_compared_with_the_same_quarters_of_days_that_have_them_all() -> None:
    store = a_store()
    for days_ago, volumes in ((3, (100, 300)), (2, (200, 400)), (1, (999,)), (0, (500, 700, 9))):
        for nth, volume in enumerate(volumes, 1):
            store.note_volume(
                a_bar(15 * nth, timeframe=Timeframe.M15, volume=volume, days_ago=days_ago)
            )

    told = the_context(store).volume

    assert told is not None
    assert (told.quarters, told.volume, told.usual, told.days) == (2, 1_200, 500.0, 2)


def test_extremes_since_our_own_decisions_leave_out_what_was_before_them() -> None:
    since = UtcNs(AS_OF - UtcNs.minutes(10)), AS_OF

    (path,) = the_context(a_store(), *since).since_decisions

    assert (path.since, path.low, path.high) == (since[0], 285_210 - 100, 285_300 + 100)


def test_days_before_are_those_of_the_signal_s_own_morning() -> None:
    store = a_store()
    store.note_daily(daily_bars(100))
    before = the_context(store).before
    store.note_daily(daily_bars(100, DAY + timedelta(days=1)))

    assert before is not None
    assert (before.close, before.average_volume > 0) == (daily_bars(100).close[-1], True)
    assert the_context(store).before is None


@pytest.mark.parametrize(("days", "known"), [(40, False), (100, True)])
def test_a_percentile_of_volatility_needs_days_to_rank_among(days: int, *, known: bool) -> None:
    store = a_store()
    store.note_daily(daily_bars(days))

    before = the_context(store).before

    assert before is not None
    assert (before.volatility_percentile is not None) == known


def test_the_store_says_when_the_bars_until_a_signal_are_there() -> None:
    store = a_store(until=NOW - 1)
    assert not store.has(a_signal())

    bar = a_bar(NOW)
    store.note_candle(bar)
    store.note_indicators(values_of(bar))
    assert store.has(a_signal())

    store.note_candle(a_bar(NOW - 1, instrument=NIFTY))
    assert not store.has(a_signal())


def test_a_context_survives_its_bytes() -> None:
    store = a_store()
    store.note_daily(daily_bars(100))

    told = the_context(store, UtcNs(AS_OF - UtcNs.minutes(10)))

    assert decode(MarketContext, encode(told)) == told
    assert len(encode(told)) < 4_096

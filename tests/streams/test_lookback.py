"""Rules that look at bars before their own: what they see, in any batching, after any restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.units import UtcNs
from streams.columns.about import ABOUT
from streams.columns.names import BAR_FACTS, TIME_FACTS, VALUES
from streams.columns.parse import with_period
from streams.engine import snapshot
from streams.engine.closed_bars import NeededColumns
from streams.engine.config import EngineConfig
from streams.engine.engine import HISTORICAL_BAR, Engine
from streams.engine.machine import EngineMachine
from streams.engine.rule_runner import RuleFault
from streams.engine.session_times import session_times
from streams.rules import Columns, Directions, Rule, directions
from streams.rules.failed_breakout import failed_breakout
from streams.rules.rule import warm_up
from streams.rules.testing import said
from tests.streams.factories import (
    RELIANCE,
    TCS,
    at,
    batch_of,
    candles,
    markets,
    random_market,
    rows_of,
    run,
    signals,
    split,
    streams_of,
    tick,
)


def new_high(lookback: int = 5, name: str = "new_high") -> Rule:
    def evaluate(bars: Columns) -> Directions:
        before = bars.lag(1)
        return directions(
            bullish=bars["close"] > before.highest("high", lookback),
            bearish=bars["close"] < before.lowest("low", lookback),
        )

    needs = ("high", "low", "close", "session_minute")
    return Rule(name, Timeframe.M1, evaluate, needs, UtcNs(0), lookback=lookback)


def saying(evaluate: Callable[[Columns], Any], lookback: int = 3) -> Rule:
    return Rule("mine", Timeframe.M1, evaluate, ("close",), lookback=lookback)


def engine(*rules: Rule, **options: Any) -> EngineMachine:
    return EngineMachine(Engine(EngineConfig.needed_by(rules, EVERY_DAY), rules, **options))


# What a rule says


def test_a_lag_is_the_bar_before_and_nothing_is_said_before_there_are_enough() -> None:
    rising = saying(lambda bars: (bars["close"] > bars.lag(3)["close"]).astype(np.int8))

    assert said(rising, {"close": [1, 2, 3, 4, 5, 1, 9]}) == [0, 0, 0, 1, 1, 0, 1]


def test_highest_and_lowest_count_the_bar_itself() -> None:
    extreme = saying(
        lambda bars: directions(
            bullish=bars["close"] == bars.highest("close", 3),
            bearish=bars["close"] == bars.lowest("close", 3),
        )
    )

    assert said(extreme, {"close": [9, 5, 6, 7, 6, 8, 1, 4]}) == [0, 0, 0, 1, -1, 1, -1, 0]


def test_since_counts_the_bars_after_an_event_and_forgets_it_behind_its_limit() -> None:
    ago: list[float] = []

    def evaluate(bars: Columns) -> Directions:
        ago.extend(bars.since(lambda bar: bar["close"] > 8, 2))
        return np.zeros(len(bars["close"]), np.int8)

    said(saying(evaluate), {"close": [1, 9, 1, 9, 1, 1, 1]})

    np.testing.assert_equal(ago, [np.nan, 0, 1, 0, 1, 2, np.nan])


def test_a_column_that_is_missing_every_day_may_be_unknown_in_the_past() -> None:
    rule = replace(
        saying(lambda bars: (bars.lag(1)["close"] > 0).astype(np.int8), 1),
        needs=("close", "opening_range_high", "ema_9"),
    )
    columns: dict[str, Any] = {
        "close": [1.0] * 4,
        "opening_range_high": [np.nan, 2, 2, 2],
        "ema_9": 1.0,
    }

    assert said(rule, columns) == [0, 1, 1, 1]
    assert said(rule, columns | {"ema_9": [np.nan, 1, 1, 1]}) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("evaluate", "says"),
    [
        (lambda bars: bars.lag(4), r"looks 4 bars back and said 3: write Rule\(..., lookback=4\)"),
        (lambda bars: bars.lag(2).lag(2), "looks 4 bars back"),
        (lambda bars: bars.lag(-1), r"lag\(-1\) is in the future"),
        (lambda bars: bars.highest("close", 10**12), "looks 999999999999 bars back"),
        (lambda bars: bars.since(lambda bar: bar["close"] > 0, 10**12), "bars back"),
        (lambda bars: bars.highest("close", 0), "1 bar or more, not at 0"),
        (lambda bars: bars.lag(1)["high"], "KeyError: 'high'"),
    ],
)
def test_a_look_too_far_names_the_rule_the_line_and_what_to_write(
    evaluate: Callable[[Columns], Any], says: str
) -> None:
    with pytest.raises(Misconfigured, match=rf"rule mine@1m failed: .*{says}.*test_lookback.py, l"):
        said(saying(evaluate), {"close": [1.0]})


@pytest.mark.parametrize("lookback", [-1, 376, 10**9, True, 2.5, "20"])
def test_a_lookback_has_limits(lookback: Any) -> None:
    with pytest.raises(Misconfigured, match=r"rule 'mine': lookback=.*0 to 375"):
        saying(lambda bars: bars["close"], lookback)


def test_the_warm_up_holds_the_lookback() -> None:
    rule = replace(saying(lambda bars: bars["close"], 20), needs=("close", "ema_9", "ema_50@5m"))

    assert warm_up(rule) == {Timeframe.M1: 29, Timeframe.M5: 50}


def test_the_helper_says_which_columns_it_lacks_and_that_lists_differ() -> None:
    rule = new_high()

    with pytest.raises(Misconfigured, match="needs 'low', 'session_minute' too"):
        said(rule, {"high": [1], "close": [1]})
    with pytest.raises(Misconfigured, match="it got high 2, low 1"):
        said(rule, {"high": [1, 2], "low": [1], "close": 1, "session_minute": 1})


def test_a_period_that_nobody_has_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        Misconfigured, match=r"the engine has stochastic_k, stochastic_d, and .*TA-"
    ):
        with_period("stochastic", 9)

    assert with_period("ema", 21) == "ema_21"
    assert with_period("rsi", 9) == "talib.RSI(timeperiod=9)"


def test_every_column_has_its_sentence() -> None:
    assert [*ABOUT] == [*VALUES, *BAR_FACTS, *TIME_FACTS]


def test_a_failed_breakout_speaks_against_it_within_its_bars_and_hours() -> None:
    rule = failed_breakout(bars=5, within=2)
    calm = [100.0] * 7

    def of(*closes: float, left: float = 60) -> list[int]:
        close = [*calm, *closes]
        high, low = [each + 1 for each in close], [each - 1 for each in close]
        return said(rule, {"close": close, "high": high, "low": low, "minutes_left": left})[7:]

    assert of(105, 100) == [0, -1]
    assert of(95, 100) == [0, 1]
    assert of(105, 106, 100) == [0, 0, -1]
    assert of(105, 105, 105, 100) == [0, 0, 0, 0]  # it left too long ago
    assert of(105, 100, left=29) == [0, 0]


# In the engine


def looked_at(
    rule: Rule, batches: Sequence[Any], over: EngineMachine
) -> dict[InstrumentId, list[Any]]:
    """By instrument, what the rule knew at each bar: the bar, then those before."""
    seen: dict[InstrumentId, list[Any]] = defaultdict(list)

    def hear(facts: np.ndarray, columns: NeededColumns, _: Directions) -> None:
        assert columns.past is not None
        for fact, now, past in zip(facts, columns.table, columns.past, strict=True):
            seen[over.engine.instrument(int(fact[0]))].append(np.column_stack([now, past[:, ::-1]]))

    over.engine.runner.listeners[rule.key].append(hear)
    run(batches, over)
    return seen


def test_the_bars_before_are_those_that_the_instrument_closed_before() -> None:
    rule = new_high(lookback=7)
    rows = random_market(3, 2_500, instruments=4, days=2)

    seen = looked_at(rule, [batch_of(rows)], engine(rule))

    assert sum(map(len, seen.values())) > 500
    for bars in seen.values():
        for nth, bar in enumerate(bars):
            for back in range(1, 8):
                expected = bars[nth - back][:, 0] if back <= nth else np.full(4, np.nan)
                np.testing.assert_equal(bar[:, back], expected)


@given(markets(), st.data())
@settings(deadline=None, max_examples=25)
def test_any_split_into_batches_gives_the_same_bytes(rows: Any, data: st.DataObject) -> None:
    rules = new_high(1), new_high(4, "longer")
    cuts = data.draw(st.lists(st.integers(0, len(rows))))

    assert streams_of(run(split(rows, cuts), engine(*rules))) == streams_of(
        run([batch_of(rows)], engine(*rules))
    )


def test_an_engine_restored_at_any_batch_goes_on_as_if_nothing_had_happened() -> None:
    rule, rows = new_high(), random_market(8, 3_000, instruments=70, days=2)
    unbroken, resumed = engine(rule), engine(rule)
    spoken = 0

    for batch in split(rows, range(500, len(rows), 500)):
        expected = run([batch], unbroken)
        config = resumed.engine.config
        resumed = EngineMachine(snapshot.restore(resumed.dump(), (rule,), config))

        assert run([batch], resumed) == expected
        assert resumed.dump() == unbroken.dump()
        spoken += len(signals(expected))
    assert spoken > 20


@pytest.mark.parametrize(("before", "after"), [(3, 7), (7, 3)])
def test_a_rule_with_another_lookback_keeps_the_bars_there_are(before: int, after: int) -> None:
    rows = random_market(4, 4_000, instruments=3)
    early, late = [batch_of(rows[:3_000])], [batch_of(rows[3_000:])]
    fresh, changed = engine(new_high(before)), new_high(after)
    run(early, fresh)
    config = fresh.engine.config
    restored = EngineMachine(snapshot.restore(fresh.dump(), (changed,), config))
    whole = looked_at(changed, [*early, *late], engine(changed))

    seen = looked_at(changed, late, restored)

    known = min(before, after) + 1
    for share, bars in seen.items():
        np.testing.assert_equal(bars[0][:, :known], whole[share][-len(bars)][:, :known])
        np.testing.assert_equal(bars[-1], whole[share][-1])


def test_bars_of_history_are_bars_before() -> None:
    rows = random_market(12, 3_000, instruments=3, days=2)
    rule = replace(new_high(), needs=("high", "low", "close", "previous_close"))
    over, warmed = engine(rule), engine(rule)
    whole = looked_at(rule, [batch_of(rows)], over)
    bars = candles(run([batch_of(rows)], engine(rule)))
    first_day = [bar for bar in bars if bar.event_time <= at("15:30:00")]

    warmed.engine.seed(past(first_day))
    warmed.engine.seed(past(first_day[-40:]))  # bars may come again
    seen = looked_at(rule, [batch_of(rows[3_000:])], warmed)

    for share, found in seen.items():
        np.testing.assert_equal(found, whole[share][-len(found) :])


def past(bars: Sequence[Candle]) -> np.ndarray:
    table = np.zeros(len(bars), HISTORICAL_BAR)
    for row, bar in zip(table, bars, strict=True):
        row["key"] = bar.instrument.segment.code << 32 | bar.instrument.security_id
        row["timeframe"] = list(Timeframe).index(bar.timeframe)
        for name in ("start", "open", "high", "low", "close", "volume"):
            row[name] = getattr(bar, name)
    return table


def test_a_bar_knows_its_minute_of_the_session_and_its_day() -> None:
    ends = np.array([at("09:16:00"), at("12:00:00"), at("15:30:00", date(2024, 1, 7))], np.int64)

    times = session_times(ends, np.full(3, 1), EVERY_DAY)

    assert times.tolist() == [[1, 374, 1], [165, 210, 1], [375, 0, 6]]


def test_the_minute_reaches_the_rule_as_a_whole_number_and_the_signal_as_a_feature() -> None:
    def evaluate(bars: Columns) -> Directions:
        assert bars["session_minute"].dtype.kind == "i"
        third = bars["session_minute"] == 3
        return directions(bullish=third, bearish=~third & third)

    rule = Rule("third", Timeframe.M1, evaluate, ("session_minute", "weekday"))

    (signal,) = signals(
        run([batch_of(*(tick(at(f"09:1{n}:30"), 100) for n in range(5, 10)))], engine(rule))
    )

    assert (signal.features["session_minute"], signal.features["weekday"]) == (3, 1)


# A rule that fails


def failing_above(price: int) -> Rule:
    def evaluate(bars: Columns) -> Directions:
        if np.any(bars["close"] > price):
            raise ValueError("too dear")
        return np.ones(len(bars["close"]), np.int8)

    return Rule("fragile", Timeframe.M1, evaluate, ("close",), UtcNs(0))


def two_shares(*minutes: tuple[str, int, int], day: date = date(2024, 1, 2)) -> Any:
    return [
        each
        for clock, one, other in minutes
        for each in (
            tick(at(clock, day), one, of=RELIANCE),
            tick(at(clock, day), other, of=TCS),
        )
    ]


MINUTES = [("09:15:30", 100, 100), ("09:16:30", 900, 100), ("09:17:30", 100, 100),
           ("09:18:30", 100, 100)]  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False])
def test_a_rule_that_fails_stops_for_that_instrument_and_that_day_with_its_reason(
    at_once: bool,
) -> None:
    rule, faults = failing_above(500), list[RuleFault]()
    ticks = two_shares(*MINUTES) + two_shares(*MINUTES[:1], MINUTES[2], day=date(2024, 1, 3))
    batches = [batch_of(*ticks)] if at_once else [batch_of(each) for each in ticks]

    spoken = signals(run(batches, engine(rule, on_fault=faults.append)))

    ((fault),) = faults
    assert (fault.rule.name, fault.instrument, fault.at) == ("fragile", RELIANCE, at("09:17:00"))
    assert "rule fragile@1m failed: ValueError: too dear (test_lookback.py, line" in fault.reason
    assert times(spoken, TCS) == ["09:16", "09:17", "09:18", "09:19", "09:16"]
    assert times(spoken, RELIANCE) == ["09:16", "09:16"]


def times(spoken: Sequence[Any], of: InstrumentId) -> list[str]:
    return [f"{each.event_time.ist():%H:%M}" for each in spoken if each.instrument == of]


def test_a_rule_that_stopped_stays_silent_after_a_restart() -> None:
    rule, faults = failing_above(500), list[RuleFault]()
    before = engine(rule, on_fault=faults.append)
    run([batch_of(*two_shares(*MINUTES[:3]))], before)
    config = before.engine.config
    after = EngineMachine(snapshot.restore(before.dump(), (rule,), config, faults.append))

    spoken = signals(run([batch_of(*two_shares(*MINUTES[3:], ("09:19:30", 1, 1)))], after))

    assert len(faults) == 1
    assert {each.instrument for each in spoken} == {TCS}


def test_without_anybody_who_listens_a_failure_is_raised() -> None:
    with pytest.raises(Misconfigured, match="rule fragile@1m failed: ValueError: too dear"):
        run([batch_of(*two_shares(*MINUTES))], engine(failing_above(500)))


def test_other_rules_go_on_beside_one_that_fails() -> None:
    calm = new_high(2)
    alone = engine(calm)
    beside = engine(failing_above(0), calm, on_fault=lambda _: None)
    rows = rows_of(random_market(2, 2_000, instruments=3))

    expected = run([batch_of(rows)], alone)

    assert signals(run([batch_of(rows)], beside)) == signals(expected)
    assert signals(expected)

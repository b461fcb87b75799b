"""What each rule of ours says about bars made by hand, and that it treats both sides alike."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.units import UtcNs
from streams.engine.closed_bars import NeededColumns
from streams.rules import RULES, Columns, Directions, Rule, directions, ema_cross, rsi_reversal
from streams.rules.adx_trend import adx_trend
from streams.rules.bollinger_reversion import bollinger_reversion
from streams.rules.candlestick import candlestick
from streams.rules.cci_breakout import cci_breakout
from streams.rules.donchian_breakout import donchian_breakout
from streams.rules.golden_cross import golden_cross
from streams.rules.keltner_squeeze import keltner_squeeze
from streams.rules.macd_cross import macd_cross
from streams.rules.mfi_extreme import mfi_extreme
from streams.rules.opening_range_breakout import opening_range_breakout
from streams.rules.pivot_breakout import pivot_breakout
from streams.rules.stochastic_turn import stochastic_turn
from streams.rules.supertrend_flip import supertrend_flip
from streams.rules.trend_pullback import trend_pullback
from streams.rules.value_area_return import value_area_return
from streams.rules.volume_surge import volume_surge
from streams.rules.vwap_reversion import vwap_reversion

# Columns of each rule in the order below, then bars as (values, what the rule says).
Case = tuple[Rule, tuple[str, ...], list[tuple[tuple[float, ...], int]]]

CASES: list[Case] = [
    (
        ema_cross(),
        ("previous_ema_9", "previous_ema_21", "ema_9", "ema_21"),
        [
            ((10, 11, 12, 11), 1),
            ((10, 10, 12, 11), 1),  # from level is a crossing too
            ((12, 11, 10, 11), -1),
            ((12, 11, 13, 11), 0),  # above already
            ((10, 11, 11, 11), 0),  # level is not yet above
        ],
    ),
    (
        ema_cross(fast=8, slow=50),  # of the engine's own averages only one has such a period
        (
            "previous_talib.EMA(timeperiod=8)",
            "previous_ema_50",
            "talib.EMA(timeperiod=8)",
            "ema_50",
        ),
        [((10, 11, 12, 11), 1), ((12, 11, 10, 11), -1), ((12, 11, 13, 11), 0)],
    ),
    (
        golden_cross(),
        ("previous_sma_20", "previous_sma_50", "sma_20", "sma_50"),
        [((10, 11, 12, 11), 1), ((12, 11, 10, 11), -1), ((12, 11, 12, 11), 0)],
    ),
    (
        macd_cross(),
        ("previous_macd_histogram", "macd_histogram"),
        [((-1, 1), 1), ((1, -1), -1), ((1, 2), 0), ((-1, 0), 0)],
    ),
    (
        supertrend_flip(),
        ("previous_supertrend_direction", "supertrend_direction"),
        [((-1, 1), 1), ((1, -1), -1), ((1, 1), 0), ((-1, -1), 0)],
    ),
    (
        adx_trend(),
        ("previous_plus_di_14", "previous_minus_di_14", "plus_di_14", "minus_di_14", "adx_14"),
        [
            ((20, 25, 26, 22, 30), 1),
            ((25, 20, 22, 26, 25), -1),  # 25 is a trend
            ((20, 25, 26, 22, 24.9), 0),  # no trend
            ((26, 22, 27, 22, 30), 0),  # no crossing
        ],
    ),
    (
        stochastic_turn(),
        ("previous_stochastic_k", "previous_stochastic_d", "stochastic_k", "stochastic_d"),
        [
            ((10, 12, 15, 13), 1),
            ((90, 88, 85, 87), -1),
            ((50, 52, 55, 53), 0),  # turns in the middle
            ((10, 9, 15, 13), 0),  # had turned before
        ],
    ),
    (
        rsi_reversal(),
        ("previous_rsi_14", "rsi_14"),
        [
            ((29, 31), 1),
            ((30, 30.5), 1),
            ((71, 69), -1),
            ((70, 69.5), -1),
            ((31, 29), 0),
            ((69, 71), 0),
            ((25, 75), 1),  # from one extreme to the other: it left the low one
        ],
    ),
    (
        mfi_extreme(),
        ("previous_mfi_14", "mfi_14"),
        [((19, 21), 1), ((81, 79), -1), ((21, 19), 0), ((50, 60), 0)],
    ),
    (
        cci_breakout(),
        ("previous_cci_20", "cci_20"),
        [((90, 110), 1), ((-90, -110), -1), ((110, 120), 0), ((-110, -90), 0), ((0, 100), 0)],
    ),
    (
        opening_range_breakout(),
        ("previous_close", "close", "opening_range_high", "opening_range_low"),
        [
            ((100, 106, 105, 95), 1),
            ((100, 94, 105, 95), -1),
            ((106, 107, 105, 95), 0),
            ((100, 105, 105, 95), 0),
        ],
    ),
    (
        donchian_breakout(),
        ("close", "previous_donchian_upper", "previous_donchian_lower"),
        [((106, 105, 95), 1), ((94, 105, 95), -1), ((105, 105, 95), 0), ((95, 105, 95), 0)],
    ),
    (
        pivot_breakout(),
        ("open", "close", "pivot_r1", "pivot_s1"),
        [
            ((104, 106, 105, 95), 1),
            ((96, 94, 105, 95), -1),
            ((106, 107, 105, 95), 0),
            ((100, 101, 105, 95), 0),
        ],
    ),
    (
        bollinger_reversion(),
        ("open", "high", "low", "close", "bollinger_upper", "bollinger_lower"),
        [
            ((95, 97, 94, 96, 105, 95), 1),
            ((105, 106, 103, 104, 105, 95), -1),
            ((97, 98, 94, 96, 105, 95), 0),  # a falling bar
            ((93, 95, 92, 94, 105, 95), 0),  # closes outside
            ((96, 98, 95, 97, 105, 95), 0),  # never was outside
        ],
    ),
    (
        vwap_reversion(),
        ("open", "close", "vwap", "vwap_upper", "vwap_lower"),
        [
            ((94, 96, 100, 105, 95), 1),
            ((106, 104, 100, 105, 95), -1),
            ((94, 101, 100, 105, 95), 0),  # the way is gone already
            ((96, 97, 100, 105, 95), 0),
        ],
    ),
    (
        value_area_return(),
        ("open", "close", "value_area_high", "value_area_low"),
        [
            ((94, 96, 105, 95), 1),
            ((106, 104, 105, 95), -1),
            ((94, 106, 105, 95), 0),
            ((96, 97, 105, 95), 0),
        ],
    ),
    (
        keltner_squeeze(),
        (
            "previous_bollinger_upper",
            "previous_bollinger_lower",
            "previous_keltner_upper",
            "previous_keltner_lower",
            "bollinger_upper",
            "bollinger_lower",
            "keltner_upper",
            "keltner_lower",
            "close",
            "bollinger_middle",
        ),
        [
            ((103, 97, 104, 96, 105, 96.5, 104, 96, 103, 100), 1),
            ((103, 97, 104, 96, 103.5, 95, 104, 96, 97, 100), -1),
            ((103, 97, 104, 96, 103, 97, 104, 96, 103, 100), 0),  # still quiet
            ((105, 95, 104, 96, 106, 94, 104, 96, 103, 100), 0),  # was not quiet
            ((103, 97, 104, 96, 105, 95, 104, 96, 100, 100), 0),  # no side
        ],
    ),
    (
        trend_pullback(),
        ("open", "high", "low", "close", "ema_21", "ema_50@15m"),
        [
            ((101, 103, 99, 102, 100, 95), 1),
            ((99, 101, 97, 98, 100, 105), -1),
            ((101, 103, 99, 102, 100, 101), 0),  # the short average is below the long one
            ((102, 103, 101, 102.5, 100, 95), 0),  # no dip
            ((103, 103, 99, 102, 100, 95), 0),  # the bar falls
        ],
    ),
    (
        volume_surge(),
        ("open", "close", "volume", "previous_talib.SMA(price=volume,timeperiod=20)"),
        [
            ((100, 101, 400, 100), 1),
            ((101, 100, 500, 100), -1),
            ((100, 101, 399, 100), 0),
            ((100, 101, 0, 0), 0),
        ],
    ),
    (candlestick(), ("talib.CDLENGULFING",), [((100,), 1), ((-100,), -1), ((0,), 0)]),
]
NAMES = [rule.name for rule, _, _ in CASES]


def table(names: tuple[str, ...], *rows: tuple[float, ...]) -> dict[str, np.ndarray]:
    return dict(zip(names, np.array(rows, float).T, strict=True))


@pytest.mark.parametrize(("rule", "names", "bars"), CASES, ids=NAMES)
def test_each_bar_gets_its_verdict(
    rule: Rule, names: tuple[str, ...], bars: list[tuple[tuple[float, ...], int]]
) -> None:
    said = rule.evaluate(table(names, *(values for values, _ in bars)), len(bars))

    assert said.tolist() == [direction for _, direction in bars]


@pytest.mark.parametrize(("rule", "names", "bars"), CASES, ids=NAMES)
def test_a_rule_names_exactly_the_columns_it_looks_at(
    rule: Rule, names: tuple[str, ...], bars: object
) -> None:
    assert sorted(rule.needs) == sorted(names)


@pytest.mark.parametrize(("rule", "names", "bars"), CASES, ids=NAMES)
def test_a_column_that_is_not_known_yet_silences_the_rule(
    rule: Rule, names: tuple[str, ...], bars: list[tuple[tuple[float, ...], int]]
) -> None:
    speaking = next(values for values, direction in bars if direction)
    blanked = [
        tuple(np.nan if at == nth else value for at, value in enumerate(speaking))
        for nth in range(len(names))
    ]

    assert not rule.evaluate(table(names, *blanked), len(names)).any()


PAIRS = {
    "high": "low",
    "bollinger_upper": "bollinger_lower",
    "keltner_upper": "keltner_lower",
    "donchian_upper": "donchian_lower",
    "vwap_upper": "vwap_lower",
    "opening_range_high": "opening_range_low",
    "value_area_high": "value_area_low",
    "pivot_r1": "pivot_s1",
    "plus_di_14": "minus_di_14",
}
UPSIDE_DOWN = PAIRS | {low: high for high, low in PAIRS.items()}
KEPT = {"adx_14", "plus_di_14", "minus_di_14", "volume", "talib.SMA(price=volume,timeperiod=20)"}
NEGATED = {"macd_histogram", "cci_20", "supertrend_direction", "talib.CDLENGULFING"}
OF_A_HUNDRED = {"rsi_14", "mfi_14", "stochastic_k", "stochastic_d"}


def mirrored(bars: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same bars in a market where every price is 200 minus what it was."""
    turned = {}
    for name, values in bars.items():
        plain = name.removeprefix("previous_")
        turned[name.replace(plain, UPSIDE_DOWN.get(plain, plain))] = mirror_of(plain) + values * (
            plain in KEPT or -1
        )
    return turned


def mirror_of(name: str) -> float:
    return 0 if name in KEPT | NEGATED else 100 if name in OF_A_HUNDRED else 200


@pytest.mark.parametrize(("rule", "names", "bars"), CASES, ids=NAMES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_market_turned_upside_down_gets_the_opposite_verdicts(
    rule: Rule,
    names: tuple[str, ...],
    bars: list[tuple[tuple[float, ...], int]],
    data: st.DataObject,
) -> None:
    any_bar = st.tuples(*(st.integers(90, 110) for _ in names))
    one_that_speaks = st.sampled_from([values for values, direction in bars if direction])
    shifts = st.tuples(*(st.integers(-1, 1) for _ in names))
    near_one = st.tuples(one_that_speaks, shifts).map(
        lambda both: tuple(map(sum, zip(*both, strict=True)))
    )
    drawn = data.draw(st.lists(any_bar | near_one, min_size=1, max_size=20))
    straight = table(names, *drawn)

    assert (
        rule.evaluate(mirrored(straight), len(drawn)).tolist()
        == (-rule.evaluate(straight, len(drawn))).tolist()
    )


def test_the_rules_of_the_default_are_two_so_that_a_day_stays_affordable() -> None:
    assert [(rule.name, rule.timeframe) for rule in RULES] == [
        ("ema_cross", Timeframe.M5),
        ("rsi_reversal", Timeframe.M1),
    ]


class Panic(BaseException):
    """As a library in Rust raises it; it cannot say why."""

    def __str__(self) -> str:
        raise ValueError


def panicking(_: Columns) -> object:
    raise Panic


def answering(evaluate: Callable[[Columns], object]) -> Rule:
    return Rule("mine", Timeframe.M1, evaluate, needs=("close",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evaluate", "says"),
    [
        (lambda _: 1 // 0, "ZeroDivisionError"),
        (lambda _: sys.exit("done"), "SystemExit: done"),
        (lambda bars: bars["clsoe"], "KeyError: 'clsoe'"),
        (lambda _: 1, "returned int instead of one int8 for each of 2 bars"),
        (lambda bars: bars["close"], r"returned float64 \(2,\)"),
        (lambda bars: bars["close"].astype(np.int8)[:1], r"returned int8 \(1,\)"),
        (panicking, "failed: Panic: it cannot say why"),
        (lambda bars: np.ma.masked_array([1, -1], bars["close"] > 0), "returned MaskedArray"),
        (lambda bars: bars["close"] > 0, r"returned bool \(2,\)"),
    ],
)
def test_a_rule_that_fails_is_named_with_what_to_do(
    evaluate: Callable[[Columns], object], says: str
) -> None:
    with pytest.raises(Misconfigured, match=f"rule mine@1m .*{says}.*set enabled = false"):
        answering(evaluate).evaluate(table(("close",), (1.0,), (2.0,)), 2)


@pytest.mark.parametrize(
    ("field", "value", "write"),
    [
        ("name", 7, "a text"),
        ("timeframe", "5m", "Timeframe.M5"),
        ("function", None, "a function"),
        ("needs", "close", 'a tuple of column names, such as ("close", "ema_9")'),
        ("needs", ["close"], 'a tuple of column names, such as ("close", "ema_9")'),
        ("needs", (7,), 'a tuple of column names, such as ("close", "ema_9")'),
        ("cooldown", timedelta(minutes=30), "UtcNs.minutes(15)"),
        ("cooldown", 15, "UtcNs.minutes(15)"),
        ("cooldown", "15m", "UtcNs.minutes(15)"),
        ("cooldown", UtcNs(-1), "not negative"),
        ("instruments", ["NSE_EQ:2885"], 'frozenset({InstrumentId.parse("NSE_EQ:2885")})'),
        (
            "instruments",
            frozenset({"NSE_EQ:2885"}),
            'frozenset({InstrumentId.parse("NSE_EQ:2885")})',
        ),
        ("instruments", frozenset({InstrumentId("NSE_EQ", 2885)}), "InstrumentId.parse"),  # type: ignore[arg-type]
        ("instruments", frozenset(), "None for all"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_with_what_to_write(
    field: str, value: object, write: str
) -> None:
    fields: dict[str, Any] = {
        "name": "mine",
        "timeframe": Timeframe.M1,
        "function": np.sign,
        "needs": ("close",),
    }

    with pytest.raises(
        Misconfigured,
        match=re.escape(f"{field}={value!r} is not usable: write ") + ".*" + re.escape(write),
    ):
        Rule(**(fields | {field: value}))


def test_a_rule_states_a_cooldown_and_instruments_of_its_own() -> None:
    reliance = frozenset({InstrumentId.parse("NSE_EQ:2885")})

    rule = replace(ema_cross(), cooldown=UtcNs.minutes(0), instruments=reliance)

    assert (rule.cooldown, rule.instruments) == (0, reliance)


def writing(bars: Columns) -> Directions:
    close = bars["close"]
    close[np.isnan(close)] = 100_000.0
    return (close > 0).astype(np.int8)


def test_a_rule_that_writes_into_its_columns_fails_and_changes_nothing() -> None:
    columns = NeededColumns(("close",), np.array([[np.nan], [2.0]]))

    with pytest.raises(Misconfigured, match=r"rule mine@1m failed: ValueError: .*read-only"):
        answering(writing).evaluate(columns, 2)

    np.testing.assert_equal(columns.table, [[np.nan], [2.0]])


def test_a_rule_that_fills_gaps_stays_silent_in_warm_up_even_if_it_makes_its_arrays_writable() -> (
    None
):
    def forced(bars: Columns) -> Directions:
        close = bars["close"]
        close.flags.writeable = True
        close[np.isnan(close)] = 100_000.0
        return (close > 0).astype(np.int8)

    assert answering(forced).evaluate(table(("close",), (np.nan,), (2.0,)), 2).tolist() == [0, 1]


def test_a_rule_may_change_a_copy_of_its_columns() -> None:
    def evaluate(bars: Columns) -> Directions:
        close = bars["close"].copy()
        close[close > 1] = -1
        return directions(bullish=close > 0, bearish=close < 0)

    assert answering(evaluate).evaluate(table(("close",), (1.0,), (2.0,)), 2).tolist() == [1, -1]


def test_a_division_by_zero_is_nothing_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    rule = answering(lambda bars: ((bars["close"] / 0 * 0) > 1).astype(np.int8))

    assert rule.evaluate(table(("close",), (1.0,)), 1).tolist() == [0]
    assert not recwarn.list

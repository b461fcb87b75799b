"""Indicators at bar close against TA-Lib, and the rules that look at them."""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import talib

from bus.records import Output
from schemas.ids import InstrumentId, Segment
from schemas.market import Direction, Timeframe
from schemas.messages import Indicators, Signal
from schemas.units import Paise, UtcNs
from streams.columns.names import COLUMNS_OF, Indicator
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.machine import EngineMachine
from streams.rules import ema_cross, rsi_reversal
from tests.streams.factories import (
    NIFTY,
    RELIANCE,
    at,
    batch_of,
    candles,
    heartbeat,
    indicators,
    random_market,
    run,
    signals,
    split,
    tick,
)  # fmt: skip

Values = npt.NDArray[np.float64]
# enough minutes of two shares for the longest warm-up, and a second day for pivots
SHORT_DAY = split(random_market(5, 2_000, instruments=2, days=2), range(0, 4_000, 300))


def by_talib(bar: dict[str, Values]) -> dict[str, Values]:
    """Every reading that TA-Lib has a function for."""
    high, low, close, volume = bar["high"], bar["low"], bar["close"], bar["volume"]
    expected = {f"ema_{period}": talib.EMA(close, period) for period in (9, 21, 50, 200)}
    expected |= {f"sma_{period}": talib.SMA(close, period) for period in (20, 50)}
    expected |= {
        "wma_20": talib.WMA(close, 20),
        "rsi_14": talib.RSI(close, 14),
        "atr_14": talib.ATR(high, low, close, 14),
        "adx_14": talib.ADX(high, low, close, 14),
        "plus_di_14": talib.PLUS_DI(high, low, close, 14),
        "minus_di_14": talib.MINUS_DI(high, low, close, 14),
        "cci_20": talib.CCI(high, low, close, 20),
        "williams_r_14": talib.WILLR(high, low, close, 14),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "obv": talib.OBV(close, volume),
        "roc_10": talib.ROC(close, 10),
    }
    groups = {
        ("macd", "macd_signal", "macd_histogram"): talib.MACD(close, 12, 26, 9),
        ("bollinger_upper", "bollinger_middle", "bollinger_lower"): talib.BBANDS(close, 20, 2, 2),
        ("stochastic_k", "stochastic_d"): talib.STOCH(high, low, close, 14, 3, 0, 3, 0),
        ("donchian_upper", "donchian_middle", "donchian_lower"): talib.DONCHIAN(high, low, 20),
        ("keltner_upper", "keltner_middle", "keltner_lower"): talib.KC(
            high, low, close, 20, 10, 2.0
        ),
        ("supertrend", "supertrend_direction"): talib.SUPERTREND(high, low, close, 10, 3.0),
    }
    for names, values in groups.items():
        expected |= dict(zip(names, values, strict=True))
    expected["supertrend_direction"] = np.where(
        np.isnan(expected["supertrend"]), np.nan, expected["supertrend_direction"]
    )
    return expected


# Differences and ratios of differences may cancel to almost nothing; their error is relative to
# what they were made of.
OSCILLATORS = (
    "macd",
    "cci_20",
    "roc_10",
    "williams_r_14",
    "rsi_14",
    "mfi_14",
    "adx_14",
    "plus_di_14",
    "minus_di_14",
    "stoch",
)


def assert_talib_agrees(
    outputs: list[Output], timeframe: Timeframe, instrument: InstrumentId
) -> int:
    """Compare every reading of one instrument; returns how many were compared."""
    bars = [
        bar
        for bar in candles(outputs)
        if (bar.timeframe, bar.instrument) == (timeframe, instrument)
    ]
    ours = [
        each
        for each in indicators(outputs)
        if (each.timeframe, each.instrument) == (timeframe, instrument)
    ]
    table = {
        name: np.array([getattr(bar, name) for bar in bars], float)
        for name in ("high", "low", "close", "volume")
    }
    for name, expected in by_talib(table).items():
        got = np.array([np.nan if (value := each.values[name]) is None else value for each in ours])
        scale = 100.0 if name.startswith(OSCILLATORS) else 0.0
        where = f"{instrument} {timeframe} {name}"
        np.testing.assert_allclose(
            got, expected, rtol=1e-9, atol=1e-9 * scale, equal_nan=True, err_msg=where
        )
    return len(bars)


@pytest.fixture(scope="module")
def random_days() -> list[Output]:
    return run(split(random_market(21, 12_000, instruments=4, days=6), range(0, 72_000, 700)))


@pytest.mark.parametrize("timeframe", Timeframe)
def test_readings_of_a_random_market_equal_talib_over_days(
    random_days: list[Output], timeframe: Timeframe
) -> None:
    instruments = sorted({bar.instrument for bar in candles(random_days)})

    counted = [
        assert_talib_agrees(random_days, timeframe, instrument) for instrument in instruments
    ]

    assert min(counted) > 5 * (375 * 60 * 10**9 // min(timeframe.ns, 375 * 60 * 10**9)) - 5


@pytest.mark.market_data
def test_readings_of_a_real_index_equal_talib(market_data: Path) -> None:
    batches = []
    with gzip.open(market_data / "nse_1min" / "index_2024" / "NIFTY.csv.gz", "rt") as lines:
        for _, bar in zip(range(3_000), csv.DictReader(lines), strict=False):
            start = UtcNs.from_datetime(datetime.fromisoformat(bar["timestamp"]))
            prices = [
                int(Paise.from_rupees(bar[name])) for name in ("open", "high", "low", "close")
            ]
            batches.append(
                batch_of(*(tick(start + nth * 10**10, p, of=NIFTY) for nth, p in enumerate(prices)))
            )

    outputs = run(batches)

    assert assert_talib_agrees(outputs, Timeframe.M1, NIFTY) > 2_900
    assert assert_talib_agrees(outputs, Timeframe.M5, NIFTY) > 500
    assert assert_talib_agrees(outputs, Timeframe.M15, NIFTY) > 190


@pytest.fixture(scope="module")
def everything() -> list[Indicators]:
    return indicators(run(SHORT_DAY))


@pytest.mark.parametrize("indicator", Indicator)
def test_an_indicator_alone_has_the_values_that_it_has_among_all(
    indicator: Indicator, everything: list[Indicators]
) -> None:
    only = EngineConfig(timeframes=(Timeframe.M1,), indicators=frozenset({indicator}))

    alone = indicators(run(SHORT_DAY, EngineMachine(Engine(only, rules=()))))

    among_all = [each for each in everything if each.timeframe is Timeframe.M1]
    assert [each.values for each in alone] == [
        {name: each.values[name] for name in COLUMNS_OF[indicator]} for each in among_all
    ]
    assert any(value is not None for each in alone for value in each.values.values())


def test_readings_of_a_price_that_never_moves_equal_talib() -> None:
    outputs = run(
        [batch_of(*(tick(at("09:15:00") + nth * 60 * 10**9, 5_000) for nth in range(60)))]
    )

    assert assert_talib_agrees(outputs, Timeframe.M1, RELIANCE) == 59


def test_during_warm_up_a_reading_is_none() -> None:
    outputs = run(
        [batch_of(*(tick(at("09:15:00") + nth * 60 * 10**9, 5_000 + nth) for nth in range(30)))]
    )

    minutes_only = [each for each in indicators(outputs) if each.timeframe is Timeframe.M1]
    silent = {
        name: sum(each.values[name] is None for each in minutes_only)
        for name in ("ema_9", "ema_21", "rsi_14")
    }
    assert silent == {"ema_9": 8, "ema_21": 20, "rsi_14": 14}


def bars(**columns: list[float]) -> dict[str, Values]:
    return {name: np.array(values) for name, values in columns.items()}


def test_ema_cross_speaks_at_the_bar_of_the_crossing_only_and_never_in_warm_up() -> None:
    nan = np.nan
    table = bars(
        previous_ema_9=[10, 10, 12, 12, 12, nan],
        previous_ema_21=[11, 10, 11, 11, 12, 11],
        ema_9=[12, 12, 10, 13, 11, 12],
        ema_21=[11, 11, 11, 11, 12, 11],
    )

    assert list(ema_cross().evaluate(table, 6)) == [1, 1, -1, 0, -1, 0]


def test_rsi_reversal_speaks_when_the_extreme_is_left() -> None:
    table = bars(
        previous_rsi_14=[29, 30, 31, 71, 70, 69, 25, np.nan],
        rsi_14=[31, 30.5, 29, 69, 69.5, 71, 75, 35],
    )

    assert list(rsi_reversal().evaluate(table, 8)) == [1, 1, 0, -1, -1, 0, 1, 0]


def falling_then_rising(of: InstrumentId, cycles: int = 1) -> list[Signal]:
    """Twenty falling minutes and ten rising ones, again and again."""
    prices: list[int] = []
    price = 500_000
    for _ in range(cycles):
        for step in [-500] * 20 + [400] * 10:
            price += step
            prices.append(price)
    ticks = [tick(at("09:15:00") + nth * 60 * 10**9, p, of=of) for nth, p in enumerate(prices)]
    return [
        s
        for s in signals(run([batch_of(*ticks), heartbeat(at("15:40:00"))]))
        if s.rule == "rsi_reversal"
    ]


def test_a_signal_says_what_it_looked_at_and_starts_a_chain() -> None:
    (signal,) = falling_then_rising(RELIANCE)

    assert (signal.direction, signal.timeframe) == (Direction.BULLISH, Timeframe.M1)
    assert signal.features["previous_rsi_14"] <= 30 < signal.features["rsi_14"]
    # and what an analyst asks first, as far as thirty bars can say it
    assert {"volume", "atr_14", "bollinger_upper"} < set(signal.features)
    assert not {"ema_50", "ema_200", "pivot", "sma_20"} & set(signal.features)
    assert signal.correlation_id == signal.id
    assert signal.id != falling_then_rising(InstrumentId(Segment.NSE_EQ, 1))[0].id


def test_a_signal_of_the_same_bar_has_the_same_id_in_every_run() -> None:
    assert falling_then_rising(RELIANCE) == falling_then_rising(RELIANCE)


def test_a_rule_is_silent_for_its_cooldown_in_market_time() -> None:
    fired = [signal.event_time for signal in falling_then_rising(RELIANCE, cycles=6)]

    assert len(fired) > 3
    assert all(later - earlier >= 15 * 60 * 10**9 for earlier, later in pairwise(fired))


def test_an_index_has_no_signals_because_it_has_no_orders() -> None:
    assert falling_then_rising(NIFTY) == []


def test_a_market_of_three_days_fires_both_rules() -> None:
    found = {signal.rule for signal in signals(run([batch_of(random_market(4, 9_000, days=3))]))}

    assert found == {"ema_cross", "rsi_reversal"}

"""TA-Lib's functions as columns, by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import talib
from talib.abstract import Function  # type: ignore[attr-defined]  # made at run time

from schemas.errors import Misconfigured
from streams.columns.names import PRICES
from streams.columns.talib_functions import WINDOW, talib_column

Values = npt.NDArray[np.float64]


def some_bars(count: int, seed: int = 5) -> dict[str, Values]:
    chance = np.random.default_rng(seed)
    close = 100_000 + np.cumsum(chance.integers(-200, 201, count)).astype(float)
    opened = close + chance.integers(-150, 151, count)
    high = np.maximum(opened, close) + chance.integers(0, 100, count)
    low = np.minimum(opened, close) - chance.integers(0, 100, count)
    volume = chance.integers(1, 10_000, count).astype(float)
    return dict(zip(PRICES, (opened, high, low, close, volume), strict=True))


def last(bars: dict[str, Values], count: int) -> dict[str, Values]:
    return {name: values[-count:] for name, values in bars.items()}


def every_function() -> list[str]:
    return [name for name in talib.get_functions() if name != "MAVP"]


def spelled(function: str) -> str:
    outputs = Function(function).info["output_names"]
    return f"talib.{function}" if len(outputs) == 1 else f"talib.{function}.{outputs[-1]}"


@pytest.mark.parametrize("function", every_function())
def test_every_function_equals_its_batch_over_the_same_window(function: str) -> None:
    column = talib_column(spelled(function), window=120)
    bars = some_bars(400)

    got = column.value(bars)

    expected = Function(function)({name: v[-column.window :] for name, v in bars.items()})
    expected = (expected[-1] if isinstance(expected, list) else expected)[-1]
    np.testing.assert_equal(got, float(expected) if np.isfinite(expected) else np.nan)
    np.testing.assert_equal(column.value(last(bars, column.window)), got)


@pytest.mark.parametrize("function", talib.get_function_groups()["Pattern Recognition"])
def test_a_candlestick_pattern_is_the_same_as_over_the_whole_history(function: str) -> None:
    bars = some_bars(600)
    column = talib_column(f"talib.{function}")

    whole = getattr(talib, function)(*(bars[name] for name in column.inputs))

    assert column.window == column.lookback + 1
    got = [
        column.value({name: v[: n + 1] for name, v in bars.items()})
        for n in range(column.lookback, 600)
    ]
    assert got == list(whole[column.lookback :])


def test_only_a_function_that_remembers_gets_the_whole_window() -> None:
    remembers = {name for name in every_function() if talib_column(spelled(name)).window == WINDOW}

    assert remembers >= {
        "EMA",
        "RSI",
        "MACD",
        "ATR",
        "ADX",
        "SAR",
        "OBV",
        "TRIX",
        "KAMA",
        "AD",
        "VWAP",
        "TSI",
        "T3",
    }
    assert not remembers & {
        "SMA",
        "WMA",
        "BBANDS",
        "LINEARREG",
        "STDDEV",
        "STOCHF",
        "CCI",
        "MFI",
        "ROC",
        "MAX",
        "AROON",
    }


def test_there_is_no_value_before_the_function_has_its_bars() -> None:
    column = talib_column("talib.LINEARREG(timeperiod=14)")

    assert np.isnan(column.value(some_bars(13)))
    assert not np.isnan(column.value(some_bars(14)))


def test_another_column_of_the_bar_may_be_averaged() -> None:
    bars = some_bars(30)

    assert talib_column("talib.SMA(price=volume,timeperiod=20)").value(bars) == pytest.approx(
        np.mean(bars["volume"][-20:])
    )


def test_a_number_that_is_not_finite_is_no_value() -> None:
    assert np.isnan(
        talib_column("talib.DIV(price0=close,price1=volume)").value(
            {"close": np.ones(3), "volume": np.zeros(3)}
        )
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("talib.LINEAREG", "no function LINEAREG.*did you mean LINEARREG"),
        ("talib.LINEARREG(timeperiod=1)", "out of range for TA-Lib: timeperiod=1"),
        ("talib.LINEARREG(timeperod=9)", "did you mean timeperiod"),
        ("talib.LINEARREG(timeperiod=9.5)", "not a whole number"),
        ("talib.LINEARREG(14)", "no parameter '14'.*it takes timeperiod, price"),
        ("talib.LINEARREG(timeperiod=14, price=open)", "no parameter ' price=open'"),
        ("talib.RSI(timeperiod=14,timeperiod=20)", "timeperiod is given twice"),
        ("talib.SMA(price=close,price=volume)", "price is given twice"),
        ("talib.LINEARREG(timeperiod=5000)", "needs 5000 bars"),
        ("talib.LINEARREG()", "write it as"),
        ("talib.BBANDS(nbdevup=inf)", "not finite"),
        ("talib.CDLENGULFING(timeperiod=3)", "it takes none"),
        ("talib.SMA(price=vwap)", "reads vwap, a bar has open"),
        ("talib.MAVP", "reads periods"),
        ("talib.MACD", "several outputs, choose one: macd, macdsignal, macdhist"),
        ("talib.MACD.signal", "no output 'signal'"),
        ("talib.rsi", "write it as"),
    ],
)
def test_a_column_that_cannot_be_is_refused_with_what_would_be_right(name: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        talib_column(name)

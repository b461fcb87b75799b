"""What the Scout computes from an instrument's daily bars, and how plain rules rank it.

Pure: pandas in, numbers out. Every number is a fraction or a ratio, so that shares of any price
compare. TA-Lib computes what it has a function for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import pandas as pd
import talib

from schemas.market import Direction
from schemas.units import Paise, Quantity

MIN_BARS: Final = 60  # EMA 50 needs 50 bars to exist and some more to forget its seed


class Bar(Protocol):
    """One day of `dhan.history`: prices in paise."""

    @property
    def open(self) -> Paise: ...
    @property
    def high(self) -> Paise: ...
    @property
    def low(self) -> Paise: ...
    @property
    def close(self) -> Paise: ...
    @property
    def volume(self) -> Quantity: ...


def features_of(bars: Sequence[Bar]) -> dict[str, float]:
    """Features at the close of the last of `bars` (oldest first, at least `MIN_BARS`).

    `return_5d`, `return_20d`: change of the close. `rsi_14`, `atr_14` (as a fraction of the close):
    Wilder's. `volume_ratio`: last volume by the mean of the 20 days before. `from_high_20d` (zero
    or below) and `from_low_20d` (zero or above): distance of the close from the extremes of 20
    days. `ema_trend`: EMA 20 by EMA 50, less one.
    """
    frame = _frame(bars)
    close, high, low = frame["close"], frame["high"], frame["low"]
    last = float(close.iloc[-1])
    usual_volume = float(frame["volume"].iloc[-21:-1].mean())
    return {
        "return_5d": last / float(close.iloc[-6]) - 1,
        "return_20d": last / float(close.iloc[-21]) - 1,
        "rsi_14": _last(talib.RSI(close.to_numpy(), 14)),
        "atr_14": _last(talib.ATR(high.to_numpy(), low.to_numpy(), close.to_numpy(), 14)) / last,
        "volume_ratio": float(frame["volume"].iloc[-1]) / usual_volume if usual_volume else 0.0,
        "from_high_20d": last / float(high.rolling(20).max().iloc[-1]) - 1,
        "from_low_20d": last / float(low.rolling(20).min().iloc[-1]) - 1,
        "ema_trend": _last(talib.EMA(close.to_numpy(), 20)) / _last(talib.EMA(close.to_numpy(), 50))
        - 1,
    }


def directional_score(features: Mapping[str, float]) -> float:
    """How bearish (-1) or bullish (1) plain rules find an instrument.

    Trend, momentum, and how much volume stands behind it. Each part saturates at what is a strong
    month for a large Indian share, so that one outlier does not decide.
    """
    trend = _clip(features["ema_trend"] / 0.04)
    month = _clip(features["return_20d"] / 0.10)
    week = _clip(features["return_5d"] / 0.05)
    strength = _clip((features["rsi_14"] - 50) / 25)
    backing = 0.75 + 0.25 * min(features["volume_ratio"], 2.0) / 2.0
    return (0.35 * trend + 0.30 * month + 0.20 * week + 0.15 * strength) * backing


def direction_of(score: float) -> Direction:
    """The side of a directional score; 0 counts as bullish."""
    return Direction.BULLISH if score >= 0 else Direction.BEARISH


def _frame(bars: Sequence[Bar]) -> pd.DataFrame:
    columns = {
        name: [float(getattr(bar, name)) for bar in bars]
        for name in ("high", "low", "close", "volume")
    }
    return pd.DataFrame(columns, dtype="float64")


def _last(values: Sequence[float]) -> float:
    return float(values[-1])


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))

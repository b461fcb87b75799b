"""The fast average crosses the slow one: a trend may begin."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Period, Rule, averages_cross


def ema_cross(timeframe: Timeframe = Timeframe.M5, fast: Period = 9, slow: Period = 21) -> Rule:
    """EMA `fast` crosses EMA `slow`."""
    return averages_cross("ema_cross", timeframe, "ema", fast, slow)

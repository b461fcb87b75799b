"""The fast average crosses the slow one: a trend may begin."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Directions, Period, Rule, crossing, two_averages


def ema_cross(timeframe: Timeframe = Timeframe.M5, fast: Period = 9, slow: Period = 21) -> Rule:
    """EMA `fast` crosses EMA `slow`."""
    needs = two_averages("ema", fast, slow)

    def evaluate(bars: Columns) -> Directions:
        fast_before, slow_before, fast_now, slow_now = (bars[name] for name in needs)
        return crossing(fast_before - slow_before, fast_now - slow_now)

    return Rule("ema_cross", timeframe, evaluate, needs)

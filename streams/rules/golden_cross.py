"""The averages of whole days cross: the slow trend may turn."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Directions, Period, Rule, crossing, two_averages


def golden_cross(timeframe: Timeframe = Timeframe.D1, fast: Period = 20, slow: Period = 50) -> Rule:
    """SMA `fast` crosses SMA `slow`."""
    needs = two_averages("sma", fast, slow)

    def evaluate(bars: Columns) -> Directions:
        fast_before, slow_before, fast_now, slow_now = (bars[name] for name in needs)
        return crossing(fast_before - slow_before, fast_now - slow_now)

    return Rule("golden_cross", timeframe, evaluate, needs)

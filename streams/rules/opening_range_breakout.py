"""The price leaves the range of the session's first minutes."""

from __future__ import annotations

from schemas.market import Timeframe
from schemas.units import UtcNs
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def opening_range_breakout(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """The close leaves the opening range upwards (bullish) or downwards (bearish).

    The close before was in it (Crabel, 1990).
    """
    needs = ("previous_close", "close", "opening_range_high", "opening_range_low")
    return Rule("opening_range_breakout", timeframe, _evaluate, needs, cooldown=UtcNs.minutes(120))


def _evaluate(bars: Columns) -> Directions:
    before, now, high, low = (
        bars[name]
        for name in ("previous_close", "close", "opening_range_high", "opening_range_low")
    )
    inside = (low <= before) & (before <= high)
    return directions(bullish=inside & (now > high), bearish=inside & (now < low))

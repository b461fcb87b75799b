"""The price comes back to where most of the volume changed hands."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def value_area_return(timeframe: Timeframe = Timeframe.M30) -> Rule:
    """A bar opens below the value area and closes inside (bullish), or from above (bearish).

    Source: Dalton, Jones and Dalton (1990), Mind over Markets, on trade that re-enters value.
    """
    return Rule(
        "value_area_return",
        timeframe,
        _evaluate,
        needs=("open", "close", "value_area_high", "value_area_low"),
    )


def _evaluate(bars: Columns) -> Directions:
    opened, closed = bars["open"], bars["close"]
    high, low = bars["value_area_high"], bars["value_area_low"]
    inside = (low <= closed) & (closed <= high)
    return directions(bullish=inside & (opened < low), bearish=inside & (opened > high))

"""Momentum turns: the distance of two averages crosses its own average."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, crossing


def macd_cross(timeframe: Timeframe = Timeframe.M60) -> Rule:
    """MACD crosses its signal line, which is where the histogram changes its sign (Appel, 2005)."""
    return Rule(
        "macd_cross", timeframe, _evaluate, needs=("previous_macd_histogram", "macd_histogram")
    )


def _evaluate(bars: Columns) -> Directions:
    return crossing(bars["previous_macd_histogram"], bars["macd_histogram"])

"""The averages of whole days cross: the slow trend may turn."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Directions, Rule, crossing


def golden_cross(timeframe: Timeframe = Timeframe.D1) -> Rule:
    """SMA 20 crosses SMA 50."""
    return Rule(
        "golden_cross",
        timeframe,
        _evaluate,
        needs=("previous_sma_20", "previous_sma_50", "sma_20", "sma_50"),
    )


def _evaluate(bars: Columns) -> Directions:
    return crossing(
        bars["previous_sma_20"] - bars["previous_sma_50"], bars["sma_20"] - bars["sma_50"]
    )

"""The price breaks the trailing stop of the trend it was in."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, crossing


def supertrend_flip(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """Supertrend changes from falling to rising (bullish) or from rising to falling (bearish)."""
    return Rule(
        "supertrend_flip",
        timeframe,
        _evaluate,
        needs=("previous_supertrend_direction", "supertrend_direction"),
    )


def _evaluate(bars: Columns) -> Directions:
    return crossing(bars["previous_supertrend_direction"], bars["supertrend_direction"])

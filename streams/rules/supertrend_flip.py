"""The price breaks the trailing stop of the trend it was in."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, crossing


def supertrend_flip(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """Supertrend changes from falling to rising (bullish) or from rising to falling (bearish)."""
    return Rule(
        "supertrend_flip",
        timeframe,
        _look,
        needs=("previous_supertrend_direction", "supertrend_direction"),
    )


def _look(bars: Columns) -> Verdicts:
    return crossing(bars["previous_supertrend_direction"], bars["supertrend_direction"])

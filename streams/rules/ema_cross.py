"""The fast average crosses the slow one: a trend may begin."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Directions, Rule, crossing


def ema_cross(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """EMA 9 crosses EMA 21."""
    return Rule(
        "ema_cross",
        timeframe,
        _evaluate,
        needs=("previous_ema_9", "previous_ema_21", "ema_9", "ema_21"),
    )


def _evaluate(bars: Columns) -> Directions:
    return crossing(
        bars["previous_ema_9"] - bars["previous_ema_21"], bars["ema_9"] - bars["ema_21"]
    )

"""The relative strength returns from an extreme: a move may be exhausted."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Percent, Rule, threshold_cross


def rsi_reversal(
    timeframe: Timeframe = Timeframe.M1, low: Percent = 30.0, high: Percent = 70.0
) -> Rule:
    """RSI 14 rises back above `low` (bullish) or falls back below `high` (bearish).

    Source: Wilder (1978), ch. 6.
    """

    def evaluate(bars: Columns) -> Directions:
        return threshold_cross(bars["previous_rsi_14"], bars["rsi_14"], low=low, high=high)

    return Rule("rsi_reversal", timeframe, evaluate, needs=("previous_rsi_14", "rsi_14"))

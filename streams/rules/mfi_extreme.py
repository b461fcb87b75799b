"""Money stops flowing one way."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Percent, Rule, threshold_cross


def mfi_extreme(
    timeframe: Timeframe = Timeframe.M15, low: Percent = 20.0, high: Percent = 80.0
) -> Rule:
    """MFI 14 rises back above `low` (bullish) or falls back below `high` (bearish).

    Source: Quong and Soudack (1989).
    """

    def evaluate(bars: Columns) -> Directions:
        return threshold_cross(bars["previous_mfi_14"], bars["mfi_14"], low=low, high=high)

    return Rule("mfi_extreme", timeframe, evaluate, needs=("previous_mfi_14", "mfi_14"))

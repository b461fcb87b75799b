"""Money stops flowing one way."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Percent, Rule, Verdicts, leaving


def mfi_extreme(
    timeframe: Timeframe = Timeframe.M15, low: Percent = 20.0, high: Percent = 80.0
) -> Rule:
    """MFI 14 rises back above `low` (bullish) or falls back below `high` (bearish) (Quong and Soudack, 1989)."""

    def look(bars: Columns) -> Verdicts:
        return leaving(bars["previous_mfi_14"], bars["mfi_14"], low=low, high=high)

    return Rule("mfi_extreme", timeframe, look, needs=("previous_mfi_14", "mfi_14"))

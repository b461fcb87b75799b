"""The price leaves its usual distance from the average."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def cci_breakout(
    timeframe: Timeframe = Timeframe.M30, level: Annotated[float, Field(gt=0, le=1_000)] = 100.0
) -> Rule:
    """CCI 20 rises above `level` (bullish) or falls below minus `level` (bearish).

    Source: Lambert (1980).
    """

    def evaluate(bars: Columns) -> Directions:
        before, now = bars["previous_cci_20"], bars["cci_20"]
        return directions(
            bullish=(before <= level) & (now > level), bearish=(before >= -level) & (now < -level)
        )

    return Rule("cci_breakout", timeframe, evaluate, needs=("previous_cci_20", "cci_20"))

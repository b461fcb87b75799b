"""A candlestick pattern of TA-Lib, by its name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def candlestick(
    timeframe: Timeframe = Timeframe.M15,
    pattern: Annotated[str, Field(pattern="^CDL[0-9A-Z]+$")] = "CDLENGULFING",
) -> Rule:
    """TA-Lib's `pattern` ends at this bar, as bullish or bearish as TA-Lib says."""
    column = f"talib.{pattern}"

    def evaluate(bars: Columns) -> Directions:
        return directions(bullish=bars[column] > 0, bearish=bars[column] < 0)

    return Rule("candlestick", timeframe, evaluate, needs=(column,))

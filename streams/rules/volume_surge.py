"""A bar with far more volume than usual goes one way."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions

USUAL: Final = "previous_talib.SMA(price=volume,timeperiod=20)"


def volume_surge(
    timeframe: Timeframe = Timeframe.M5, times: Annotated[float, Field(gt=1, le=100)] = 4.0
) -> Rule:
    """Volume is at least `times` the average of the 20 bars before; the side is that of the bar."""

    def evaluate(bars: Columns) -> Directions:
        surge = (bars["volume"] >= times * bars[USUAL]) & (bars["volume"] > 0)
        return directions(
            bullish=surge & (bars["close"] > bars["open"]),
            bearish=surge & (bars["close"] < bars["open"]),
        )

    return Rule("volume_surge", timeframe, evaluate, needs=("open", "close", "volume", USUAL))

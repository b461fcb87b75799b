"""A breakout that does not hold: those who bought it must sell."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def failed_breakout(
    timeframe: Timeframe = Timeframe.M5,
    bars: Annotated[int, Field(ge=5, le=200)] = 20,
    within: Annotated[int, Field(ge=1, le=20)] = 3,
    last_entry: Annotated[int, Field(ge=0, le=375)] = 30,
) -> Rule:
    """A close comes back into the range of `bars` bars that it left at most `within` bars before.

    Bearish after it left upwards, bullish after downwards (after Connors and Raschke, 1995). Silent
    in the session's last `last_entry` minutes.
    """

    def evaluate(now: Columns) -> Directions:
        before, earlier = now.lag(1), now.lag(within + 1)
        top, bottom = earlier.highest("high", bars), earlier.lowest("low", bars)
        early = now["minutes_left"] >= last_entry
        return directions(
            bullish=early & (before["close"] < bottom) & (now["close"] > bottom),
            bearish=early & (before["close"] > top) & (now["close"] < top),
        )

    needs = ("high", "low", "close", "minutes_left")
    return Rule("failed_breakout", timeframe, evaluate, needs, lookback=within + bars)

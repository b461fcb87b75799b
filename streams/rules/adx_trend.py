"""One side takes over while there is a trend at all."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Percent, Rule, crossing


def adx_trend(timeframe: Timeframe = Timeframe.M15, strength: Percent = 25.0) -> Rule:
    """+DI 14 crosses -DI 14 while ADX 14 is at least `strength` (Wilder, 1978, ch. 4)."""

    def evaluate(bars: Columns) -> Directions:
        before = bars["previous_plus_di_14"] - bars["previous_minus_di_14"]
        crossed = crossing(before, bars["plus_di_14"] - bars["minus_di_14"])
        return crossed * (bars["adx_14"] >= strength)

    needs = ("previous_plus_di_14", "previous_minus_di_14", "plus_di_14", "minus_di_14", "adx_14")
    return Rule("adx_trend", timeframe, evaluate, needs)

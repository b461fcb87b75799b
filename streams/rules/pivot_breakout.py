"""The price passes the first level that floor traders compute from the day before."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def pivot_breakout(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """A bar opens at or below R1 and closes above it (bullish); mirrored at S1 (bearish)."""
    return Rule(
        "pivot_breakout", timeframe, _evaluate, needs=("open", "close", "pivot_r1", "pivot_s1")
    )


def _evaluate(bars: Columns) -> Directions:
    opened, closed, r1, s1 = bars["open"], bars["close"], bars["pivot_r1"], bars["pivot_s1"]
    return directions(
        bullish=(opened <= r1) & (closed > r1), bearish=(opened >= s1) & (closed < s1)
    )

"""The price passes the first level that floor traders compute from the day before."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def pivot_breakout(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """A bar opens at or below R1 and closes above it (bullish), or opens at or above S1 and closes below it (bearish)."""
    return Rule("pivot_breakout", timeframe, _look, needs=("open", "close", "pivot_r1", "pivot_s1"))


def _look(bars: Columns) -> Verdicts:
    opened, closed, r1, s1 = bars["open"], bars["close"], bars["pivot_r1"], bars["pivot_s1"]
    return verdicts(bullish=(opened <= r1) & (closed > r1), bearish=(opened >= s1) & (closed < s1))

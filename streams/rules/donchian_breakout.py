"""The price leaves the range of the bars before."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def donchian_breakout(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """The close is beyond the Donchian channel as it stood at the bar before."""
    needs = ("close", "previous_donchian_upper", "previous_donchian_lower")
    return Rule("donchian_breakout", timeframe, _evaluate, needs)


def _evaluate(bars: Columns) -> Directions:
    close = bars["close"]
    return directions(
        bullish=close > bars["previous_donchian_upper"],
        bearish=close < bars["previous_donchian_lower"],
    )

"""The price comes back into its band: an outlier may be over."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def bollinger_reversion(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """A rising bar dips below the lower band and closes inside it (bullish); mirrored (bearish)."""
    needs = ("open", "high", "low", "close", "bollinger_upper", "bollinger_lower")
    return Rule("bollinger_reversion", timeframe, _evaluate, needs)


def _evaluate(bars: Columns) -> Directions:
    opened, closed, upper, lower = (
        bars["open"],
        bars["close"],
        bars["bollinger_upper"],
        bars["bollinger_lower"],
    )
    return directions(
        bullish=(bars["low"] < lower) & (closed > lower) & (closed > opened),
        bearish=(bars["high"] > upper) & (closed < upper) & (closed < opened),
    )

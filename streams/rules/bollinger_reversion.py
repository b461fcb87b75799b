"""The price comes back into its band: an outlier may be over."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def bollinger_reversion(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """A rising bar reaches below the lower Bollinger band and closes inside (bullish); mirrored (bearish)."""
    needs = ("open", "high", "low", "close", "bollinger_upper", "bollinger_lower")
    return Rule("bollinger_reversion", timeframe, _look, needs)


def _look(bars: Columns) -> Verdicts:
    opened, closed, upper, lower = (
        bars["open"],
        bars["close"],
        bars["bollinger_upper"],
        bars["bollinger_lower"],
    )
    return verdicts(
        bullish=(bars["low"] < lower) & (closed > lower) & (closed > opened),
        bearish=(bars["high"] > upper) & (closed < upper) & (closed < opened),
    )

"""The price leaves the range of the session's first minutes."""

from __future__ import annotations

from schemas.market import Timeframe
from schemas.units import UtcNs
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def opening_range_breakout(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """A bar opens inside the opening range and closes above (bullish) or below it (bearish) (Crabel, 1990)."""
    needs = ("open", "close", "opening_range_high", "opening_range_low")
    return Rule("opening_range_breakout", timeframe, _look, needs, cooldown=UtcNs.minutes(120))


def _look(bars: Columns) -> Verdicts:
    high, low = bars["opening_range_high"], bars["opening_range_low"]
    inside = (low <= bars["open"]) & (bars["open"] <= high)
    return verdicts(bullish=inside & (bars["close"] > high), bearish=inside & (bars["close"] < low))

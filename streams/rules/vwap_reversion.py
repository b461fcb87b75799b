"""The price turns back towards what the session paid on average."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def vwap_reversion(timeframe: Timeframe = Timeframe.M3) -> Rule:
    """A bar opens below the lower VWAP band and closes between band and VWAP (bullish); mirrored (bearish)."""
    return Rule(
        "vwap_reversion",
        timeframe,
        _look,
        needs=("open", "close", "vwap", "vwap_upper", "vwap_lower"),
    )


def _look(bars: Columns) -> Verdicts:
    opened, closed, vwap = bars["open"], bars["close"], bars["vwap"]
    upper, lower = bars["vwap_upper"], bars["vwap_lower"]
    return verdicts(
        bullish=(opened < lower) & (closed > lower) & (closed < vwap),
        bearish=(opened > upper) & (closed < upper) & (closed > vwap),
    )

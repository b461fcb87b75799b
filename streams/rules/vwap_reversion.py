"""The price turns back towards what the session paid on average."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def vwap_reversion(timeframe: Timeframe = Timeframe.M3) -> Rule:
    """A bar opens below the lower VWAP band and closes above it (bullish); mirrored (bearish).

    It closes short of VWAP.
    """
    return Rule(
        "vwap_reversion",
        timeframe,
        _evaluate,
        needs=("open", "close", "vwap", "vwap_upper", "vwap_lower"),
    )


def _evaluate(bars: Columns) -> Directions:
    opened, closed, vwap = bars["open"], bars["close"], bars["vwap"]
    upper, lower = bars["vwap_upper"], bars["vwap_lower"]
    return directions(
        bullish=(opened < lower) & (closed > lower) & (closed < vwap),
        bearish=(opened > upper) & (closed < upper) & (closed > vwap),
    )

"""A quiet market wakes up."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def keltner_squeeze(timeframe: Timeframe = Timeframe.M15) -> Rule:
    """The Bollinger bands leave the Keltner channel they were inside of.

    The side is that of the close (Carter, 2005).
    """
    bands = ("bollinger_upper", "bollinger_lower", "keltner_upper", "keltner_lower")
    needs = ("close", "bollinger_middle", *bands, *(f"previous_{name}" for name in bands))
    return Rule("keltner_squeeze", timeframe, _evaluate, needs)


def _evaluate(bars: Columns) -> Directions:
    quiet = (bars["previous_bollinger_upper"] < bars["previous_keltner_upper"]) & (
        bars["previous_bollinger_lower"] > bars["previous_keltner_lower"]
    )
    awake = (bars["bollinger_upper"] >= bars["keltner_upper"]) | (
        bars["bollinger_lower"] <= bars["keltner_lower"]
    )
    side = bars["close"] - bars["bollinger_middle"]
    return directions(bullish=quiet & awake & (side > 0), bearish=quiet & awake & (side < 0))

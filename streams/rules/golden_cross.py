"""The averages of whole days cross: the slow trend may turn."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Period, Rule, averages_cross


def golden_cross(timeframe: Timeframe = Timeframe.D1, fast: Period = 20, slow: Period = 50) -> Rule:
    """SMA `fast` crosses SMA `slow`."""
    return averages_cross("golden_cross", timeframe, "sma", fast, slow)

"""The fast average crosses the slow one: a trend may begin."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def ema_cross(timeframe: Timeframe = Timeframe.M5) -> Rule:
    """EMA 9 crosses EMA 21 at a bar's close."""
    return Rule("ema_cross", timeframe, _look, needs=("previous_ema_9", "previous_ema_21", "ema_9", "ema_21"))


def _look(bars: Columns) -> Verdicts:
    before = bars["previous_ema_9"] - bars["previous_ema_21"]
    now = bars["ema_9"] - bars["ema_21"]
    return verdicts(bullish=(before <= 0) & (now > 0), bearish=(before >= 0) & (now < 0))

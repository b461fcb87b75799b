"""A trend of a longer timeframe takes a breath and goes on."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.bars import Columns
from streams.rules.rule import Directions, Rule, directions


def trend_pullback(timeframe: Timeframe = Timeframe.M5, trend: Timeframe = Timeframe.M15) -> Rule:
    """A bar dips to EMA 21 and closes above it, in a rising trend (bullish); mirrored (bearish).

    The trend rises when close and EMA 21 are above EMA 50 of `trend`. The bar itself rises.
    """
    average = f"ema_50@{trend}"

    def evaluate(bars: Columns) -> Directions:
        opened, closed, short, long = bars["open"], bars["close"], bars["ema_21"], bars[average]
        return directions(
            bullish=(closed > long)
            & (short > long)
            & (bars["low"] <= short)
            & (closed > short)
            & (closed > opened),
            bearish=(closed < long)
            & (short < long)
            & (bars["high"] >= short)
            & (closed < short)
            & (closed < opened),
        )

    return Rule(
        "trend_pullback",
        timeframe,
        evaluate,
        needs=("open", "high", "low", "close", "ema_21", average),
    )

"""A trend of a longer timeframe takes a breath and goes on."""

from __future__ import annotations

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts


def trend_pullback(timeframe: Timeframe = Timeframe.M5, trend: Timeframe = Timeframe.M15) -> Rule:
    """Above EMA 50 of `trend`, a bar dips to EMA 21 and closes above it and its open (bullish); mirrored (bearish)."""
    average = f"ema_50@{trend}"

    def look(bars: Columns) -> Verdicts:
        opened, closed, short, long = bars["open"], bars["close"], bars["ema_21"], bars[average]
        return verdicts(
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
        "trend_pullback", timeframe, look, needs=("open", "high", "low", "close", "ema_21", average)
    )

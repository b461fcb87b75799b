"""The relative strength returns from an extreme: a move may be exhausted."""

from __future__ import annotations

from typing import Final

from schemas.market import Timeframe
from streams.rules.rule import Columns, Rule, Verdicts, verdicts

OVERSOLD: Final = 30.0  # Wilder (1978), ch. 6
OVERBOUGHT: Final = 70.0


def rsi_reversal(timeframe: Timeframe = Timeframe.M1) -> Rule:
    """RSI 14 rises back above 30 (bullish) or falls back below 70 (bearish) at a bar's close."""
    return Rule("rsi_reversal", timeframe, _look, needs=("previous_rsi_14", "rsi_14"))


def _look(bars: Columns) -> Verdicts:
    before, now = bars["previous_rsi_14"], bars["rsi_14"]
    return verdicts(
        bullish=(before <= OVERSOLD) & (now > OVERSOLD), bearish=(before >= OVERBOUGHT) & (now < OVERBOUGHT)
    )

"""The registry of rules. A rule is a small named function over the columns of closed bars."""

from __future__ import annotations

from typing import Final

from streams.rules.ema_cross import ema_cross
from streams.rules.rsi_reversal import rsi_reversal
from streams.rules.rule import Columns, Rule

RULES: Final[tuple[Rule, ...]] = (ema_cross(), rsi_reversal())

__all__ = ["RULES", "Columns", "Rule", "ema_cross", "rsi_reversal"]

"""Rules: small named functions over the columns of closed bars (docs/rules.md)."""

from __future__ import annotations

from typing import Final

from streams.columns.parse import with_period
from streams.rules.bars import LONGEST_LOOKBACK, Columns, Flags
from streams.rules.ema_cross import ema_cross
from streams.rules.rsi_reversal import rsi_reversal
from streams.rules.rule import (
    Directions,
    Percent,
    Period,
    Rule,
    crossing,
    directions,
    threshold_cross,
)

# What runs without a rules file. A signal costs three model calls (docs/agents.md), and these two
# fire about a dozen times a day on a lively share; every other rule waits to be chosen.
RULES: Final[tuple[Rule, ...]] = (ema_cross(), rsi_reversal())

__all__ = [
    "LONGEST_LOOKBACK",
    "RULES",
    "Columns",
    "Directions",
    "Flags",
    "Percent",
    "Period",
    "Rule",
    "crossing",
    "directions",
    "ema_cross",
    "rsi_reversal",
    "threshold_cross",
    "with_period",
]

"""What indicators say of a trend, in words that are computed.

Pure. `""` where an indicator is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from schemas.market import Direction

# of ADX; Wilder (1978), New Concepts in Technical Trading Systems, ch. 4, calls 25 directional
TREND_FROM: Final = 25


def averages_of(values: Mapping[str, float], periods: Sequence[int]) -> str:
    """Whether the exponential averages of `periods`, shortest first, stand in order."""
    known = [values[f"ema_{period}"] for period in periods if f"ema_{period}" in values]
    if len(known) < len(periods):
        return ""
    pairs = list(pairwise(known))
    if all(fast > slow for fast, slow in pairs):
        return "rising"
    return "falling" if all(fast < slow for fast, slow in pairs) else "mixed"


def regime_of(values: Mapping[str, float]) -> str:
    """Whether there is a trend, by Wilder's ADX."""
    adx = values.get("adx_14")
    return "" if adx is None else "trend" if adx >= TREND_FROM else "range"


def supertrend_of(values: Mapping[str, float]) -> str:
    """Supertrend's side."""
    turn = values.get("supertrend_direction")
    if turn is None:
        return ""
    return (Direction.BULLISH if turn > 0 else Direction.BEARISH).value

"""Whether a confidence of 70 percent comes true in 70 percent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.scorecard.forecasts import Scored
from audit.scorecard.intervals import wilson

BINS: Final = 10  # of the reliability plot, 10 percent each


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about the same confidence.

    Attributes:
        confidence: Their mean, from 0 to 1.
        share: How many of them came true, from 0 to 1; `low` and `high` bound it (Wilson, 95 %).
    """

    count: int
    confidence: float
    share: float
    low: float
    high: float


def claims(items: Sequence[Scored]) -> list[tuple[float, bool]]:
    """What was claimed, from 0 to 1, and whether it came true: BUYs and SELLs only."""
    return [
        (each.forecast.confidence / 100, right)
        for each in items
        if each.forecast.acted
        and each.forecast.confidence is not None
        and (right := each.right) is not None
    ]


def brier(claimed: Sequence[tuple[float, bool]]) -> float | None:
    """Mean squared distance of claim and truth: 0 is perfect, always saying 50 percent has 0.25.

    Source: Brier (1950), Monthly Weather Review 78, in the form for two outcomes.
    """
    if not claimed:
        return None
    return sum((said - came) ** 2 for said, came in claimed) / len(claimed)


def reliability(claimed: Sequence[tuple[float, bool]]) -> list[Bin]:
    """By tenths of the confidence; empty tenths are left out."""
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for said, came in claimed:
        tenths.setdefault(min(BINS - 1, int(said * BINS + 1e-9)), []).append((said, came))
    made = []
    for _, own in sorted(tenths.items()):
        hits = sum(came for _, came in own)
        mean = sum(said for said, _ in own) / len(own)
        made.append(Bin(len(own), mean, hits / len(own), *wilson(hits, len(own))))
    return made

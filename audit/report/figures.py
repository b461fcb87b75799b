"""The few figures that sum a day up. Pure.

Of closed positions, in paise after charges. They agree with those of `quantstats` 0.0.86, where it
has them (`tests/audit/test_report.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Figures:
    """Of results in the order in which they were made, paise each.

    Attributes:
        win_rate: Gains among the results that are not zero, from 0 to 1; None without one.
        profit_factor: Gains by losses; None without a loss.
        payoff: Average gain by average loss; None without both.
        average_win, average_loss: None without one.
        longest_losing: Losses in a row at most.
    """

    number: int
    total: float
    win_rate: float | None
    profit_factor: float | None
    payoff: float | None
    average_win: float | None
    average_loss: float | None
    best: float | None
    worst: float | None
    longest_losing: int


def figures_of(results: Sequence[float]) -> Figures:
    """`results` are paise after charges, one a position."""
    wins, losses = [each for each in results if each > 0], [each for each in results if each < 0]
    decided = len(wins) + len(losses)
    average_win = sum(wins) / len(wins) if wins else None
    average_loss = sum(losses) / len(losses) if losses else None
    return Figures(
        number=len(results),
        total=sum(results),
        win_rate=len(wins) / decided if decided else None,
        profit_factor=sum(wins) / -sum(losses) if losses else None,
        payoff=-average_win / average_loss if average_win and average_loss else None,
        average_win=average_win,
        average_loss=average_loss,
        best=max(results, default=None),
        worst=min(results, default=None),
        longest_losing=_longest(results),
    )


def _longest(results: Sequence[float]) -> int:
    runs = groupby(results, key=lambda each: each < 0)
    return max((len(list(run)) for losing, run in runs if losing), default=0)

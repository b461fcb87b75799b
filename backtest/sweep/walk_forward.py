"""Chosen on the days before, judged on the days after: what a sweep is worth. Pure.

The days are cut into blocks of equal length. Of each block but the first, the point is chosen that
was best on all days before it, and only its days in the block count.
Source: Pardo (2008), The Evaluation and Optimization of Trading Strategies, chapter 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from backtest.honesty.sharpe import MIN_DAYS, probability_above, sharpe_of
from schemas.errors import Misconfigured
from schemas.units import Paise

USUAL_FOLDS: Final = 4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fold:
    """One choice and what came of it.

    Attributes:
        chosen: Place of the point; None where none had traded.
        before: Its net a day on the days it was chosen by.
        after: Its net a day on the days that followed.
    """

    first: date
    last: date
    chosen: int | None
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class WalkForward:
    """All folds.

    Attributes:
        net: On all days after a choice.
        sure: How sure one may be that their mean is above zero, from 0 to 1; None for too few.
    """

    folds: tuple[Fold, ...]
    days: int
    net: Paise
    sure: float | None


def usual_folds(days: int) -> int:
    """As many as `USUAL_FOLDS`, fewer of few days; 0 where there is nothing to hold out."""
    return max(0, min(USUAL_FOLDS, days // MIN_DAYS - 1))


def edges(days: int, folds: int) -> list[int]:
    """Where the blocks of so many days begin, and the end; the first is chosen by, never judged."""
    found: list[int] = np.linspace(0, days, folds + 2).astype(int).tolist()
    return found


def walk_forward(net: Floats, days: Sequence[date], folds: int) -> WalkForward:
    """`net` is paise of each point on each day, shape (points, days).

    Raises:
        Misconfigured: a block would have fewer than `MIN_DAYS` days.
    """
    if len(days) < MIN_DAYS * (folds + 1):
        raise Misconfigured(
            f"--walk-forward {folds} needs {MIN_DAYS * (folds + 1)} days or more, there are "
            f"{len(days)}: play more days, or take fewer folds"
        )
    made, after = list[Fold](), list[Floats]()
    for begin, end in pairwise(edges(len(days), folds)[1:]):
        chosen = best_of(net[:, :begin])
        held_out = np.zeros(end - begin) if chosen is None else net[chosen, begin:end]
        before = 0.0 if chosen is None else float(net[chosen, :begin].mean())
        made.append(Fold(days[begin], days[end - 1], chosen, before, float(held_out.mean())))
        after.append(held_out)
    all_ = np.concatenate(after) if after else np.zeros(0)
    sharpe = sharpe_of(all_)
    sure = probability_above(sharpe, 0.0) if sharpe else None
    return WalkForward(tuple(made), len(all_), Paise(round(float(all_.sum()))), sure)


def best_of(net: Floats) -> int | None:
    """The point of the highest Sharpe ratio, the first of equals; None where nobody traded."""
    ratios = [found.ratio if (found := sharpe_of(row)) else -np.inf for row in net]
    if not ratios or max(ratios) == -np.inf:
        return None
    return int(np.argmax(ratios))

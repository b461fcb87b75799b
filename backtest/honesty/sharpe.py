"""The Sharpe ratio, and what is left of it after as many tries as were made. Pure.

Source: Bailey and López de Prado (2014), The Deflated Sharpe Ratio: Correcting for Selection Bias,
Backtest Overfitting and Non-Normality, Journal of Portfolio Management 40(5), 94-107.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MIN_DAYS: Final = 3  # a skewness of two numbers is always zero

_NORMAL: Final = NormalDist()
_EULER: Final = 0.5772156649015329  # Euler and Mascheroni's constant


@dataclass(frozen=True, slots=True)
class Sharpe:
    """Of results of equal spans, such as days; nothing is annualised.

    Attributes:
        ratio: Mean by standard deviation.
        skewness: 0 for the normal distribution.
        kurtosis: 3 for the normal distribution.
    """

    ratio: float
    skewness: float
    kurtosis: float
    count: int


def sharpe_of(results: Floats) -> Sharpe | None:
    """Of `results`, one a day; None for too few, or where they are all the same."""
    if len(results) < MIN_DAYS or np.ptp(results) == 0:
        return None
    off = results - results.mean()
    spread = float(np.sqrt((off**2).mean()))
    skewness, kurtosis = (float(((off / spread) ** power).mean()) for power in (3, 4))
    return Sharpe(float(results.mean() / results.std(ddof=1)), skewness, kurtosis, len(results))


def probability_above(found: Sharpe, threshold: float) -> float:
    """How sure one may be that the true ratio is above `threshold`: the paper's equation 2."""
    spread = 1 - found.skewness * found.ratio + (found.kurtosis - 1) / 4 * found.ratio**2
    # not negative for moments of real numbers; the floor is for rounding
    return _NORMAL.cdf((found.ratio - threshold) * sqrt((found.count - 1) / max(spread, 1e-12)))


def best_by_chance(ratios: Sequence[float], tries: int) -> float:
    """The best ratio that `tries` rules without an edge make: the paper's equation 1.

    `ratios` are those of the tries whose results are known; how far they scatter counts.
    """
    if tries < 2 or len(ratios) < 2:  # nothing was chosen
        return 0.0
    at_most = (1 - _EULER) * _NORMAL.inv_cdf(1 - 1 / tries) + _EULER * _NORMAL.inv_cdf(
        1 - 1 / (tries * e)
    )
    return float(np.std(ratios, ddof=1)) * at_most


def deflated(found: Sharpe, ratios: Sequence[float], tries: int) -> float:
    """How sure one may be that the best of `tries` has an edge at all, from 0 to 1.

    Below 0.95 it may well be the luckiest of them. Tries of nearly the same parameters are fewer
    than they are counted as, so this errs on the careful side.
    """
    return probability_above(found, best_by_chance(ratios, tries))

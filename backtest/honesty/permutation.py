"""Could chance have done as well? p-values by permutation. Pure; a seed gives one value.

The p-value counts the trades as they were among those by chance: (1 + as good) / (1 + tried). So it
is never zero, and a rule without an edge gets each value as often as any other.
Source: Phipson and Smyth (2010), Permutation P-values Should Never Be Zero, Statistical
Applications in Genetics and Molecular Biology 9, 39.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TRIED: Final = 4_999  # by chance; the smallest p-value is 0.0002
# days; of five that all gained, chance alone would make one in 32
MIN_GROUPS: Final = 10


@dataclass(frozen=True, slots=True)
class Chance:
    """How an outcome stands among those that chance makes.

    Attributes:
        p_value: The share of chance that did as well or better; None where too few days tell.
        groups: Days, which is what was permuted.
        usual: What chance made on average, in the unit of the outcome.
    """

    p_value: float | None
    groups: int
    usual: float


def by_signs(results: Floats, groups: Sequence[Hashable], seed: int, tried: int = TRIED) -> Chance:
    """Are the sides right? Buys become sells and the reverse, for whole groups at a time.

    `results` are before charges, which a side does not change. Trades of one day see the same
    market, so the day is the group: alone they would count as more witnesses than they are.
    Source: Fisher (1935), The Design of Experiments, section 21 (the sign test of paired results).
    """
    totals = _totals(results, groups)
    signs = np.random.default_rng(seed).integers(0, 2, (tried, len(totals)), np.int8) * 2 - 1
    return _among(float(results.sum()), signs @ totals, len(totals))


def by_days(on_days: Floats, seed: int, *, tried: int = TRIED) -> Chance:
    """Did they know the day? The trades of each day are held against the prices of another one.

    `on_days` has a row for the trades of each day, and in it what they make before charges on the
    prices of each day, at the same minutes; its diagonal is what they made. Shares, sides, minutes
    and time held stay, so a rule that rides a market which rises every day does no better than
    chance here. Other minutes of the same day would not do: a side follows from what the price did
    before, so earlier minutes know it.
    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3.
    """
    count = len(on_days)
    others = np.random.default_rng(seed).permuted(np.tile(np.arange(count), (tried, 1)), axis=1)
    chance = on_days[np.arange(count), others].sum(axis=1)
    traded = int(np.count_nonzero(on_days.any(axis=1)))
    return _among(float(np.trace(on_days)), chance, traded)


def _totals(results: Floats, groups: Sequence[Hashable]) -> Floats:
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return np.bincount([places[each] for each in groups], results, len(places)).astype(float)


def _among(observed: float, chance: Floats, groups: int) -> Chance:
    usual = float(chance.mean()) if groups else 0.0
    if groups < MIN_GROUPS:
        return Chance(None, groups, usual)
    # sums of the same numbers in another order differ in the last bit
    as_good = np.count_nonzero(chance >= observed - 1e-9 * max(1.0, abs(observed)))
    return Chance((1 + int(as_good)) / (1 + len(chance)), groups, usual)

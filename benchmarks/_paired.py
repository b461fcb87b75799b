"""Whether one thing differs from another, of runs made in pairs. Pure.

Two runs made one after the other share the machine's mood, so their difference says more than
either. Between which values the median difference lies is read off the differences themselves (the
sign test's interval), which supposes no distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, inf
from typing import Final

SURE: Final = 0.95  # of the interval, at least
FEWEST: Final = 6  # pairs, from which on an interval is that sure


def median_between(differences: Sequence[float]) -> tuple[float, float]:
    """Where the median difference lies, in `SURE` of all cases; anywhere with too few pairs."""
    ordered, count = sorted(differences), len(differences)
    outside, left_out = 0.0, 0
    while 2 * (outside + comb(count, left_out) / 2**count) <= 1 - SURE:
        outside += comb(count, left_out) / 2**count
        left_out += 1
    if not left_out:
        return -inf, inf
    return ordered[left_out - 1], ordered[count - left_out]


def at_most(most: float, differences: Sequence[float]) -> bool | None:
    """Whether the median difference is at most `most`; None where that is not shown."""
    low, high = median_between(differences)
    if high <= most:
        return True
    return False if low > most else None

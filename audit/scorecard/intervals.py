"""Ratios and how far they can be trusted. Pure; the same numbers and seed give the same interval.

Method: percentile bootstrap (Efron 1979) over whole instrument-days. Decisions of one share on one
day see the same move, so they are drawn together, or the interval would be too narrow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

RESAMPLES: Final = 2_000
LEVEL: Final = 95  # percent
# fewer tell nothing: a coin's hit rate of 30 throws has an interval of 36 points
MIN_COUNT: Final = 30
MIN_GROUPS: Final = 10  # instrument-days; a bootstrap over fewer is too narrow
MOST_DRAWN: Final = 4_000_000  # numbers at a time: 64 MB
METHOD: Final = (
    f"{LEVEL} % intervals: percentile bootstrap, {RESAMPLES:,} resamples of whole instrument-days"
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; None where it cannot be told.

    Attributes:
        count: How many it rests on.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0

    def contains(self, value: float) -> bool:
        """Whether the interval has `value` in it; one that is not there excludes nothing."""
        if self.low is None or self.high is None:
            return True
        return self.low <= value <= self.high


def ratios(
    groups: Sequence[Hashable],
    tops: Sequence[Floats],
    bottoms: Sequence[Floats],
    counts: Sequence[int],
    seed: tuple[int, str],
) -> list[Estimate]:
    """The sum of each of `tops` by the sum of its `bottoms`, with intervals.

    A mean is a ratio, and so are a hit rate and a profit factor. `groups` says which entries are
    drawn together, `counts` how many entries each ratio rests on; too few get no interval.
    """
    if not groups:
        return [Estimate() for _ in tops]
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    at = np.array([places[group] for group in groups])
    over, under = (
        np.stack([np.bincount(at, each, len(places)) for each in columns], axis=1)
        for columns in (tops, bottoms)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = over.sum(0) / under.sum(0)
        parts = [(drawn @ over) / (drawn @ under) for drawn in _draws(len(places), seed)]
    spread = np.concatenate(parts)
    made = []
    for column, value in enumerate(plain.tolist()):
        if not np.isfinite(value):
            made.append(Estimate(count=counts[column]))
            continue
        enough = counts[column] >= MIN_COUNT and len(places) >= MIN_GROUPS
        low, high = _percentiles(spread[:, column]) if enough else (None, None)
        made.append(Estimate(value, low, high, counts[column]))
    return made


def _draws(groups: int, seed: tuple[int, str]) -> Iterator[Floats]:
    """How often each group is drawn, a row for each resample; some rows at a time."""
    number, name = seed
    salt = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    random = np.random.default_rng([number, salt])
    rows = max(1, MOST_DRAWN // groups)
    for done in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - done)
        yield random.multinomial(groups, np.full(groups, 1 / groups), size).astype(float)


def _percentiles(spread: Floats) -> tuple[float | None, float | None]:
    """None where a resample has no ratio, such as a profit factor without a loss."""
    if not np.isfinite(spread).all():
        return None, None
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(spread, [tail, 100 - tail])
    return float(low), float(high)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, for independent throws.

    Source: Wilson (1927), Journal of the American Statistical Association 22.
    """
    if not count:
        return 0.0, 1.0
    z = 1.959963984540054
    share, spare = hits / count, z * z / count
    middle = share + spare / 2
    half = z * ((share * (1 - share) + spare / 4) / count) ** 0.5
    return max(0.0, (middle - half) / (1 + spare)), min(1.0, (middle + half) / (1 + spare))

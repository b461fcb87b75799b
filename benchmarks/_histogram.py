"""Latencies counted in buckets that grow with their values, so that a whole run fits in a file.

As HdrHistogram does: between two powers of two stand `STEPS` buckets of one width, so a percentile
is at most 0.8 % above the value that stood there. Histograms of several rounds add up.
Source: Tene, HdrHistogram (hdrhistogram.org).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, nan
from typing import Final

STEPS: Final = 128  # a power of two
_BITS: Final = STEPS.bit_length() - 1


class Histogram:
    """Counts of whole numbers from 0 on; here microseconds."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """`counts` by bucket, as `counts` gave them."""
        self._counts = Counter(counts or {})

    @classmethod
    def of(cls, values: Iterable[int]) -> Histogram:
        """A histogram of these; what is below 0 counts as 0."""
        return cls(Counter(map(_bucket, values)))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self._counts + other._counts)

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def counts(self) -> dict[int, int]:
        """How many fell into each bucket."""
        return dict(sorted(self._counts.items()))

    def at(self, percentile: float) -> float:
        """The largest value of the bucket in which that percentile stands; nan of nothing."""
        left = max(1, ceil(percentile / 100 * len(self)))
        for bucket, count in self.counts.items():
            left -= count
            if left <= 0:
                return _largest(bucket)
        return nan


def _bucket(value: int) -> int:
    value = max(0, value)
    shift = max(0, value.bit_length() - _BITS - 1)
    return (shift << _BITS) + (value >> shift)


def _largest(bucket: int) -> int:
    shift = max(0, (bucket >> _BITS) - 1)
    return ((bucket - (shift << _BITS) + 1) << shift) - 1

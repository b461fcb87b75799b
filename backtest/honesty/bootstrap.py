"""Intervals of a mean and of a profit factor, for results that depend on each other. Pure.

Method: the stationary bootstrap. Results are drawn in runs of random length, so trades that saw
the same market stay together; the drawn series wraps round at its end.
Source: Politis and Romano (1994), The Stationary Bootstrap, Journal of the American Statistical
Association 89, 1303-1313.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from audit.scorecard.intervals import LEVEL, MIN_COUNT, RESAMPLES, Estimate

MOST_DRAWN: Final = 2_000_000  # results at a time: 16 MB

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def mean_interval(results: Floats, run: float, seed: int) -> Estimate:
    """The mean of `results` with its interval.

    `results` stand in the order of time; `run` is the mean length of a run, such as the trades of
    an average day. Fewer than `MIN_COUNT` results get no interval.
    """
    if not len(results):
        return Estimate()
    means = np.concatenate([results[drawn].mean(axis=1) for drawn in resamples(results, run, seed)])
    return _estimate(float(results.mean()), means, len(results))


def profit_factor_interval(results: Floats, run: float, seed: int) -> Estimate:
    """What was gained by what was lost, with its interval; no value where nothing was lost."""
    factors = [profit_factors(results[drawn]) for drawn in resamples(results, run, seed)]
    value = float(profit_factors(results[np.newaxis])[0]) if len(results) else np.inf
    if not np.isfinite(value):
        return Estimate(count=len(results))
    return _estimate(value, np.concatenate(factors), len(results))


def profit_factors(results: Floats) -> Floats:
    """Of each row; infinite where nothing was lost."""
    gained = np.where(results > 0, results, 0).sum(axis=1)
    lost = -np.where(results < 0, results, 0).sum(axis=1)
    factors = np.full(len(results), np.inf)
    np.divide(gained, lost, out=factors, where=lost > 0)
    return factors


def resamples(results: Floats, run: float, seed: int) -> Iterator[Places]:
    """Places of the drawn results, a row for each of `RESAMPLES`; some rows at a time."""
    count, random = len(results), np.random.default_rng(seed)
    rows = max(1, MOST_DRAWN // max(1, count))
    for done in range(0, RESAMPLES, rows):
        yield stationary_places(random, min(rows, RESAMPLES - done), count, run)


def stationary_places(random: np.random.Generator, rows: int, count: int, run: float) -> Places:
    """Shape (rows, count): runs of consecutive places, of geometric length with mean `run`."""
    begins = random.random((rows, count)) < 1 / max(run, 1)
    begins[:, :1] = True
    starts = random.integers(0, max(count, 1), (rows, count))
    at = np.arange(count)
    last = np.maximum.accumulate(np.where(begins, at, 0), axis=1)
    drawn: Places = (np.take_along_axis(starts, last, axis=1) + at - last) % max(count, 1)
    return drawn


def _estimate(value: float, spread: Floats, count: int) -> Estimate:
    if count < MIN_COUNT:
        return Estimate(value, count=count)
    tail = (100 - LEVEL) / 2
    # a drawn value, never one between two: a profit factor may be infinite
    low, high = np.percentile(spread, [tail, 100 - tail], method="inverted_cdf").tolist()
    return Estimate(value, low, high, count)

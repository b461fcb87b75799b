"""Points that a Bayesian search asks for: the next ones stand where the last ones did well.

The search is optuna's tree of Parzen estimators (Bergstra et al., 2011, Algorithms for
Hyper-Parameter Optimization). It keeps nothing on the disk: the same seed asks for the same points
as long as they came out the same, so a search that was killed asks again for what is known, and
goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)

from backtest.honesty.sharpe import sharpe_of
from backtest.sweep.play import AT_ONCE
from backtest.sweep.results import DayResult, PointResult
from backtest.sweep.space import Axis, Point, Space
from backtest.sweep.walk_forward import edges

# Of a point that was refused, or traded nothing. The search ranks, so any figure below all others.
WORST: Final = -1e9

Play = Callable[[Sequence[Point]], Sequence[PointResult]]
Worth = Callable[[PointResult], float | None]


def search(space: Space, tries: int, seed: int, play: Play, worth: Worth) -> list[PointResult]:
    """Ask for `tries` points, `AT_ONCE` at a time; the results of the different ones, in order.

    `play` gives the results of points in their order, `worth` says how good one is. A point may be
    asked for twice, and is a try then too.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)  # of points not played yet
    study = optuna.create_study(direction="maximize", sampler=sampler)
    axes = {axis.name: _distribution(axis) for axis in space.axes}
    found: dict[str, PointResult] = {}
    for start in range(0, tries, AT_ONCE):
        asked = [study.ask(axes) for _ in range(min(AT_ONCE, tries - start))]
        results = play([_point(space.axes, each.params) for each in asked])
        for trial, result in zip(asked, results, strict=True):
            good = worth(result)
            study.tell(trial, WORST if good is None else good)
            found[result.key] = result
    return list(found.values())


def worth_before(days: Sequence[DayResult], folds: int) -> float | None:
    """The Sharpe ratio a day on the days before the first block that is held out; None without one.

    A search that saw the others would find what did well on them, and nothing would be held out.
    """
    chosen_by = days[: edges(len(days), folds)[1]]
    found = sharpe_of(np.array([day.net for day in chosen_by], float))
    return found.ratio if found else None


def _distribution(axis: Axis) -> BaseDistribution:
    """Of the place of a value in its axis: numbers have neighbours, words have none."""
    places = range(len(axis.values))
    if all(type(value) in {int, float} for value in axis.values):  # True is an int
        return IntDistribution(0, places[-1])
    return CategoricalDistribution(list(places))


def _point(axes: Iterable[Axis], places: dict[str, int]) -> Point:
    return {axis.name: axis.values[places[axis.name]] for axis in axes}

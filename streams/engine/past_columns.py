"""The last values of the columns that rules look back at (`Rule.lookback`).

A layer over closed bars, as `talib_windows`: what a rule sees is a bounded past of its own columns,
so it is the same after a crash and in any replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.market import Timeframe
from streams.columns.names import PREVIOUS, VALUES, may_be_missing
from streams.engine.compiled import FloatArray, IntArray
from streams.engine.layout import AT
from streams.rules import Rule

_PART: Final = "past"
# History comes timeframe by timeframe, so sums of the day are those of its last minute.
_OWN: Final = frozenset(name for name in VALUES if not may_be_missing(name))


@dataclass(slots=True)
class PastColumns:
    """The bars before the next one, of one timeframe.

    Attributes:
        names: Columns as rules need them.
        places: Where each stands (`rule_runner.BoundRule`).
        values: Shape (capacity, names, depth), oldest bar first, NaN where unknown.
    """

    timeframe: Timeframe
    names: tuple[str, ...]
    places: tuple[int, ...]
    depth: int
    values: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.values = np.zeros((0, len(self.names), self.depth))

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` instruments."""
        more = np.full((capacity - len(self.values), *self.values.shape[1:]), np.nan)
        self.values = np.concatenate([self.values, more])

    def push(self, numbers: IntArray, now: FloatArray) -> FloatArray:
        """Take one closed bar of each of `numbers`, which differ; `now` has shape (bars, names).

        Returns what was there before it: shape (bars, names, depth).
        """
        before: FloatArray = self.values[numbers]
        self.values[numbers, :, :-1] = before[:, :, 1:]
        self.values[numbers, :, -1] = now
        return before

    def needed(self, rule: Rule, before: FloatArray) -> FloatArray:
        """What `push` returned as `rule` sees it: shape (bars, needs, lookback), its own copy."""
        columns = [self.names.index(name) for name in rule.needs]
        return before[:, columns, self.depth - rule.lookback :]

    def push_historical(self, number: int, final: FloatArray, previous: FloatArray) -> None:
        """Take a closed bar of the past, of which only its own indicators are known.

        `final` and `previous` are the values of the bar and of the one before (`VALUES`).
        """
        now = np.array([_historical(name, final, previous) for name in self.names])
        self.push(np.array([number]), now[None])

    def part(self, name: str) -> str:
        """What snapshots call a column."""
        return f"{_PART}:{self.timeframe}:{name}"

    def arrays(self, count: int) -> dict[str, npt.NDArray[Any]]:
        """What a snapshot must hold of the first `count` instruments."""
        return {
            self.part(name): np.ascontiguousarray(self.values[:count, nth])
            for nth, name in enumerate(self.names)
        }

    def load(self, parts: Mapping[str, npt.NDArray[np.float64]], count: int) -> None:
        """Take what `arrays` gave, by another depth too: the newest bars that there are."""
        for nth, name in enumerate(self.names):
            if (held := parts.get(self.part(name))) is not None and count:
                past = held.reshape(count, -1)[:, -self.depth :]
                self.values[:count, nth, self.depth - past.shape[1] :] = past


def bars_in_turn(numbers: IntArray) -> Iterator[IntArray]:
    """Places of bars in parts that hold one bar of an instrument each, in the order they closed."""
    left = np.arange(len(numbers))
    while len(left):
        _, first = np.unique(numbers[left], return_index=True)
        yield left[np.sort(first)]
        left = np.delete(left, first)


def _historical(name: str, final: FloatArray, previous: FloatArray) -> float:
    base = name.removeprefix(PREVIOUS)
    if base not in _OWN:
        return np.nan
    return float((final if base == name else previous)[AT[base]])

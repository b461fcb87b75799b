"""Closed bars as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from streams.columns.names import FACTS, TIME_FACTS, VALUES, unlagged
from streams.engine.compiled import FloatArray, IntArray

INSTRUMENT, TIMEFRAME, START, END, TICKS, COMPLETE = range(len(FACTS))


@dataclass(frozen=True, slots=True)
class ClosedBars:
    """Bars in the order they closed.

    Attributes:
        facts: Shape (bars, `FACTS`). Instruments and timeframes are the engine's own numbers.
        values: Shape (bars, `VALUES` and what rules need besides), NaN during warm-up.
    """

    facts: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.facts)


NOTHING: Final = ClosedBars(np.empty((0, len(FACTS)), np.int64), np.empty((0, len(VALUES))))


def joined(parts: list[ClosedBars]) -> ClosedBars:
    """The parts in a row."""
    if not parts:
        return NOTHING
    if len(parts) == 1:
        return parts[0]
    return ClosedBars(
        np.concatenate([part.facts for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class NeededColumns:
    """The columns one rule needs, of the bars it is evaluated on.

    Attributes:
        table: Shape (bars, names).
        past: Shape (bars, names, lookback): the same at the bars before, oldest first.
    """

    names: tuple[str, ...]
    table: FloatArray
    past: FloatArray | None = None

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        base, back = unlagged(name)
        place = self.names.index(base)
        if back and self.past is not None:
            lag: FloatArray = self.past[:, place, -back]
            return lag
        column = self.table[:, place]
        return column.astype(np.int64) if name in _WHOLE else column

    def only(self, row: int) -> NeededColumns:
        """One of the bars."""
        past = None if self.past is None else self.past[row : row + 1]
        return NeededColumns(self.names, self.table[row : row + 1], past)


_WHOLE: Final = frozenset((*FACTS, *TIME_FACTS))

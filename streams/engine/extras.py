"""The last bars of each instrument, where `talib.` columns are wanted, and the columns' values at each close.

A layer over closed bars: it sees them in the order the kernels close them, the longest of equals
first, so what a rule finds in a longer timeframe's column is what the kernels' own readings would
show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.columns.names import PRICES
from streams.columns.talib_functions import TalibColumn, talib_column
from streams.engine.closed import INSTRUMENT, TIMEFRAME
from streams.engine.compiled import Numbers, Reals


@dataclass(slots=True)
class Frame:
    """The bars of one timeframe.

    Attributes:
        inputs: Which of `PRICES` are kept, by place.
        bars: Shape (capacity, inputs, window), the newest last.
        filled: Shape (capacity,): how many of them there are.
        now: Shape (capacity, columns): values at the last close, NaN in warm-up.
        before: The same at the close before it; no state, because the next close makes it of `now`.
    """

    timeframe: Timeframe
    columns: tuple[TalibColumn, ...]
    inputs: list[int] = field(init=False)
    bars: Reals = field(init=False)
    filled: Numbers = field(init=False)
    now: Reals = field(init=False)
    before: Reals = field(init=False)

    def __post_init__(self) -> None:
        used = {name for column in self.columns for name in column.inputs}
        self.inputs = [place for place, name in enumerate(PRICES) if name in used]
        self.bars = np.zeros((0, len(self.inputs), max(column.window for column in self.columns)))
        self.filled = np.zeros(0, np.int64)
        self.now = np.zeros((0, len(self.columns)))
        self.before = np.zeros((0, len(self.columns)))

    @property
    def name(self) -> str:
        """What it keeps, for snapshots: a frame of another name cannot go on with its arrays."""
        return f"{self.timeframe}:{self.bars.shape[2]}:{' '.join(column.name for column in self.columns)}"

    def grow(self, capacity: int) -> None:
        more = capacity - len(self.filled)
        self.bars = np.concatenate([self.bars, np.zeros((more, *self.bars.shape[1:]))])
        self.filled = np.concatenate([self.filled, np.zeros(more, np.int64)])
        blank = np.full((more, len(self.columns)), np.nan)
        self.now, self.before = (
            np.concatenate([self.now, blank]),
            np.concatenate([self.before, blank]),
        )

    def close(self, number: int, bar: Reals) -> None:
        """Take one closed bar (`PRICES`) of an instrument."""
        window = self.bars[number]
        flat = window.reshape(-1)
        # all rows at once; what moves into a row's end from the next one is written over
        flat[:-1] = flat[1:]
        window[:, -1] = bar[self.inputs]
        count = self.filled[number] = min(self.filled[number] + 1, window.shape[1])
        past = {PRICES[place]: window[nth, -count:] for nth, place in enumerate(self.inputs)}
        self.before[number] = self.now[number]
        for nth, column in enumerate(self.columns):
            self.now[number, nth] = column.value(past)

    def arrays(self, count: int) -> dict[str, npt.NDArray[Any]]:
        parts = {"bars": self.bars, "filled": self.filled, "now": self.now}
        return {f"talib:{part}:{self.name}": array[:count] for part, array in parts.items()}


class Capture(NamedTuple):
    """One value that goes with the bars of a timeframe.

    Attributes:
        asking: Place of the bars' timeframe.
        of: Place of the timeframe the value is of: the same, or a longer one.
        column: Which of its frame's columns.
        previous: At the close before the last.
    """

    asking: int
    of: int
    column: int
    previous: bool


class Extras:
    """All frames of one engine, and which of their values go with each closed bar.

    Attributes:
        frames: By place of the timeframe.
        captures: In the order of the values; first each frame's own.
    """

    def __init__(
        self,
        wanted: Mapping[Timeframe, tuple[str, ...]],
        window: int,
        timeframes: tuple[Timeframe, ...],
    ) -> None:
        """Start empty.

        Raises:
            Misconfigured: a name that is no column of TA-Lib, or a timeframe that is not computed.
        """
        if missing := [timeframe for timeframe in wanted if timeframe not in timeframes]:
            raise Misconfigured(
                f"talib. columns on {missing[0]} bars: they are not made; add {missing[0]} to the timeframes"
            )
        self.frames = {
            timeframes.index(timeframe): Frame(
                timeframe, tuple(talib_column(name, window) for name in names)
            )
            for timeframe, names in wanted.items()
        }
        own = (
            (place, nth)
            for place, frame in self.frames.items()
            for nth in range(len(frame.columns))
        )
        self.captures = [Capture(place, place, nth, previous=False) for place, nth in own]

    def place(self, asking: int, of: int, name: str, *, previous: bool) -> int:
        """Where a column's value stands among those that go with the bars of `asking`.

        It goes with them from now on.
        """
        names = [column.name for column in self.frames[of].columns]
        capture = Capture(asking, of, names.index(name), previous)
        if capture not in self.captures:
            self.captures.append(capture)
        return self.captures.index(capture)

    def told(self, place: int, first: int) -> list[tuple[str, int]]:
        """The columns of a timeframe's own, for `ats.indicators`, and where they stand when the first of all is at `first`."""
        return [
            (self.frames[place].columns[capture.column].name, first + nth)
            for nth, capture in enumerate(self.captures)
            if capture.asking == capture.of == place and not capture.previous
        ]

    def grow(self, capacity: int) -> None:
        for frame in self.frames.values():
            frame.grow(capacity)

    def take(self, facts: Numbers, bars: Reals) -> Reals:
        """Take bars in the order they closed (`bars` begin with `PRICES`).

        Returns shape (bars, captures), NaN where unknown.
        """
        told = np.full((len(facts), len(self.captures)), np.nan)
        for at, (number, place) in enumerate(facts[:, [INSTRUMENT, TIMEFRAME]].tolist()):
            if frame := self.frames.get(place):
                frame.close(number, bars[at])
            for nth, capture in enumerate(self.captures):
                if capture.asking == place:
                    of = self.frames[capture.of]
                    told[at, nth] = (of.before if capture.previous else of.now)[
                        number, capture.column
                    ]
        return told

    def arrays(self, count: int) -> dict[str, npt.NDArray[Any]]:
        """What a snapshot must hold of `count` instruments."""
        return {
            name: part
            for frame in self.frames.values()
            for name, part in frame.arrays(count).items()
        }

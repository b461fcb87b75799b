"""The last bars where `talib.` columns are wanted, and the columns' values at each close.

A layer over closed bars: it sees them in the order the kernels close them, the longest of equals
first. So a rule finds in a longer timeframe's column what the kernels' own values would show it.
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
from streams.engine.closed_bars import INSTRUMENT, TIMEFRAME
from streams.engine.compiled import FloatArray, IntArray


@dataclass(slots=True)
class TalibWindow:
    """The last bars of one timeframe.

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
    bars: FloatArray = field(init=False)
    filled: IntArray = field(init=False)
    now: FloatArray = field(init=False)
    before: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        used = {name for column in self.columns for name in column.inputs}
        self.inputs = [place for place, name in enumerate(PRICES) if name in used]
        self.bars = np.zeros((0, len(self.inputs), max(column.window for column in self.columns)))
        self.filled = np.zeros(0, np.int64)
        self.now = np.zeros((0, len(self.columns)))
        self.before = np.zeros((0, len(self.columns)))

    @property
    def name(self) -> str:
        """What it keeps, for snapshots: a window of another name cannot go on with its arrays."""
        columns = " ".join(column.name for column in self.columns)
        return f"{self.timeframe}:{self.bars.shape[2]}:{columns}"

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` instruments."""
        more = capacity - len(self.filled)
        self.bars = np.concatenate([self.bars, np.zeros((more, *self.bars.shape[1:]))])
        self.filled = np.concatenate([self.filled, np.zeros(more, np.int64)])
        blank = np.full((more, len(self.columns)), np.nan)
        self.now, self.before = (
            np.concatenate([self.now, blank]),
            np.concatenate([self.before, blank]),
        )

    def push_bar(self, number: int, bar: FloatArray) -> None:
        """Put one closed bar (`PRICES`) of an instrument into its window; compute the columns."""
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
        """What a snapshot must hold of the first `count` instruments."""
        parts = {"bars": self.bars, "filled": self.filled, "now": self.now}
        return {f"talib:{part}:{self.name}": array[:count] for part, array in parts.items()}


class CapturedColumn(NamedTuple):
    """One value that goes with the bars of a timeframe.

    Attributes:
        timeframe: Place of the bars' timeframe.
        source: Place of the timeframe the value is of: the same, or a longer one.
        column: Which of its window's columns.
        previous: At the close before the last.
    """

    timeframe: int
    source: int
    column: int
    previous: bool


class TalibWindows:
    """All windows of one engine, and which of their values go with each closed bar.

    Attributes:
        windows: By place of the timeframe.
        captures: In the order of the values; first each window's own.
    """

    def __init__(
        self,
        wanted: Mapping[Timeframe, tuple[str, ...]],
        longest: int,
        timeframes: tuple[Timeframe, ...],
    ) -> None:
        """Start empty. `longest` is how many bars a function gets that remembers all of them.

        Raises:
            Misconfigured: a name that is no column of TA-Lib, or a timeframe that is not computed.
        """
        if missing := [timeframe for timeframe in wanted if timeframe not in timeframes]:
            raise Misconfigured(
                f"talib. columns on {missing[0]} bars: they are not made; "
                f"add {missing[0]} to the timeframes"
            )
        self.windows = {
            timeframes.index(timeframe): TalibWindow(
                timeframe, tuple(talib_column(name, longest) for name in names)
            )
            for timeframe, names in wanted.items()
        }
        own = (
            (place, nth)
            for place, window in self.windows.items()
            for nth in range(len(window.columns))
        )
        self.captures = [CapturedColumn(place, place, nth, previous=False) for place, nth in own]

    def capture(self, timeframe: int, source: int, name: str, *, previous: bool) -> int:
        """Where a column's value stands among those that go with the bars of `timeframe`.

        It goes with them from now on.
        """
        names = [column.name for column in self.windows[source].columns]
        captured = CapturedColumn(timeframe, source, names.index(name), previous)
        if captured not in self.captures:
            self.captures.append(captured)
        return self.captures.index(captured)

    def published(self, place: int, first: int) -> list[tuple[str, int]]:
        """The columns of a timeframe's own, for `ats.indicators`, and where they stand.

        `first` is where the first of all captures stands.
        """
        return [
            (self.windows[place].columns[captured.column].name, first + nth)
            for nth, captured in enumerate(self.captures)
            if captured.timeframe == captured.source == place and not captured.previous
        ]

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` instruments."""
        for window in self.windows.values():
            window.grow(capacity)

    def push_bars(self, facts: IntArray, bars: FloatArray) -> FloatArray:
        """Take bars in the order they closed (`bars` begin with `PRICES`).

        Returns shape (bars, captures), NaN where unknown.
        """
        values = np.full((len(facts), len(self.captures)), np.nan)
        for at, (number, place) in enumerate(facts[:, [INSTRUMENT, TIMEFRAME]].tolist()):
            if window := self.windows.get(place):
                window.push_bar(number, bars[at])
            for nth, captured in enumerate(self.captures):
                if captured.timeframe == place:
                    source = self.windows[captured.source]
                    row = (source.before if captured.previous else source.now)[number]
                    values[at, nth] = row[captured.column]
        return values

    def arrays(self, count: int) -> dict[str, npt.NDArray[Any]]:
        """What a snapshot must hold of `count` instruments."""
        return {
            name: part
            for window in self.windows.values()
            for name, part in window.arrays(count).items()
        }

"""Does a rule look at what comes after a bar, at other bars, or at what it remembers?

A rule gets columns, one value a bar, and may only compare them bar by bar. Live, a call holds the
bars that close at one moment; in a backtest it may hold later ones. So there are two ways to see
the future, and each is tried on bars of real or generated days:

- over the array (`np.roll(close, -1)`, a centred mean, `close / close.max()`): the future is cut
  off behind some bars, and bars are asked about alone;
- over calls (a dict that the rule fills): bars are asked about once more, the last ones first.

Where it stops: a rule that opens a file of tomorrow's prices is not found out. Nor is one whose
parameters were chosen on these very days; that is what walk-forward is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.units import UtcNs
from streams.engine.closed_bars import END, INSTRUMENT, NeededColumns
from streams.engine.compiled import IntArray
from streams.engine.engine import Engine
from streams.rules import Directions, Rule

CUTS: Final = 16  # moments of each instrument at which its future is cut off
ALONE: Final = 100  # bars of each instrument that are asked about alone, and as many it fired on
MOST_BARS: Final = 100_000  # that a tape keeps, the first ones: 5 MB for six columns
MOST_INSTRUMENTS: Final = 10  # a rule does not know which instrument it looks at

Values = npt.NDArray[np.float64]


class Fault(StrEnum):
    """What a rule does that it must not, as the end of a sentence."""

    FUTURE = "looks ahead"
    OTHER_BARS = "looks at other bars of the same call"
    MEMORY = "does not say the same twice"


_REMEDIES: Final = {
    Fault.FUTURE: "compare columns bar by bar, without np.roll, cumulative sums, means or maxima "
    "over the array",
    Fault.OTHER_BARS: "live they are bars of other instruments: the bar before is the column "
    "previous_… or, with a lookback, bars.lag(1); an average over bars is a talib. column",
    Fault.MEMORY: "a rule is a function of its columns, without memory, clock or chance: what it "
    "needs of the past is a column, or bars.lag(n) with a lookback",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The first bar at which a rule said something else.

    Attributes:
        columns: Through which of its columns; empty where it is no column's doing.
        said, then: First, and with the future cut off, alone, or once more.
    """

    rule: str
    fault: Fault
    symbol: str
    at: UtcNs
    columns: tuple[str, ...]
    said: int
    then: int

    def __str__(self) -> str:
        through = f" through {' and '.join(map(repr, self.columns))}" if self.columns else ""
        without = "asked again" if self.fault is Fault.MEMORY else "without them"
        return (
            f"rule {self.rule} {self.fault}{through}: it says {self.said} to {self.symbol} at "
            f"{self.at.ist():%Y-%m-%d %H:%M}, and {self.then} {without}; {_REMEDIES[self.fault]}"
        )


@dataclass(slots=True)
class Tape:
    """What the engine asked one rule, and what it answered, in the order of closing.

    It keeps `MOST_BARS` and then hears no more, so a year of days costs no more than a week.

    Attributes:
        values: Shape (bars, needs), a piece for each call.
    """

    rule: Rule
    values: list[Values] = field(default_factory=list)
    said: list[Directions] = field(default_factory=list)
    bars: list[tuple[InstrumentId, UtcNs]] = field(default_factory=list)

    def listen(self, engine: Engine) -> None:
        """Hear what `engine` asks the rule."""

        def hear(facts: IntArray, columns: NeededColumns, said: Directions) -> None:
            if len(self.bars) >= MOST_BARS:
                return
            self.values.append(columns.table)
            self.said.append(said)
            self.bars += (
                (engine.instrument(number), UtcNs(end))
                for number, end in facts[:, [INSTRUMENT, END]].tolist()
            )

        engine.runner.listeners[self.rule.key].append(hear)


@dataclass(frozen=True, slots=True)
class _Series:
    """The bars of one instrument, oldest first."""

    rule: Rule
    symbol: str
    ends: Sequence[UtcNs]
    values: Values
    said: Directions

    def ask(self, rows: slice = slice(None), values: Values | None = None) -> Directions:
        """About some of the bars, or as if the columns had other `values` at them."""
        table = (self.values if values is None else values)[rows]
        past = self.past[rows] if self.rule.lookback else None
        return self.rule.evaluate(NeededColumns(self.rule.needs, table, past), len(table))

    @property
    def past(self) -> Values:
        """What was there before each bar, as the engine has it: a view of the bars themselves."""
        count, back = len(self.values), self.rule.lookback
        unknown = np.full((back, self.values.shape[1]), np.nan)
        windows = sliding_window_view(np.concatenate([unknown, self.values]), back, axis=0)
        return windows[:count]

    def finding(
        self, fault: Fault, at: int, *, said: int, then: int, columns: tuple[str, ...] = ()
    ) -> Finding:
        return Finding(self.rule.key, fault, self.symbol, self.ends[at], columns, said, then)


def find_lookahead(tape: Tape, symbols: Mapping[InstrumentId, str]) -> Finding | None:
    """The first fault of a rule on the bars of its tape; None where there is none.

    Raises:
        Misconfigured: the rule fails, for example when it is asked about a single bar.
    """
    checks = (_over_the_array(series) for series in _series(tape, symbols))
    return next((finding for finding in checks if finding), None)


def refuse_lookahead(tapes: Iterable[Tape], symbols: Mapping[InstrumentId, str]) -> None:
    """Raise Misconfigured where a rule looks ahead, at other bars, or at what it remembers."""
    for tape in tapes:
        if finding := find_lookahead(tape, symbols):
            raise Misconfigured(str(finding))


def _series(tape: Tape, symbols: Mapping[InstrumentId, str]) -> Iterator[_Series]:
    if not tape.values:
        return
    values, said = np.concatenate(tape.values), np.concatenate(tape.said)
    said = np.where(np.isnan(values).any(axis=1), 0, said)
    rows: dict[InstrumentId, list[int]] = {}
    for row, (instrument, _) in enumerate(tape.bars):
        rows.setdefault(instrument, []).append(row)
    # where it spoke most, most can differ
    spoken = sorted(rows, key=lambda each: (-np.count_nonzero(said[rows[each]]), each))
    for instrument in spoken[:MOST_INSTRUMENTS]:
        own = rows[instrument]
        yield _Series(
            tape.rule,
            symbols.get(instrument, str(instrument)),
            [tape.bars[row][1] for row in own],
            values[own],
            said[own],
        )


def _over_the_array(series: _Series) -> Finding | None:
    """With the future and without, then bar by bar, the last first."""
    whole, count = series.ask(), len(series.values)
    for end in sorted({*np.linspace(1, count, CUTS + 1).astype(int).tolist()}):
        cut = series.ask(slice(end))
        if len(differs := np.flatnonzero(cut != whole[:end])):
            return _finding(series, int(differs[0]), int(whole[differs[0]]), int(cut[differs[0]]))
    for at in _asked_alone(series.said):
        alone = series.ask(slice(at, at + 1))[0]
        if alone != whole[at]:
            return _finding(series, at, int(whole[at]), int(alone))
        if alone != series.said[at]:
            return series.finding(Fault.MEMORY, at, said=int(series.said[at]), then=int(alone))
    return None


def _asked_alone(said: Directions) -> list[int]:
    """Some bars that the rule spoke about, and some evenly over all; the last first."""
    spoken = np.flatnonzero(said)
    chosen = [
        among[np.linspace(0, len(among) - 1, min(ALONE, len(among))).astype(int)]
        for among in (spoken, np.arange(len(said)))
        if len(among)
    ]
    return [int(place) for place in np.unique(np.concatenate(chosen))[::-1]]


def _finding(series: _Series, at: int, said: int, then: int) -> Finding:
    """What made the difference at a bar between all bars and some of them."""
    if _depends_on_calls_before(series, at, said):
        return series.finding(Fault.MEMORY, at, said=said, then=then)
    past = series.ask(slice(at + 1))[at]
    fault, others = (
        (Fault.FUTURE, slice(at + 1, None)) if past != said else (Fault.OTHER_BARS, slice(0, at))
    )
    through = tuple(_guilty(series, at, said, others))
    columns = through or series.rule.needs
    return series.finding(fault, at, said=said, then=then, columns=columns)


def _depends_on_calls_before(series: _Series, at: int, said: int) -> bool:
    answers = set()
    for before in np.linspace(0, len(series.values) - 1, CUTS).astype(int).tolist():
        series.ask(slice(before, before + 1))
        answers.add(int(series.ask(slice(at, at + 1))[0]))
    return len(answers) > 1 or series.ask()[at] != said


def _guilty(series: _Series, at: int, said: int, others: slice) -> Iterator[str]:
    """The columns whose values at `others` decide what is said at the bar."""
    for place, name in enumerate(series.rule.needs):
        values = series.values.copy()
        values[others, place] = values[at, place]
        if series.ask(values=values)[at] != said:
            yield name

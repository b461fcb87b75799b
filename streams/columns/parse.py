"""The one parser of column names: what a rule may look at, and what a name stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.columns.names import BAR_FACTS, PREVIOUS, TIME_FACTS, VALUES, WARM_UP_OF
from streams.columns.suggest import did_you_mean
from streams.columns.talib_functions import PREFIX, talib_column

_ORDER: Final = list(Timeframe)
_OF_THE_BAR: Final = (*BAR_FACTS, *TIME_FACTS)


@dataclass(frozen=True, slots=True)
class Column:
    """One name taken apart.

    Attributes:
        base: One of `VALUES`, `BAR_FACTS` or `TIME_FACTS`, or a `talib.` column.
        previous: At the bar before.
        timeframe: Whose bars.
    """

    base: str
    previous: bool
    timeframe: Timeframe

    @property
    def is_talib(self) -> bool:
        """Whether a function of TA-Lib computes it."""
        return self.base.startswith(PREFIX)

    @property
    def warm_up(self) -> int:
        """How many bars of `timeframe` must have closed before it has a value."""
        before = talib_column(self.base).lookback if self.is_talib else WARM_UP_OF.get(self.base, 0)
        return before + 1 + self.previous


def parse_column(name: str, timeframe: Timeframe) -> Column:
    """What `name` means to a rule on bars of `timeframe`.

    Raises:
        Misconfigured: no such column.
    """
    text, at, other = name.rpartition("@") if "@" in name else (name, "", timeframe)
    base = text.removeprefix(PREVIOUS)
    column = Column(base, base != text, _timeframe(name, other))
    if at and _ORDER.index(column.timeframe) <= _ORDER.index(timeframe):
        raise Misconfigured(
            f"column {name!r}: a rule on {timeframe} bars can look at longer bars only"
        )
    if at and column.previous:
        raise Misconfigured(
            f"column {name!r}: of a longer timeframe there is the last closed bar only"
        )
    if base in _OF_THE_BAR and (at or column.previous):
        raise Misconfigured(f"column {name!r}: {base} is known of the bar itself only")
    if column.is_talib:
        talib_column(base)
    elif base not in (known := (*VALUES, *_OF_THE_BAR)):
        raise Misconfigured(
            f"column {name!r} does not exist{did_you_mean(base, known)}; "
            "`ats rules columns` lists all"
        )
    return column


def with_period(function: str, period: int) -> str:
    """The column of a moving average or oscillator of one period, such as `ema` of 9.

    The engine's own where there is one, `ema_9`, which goes back to the first bar; else TA-Lib's
    over its window, `talib.EMA(timeperiod=8)`.

    Raises:
        Misconfigured: neither has it; naming the periods of the engine and what TA-Lib can.
    """
    own = f"{function}_{period}"
    if own in VALUES:
        return own
    column = f"{PREFIX}{function.upper()}(timeperiod={period})"
    try:
        talib_column(column)
    except Misconfigured as error:
        there = ", ".join(name for name in VALUES if name.startswith(f"{function}_"))
        raise Misconfigured(
            f"with_period({function!r}, {period}): the engine has "
            f"{there or 'no ' + function + ' of a chosen period'}, and {error}"
        ) from None
    return column


def talib_columns(needs: Iterable[tuple[Timeframe, str]]) -> dict[Timeframe, tuple[str, ...]]:
    """The `talib.` columns among `needs`, by the timeframe of their bars, each once.

    `needs` are names that rules of given timeframes look at.

    Raises:
        Misconfigured: no such column.
    """
    found: dict[Timeframe, dict[str, None]] = {}
    for timeframe, name in needs:
        column = parse_column(name, timeframe)
        if column.is_talib:
            found.setdefault(column.timeframe, {})[column.base] = None
    return {
        timeframe: tuple(sorted(found[timeframe])) for timeframe in _ORDER if timeframe in found
    }


def _timeframe(name: str, text: str) -> Timeframe:
    try:
        return Timeframe(text)
    except ValueError:
        raise Misconfigured(
            f"column {name!r}: {text!r} is none of {', '.join(Timeframe)}"
        ) from None

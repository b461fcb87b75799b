"""What an engine computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from schemas.calendar import EVERY_DAY, Calendar
from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.columns.names import INDICATOR_OF, Indicator
from streams.columns.parse import Column, parse_column
from streams.columns.talib_functions import WINDOW
from streams.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What the engine of every worker of a group computes.

    All must have the same one, or the same ticks would not give the same messages.

    Attributes:
        timeframes: Shortest first, with `M1`: all others are made of 1-minute bars.
        calendar: `ats streams` gives the exchanges'; the engine alone plays a market that is open
            every day.
        talib: Columns of TA-Lib (`streams.columns.talib_functions`) by the timeframe of their bars,
            besides those that rules need.
        talib_window: Bars that such a column's function gets at most, unless it needs more.
    """

    timeframes: tuple[Timeframe, ...] = tuple(Timeframe)
    indicators: frozenset[Indicator] = frozenset(Indicator)
    calendar: Calendar = EVERY_DAY
    talib: Mapping[Timeframe, tuple[str, ...]] = field(default_factory=dict)
    talib_window: int = WINDOW

    def __post_init__(self) -> None:
        if Timeframe.M1 not in self.timeframes:
            raise Misconfigured(
                f"timeframes {', '.join(self.timeframes)} lack 1m, "
                "of which all others are made; add it"
            )
        if list(self.timeframes) != [each for each in Timeframe if each in self.timeframes]:
            raise Misconfigured(
                f"timeframes {', '.join(self.timeframes)} must be different "
                "and stand shortest first"
            )

    @classmethod
    def needed_by(cls, rules: Iterable[Rule], calendar: Calendar) -> Self:
        """What `rules` look at and no more, which is a tenth of the work.

        Raises:
            Misconfigured: a rule needs a column that does not exist.
        """
        frames, columns = {Timeframe.M1}, list[Column]()
        for rule in rules:
            frames.add(rule.timeframe)
            columns += (parse_column(name, rule.timeframe) for name in rule.needs)
        frames |= {column.timeframe for column in columns}
        wanted = {INDICATOR_OF[column.base] for column in columns if column.base in INDICATOR_OF}
        return cls.of(frames, wanted, calendar)

    @classmethod
    def of(cls, timeframes: Iterable[str], indicators: Iterable[str], calendar: Calendar) -> Self:
        """Read names as settings give them, in any order.

        Raises:
            Misconfigured: naming what does not exist, and what does.
        """
        frames, wanted = {*timeframes}, {*indicators}
        for given, known, what in (
            (frames, [*Timeframe], "timeframe"),
            (wanted, [*Indicator], "indicator"),
        ):
            if unknown := sorted(given - {*known}):
                raise Misconfigured(f"no {what} {unknown[0]!r}; there are {', '.join(known)}")
        return cls(
            timeframes=tuple(each for each in Timeframe if each in frames),
            indicators=frozenset(map(Indicator, wanted)),
            calendar=calendar,
        )

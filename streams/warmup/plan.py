"""Which past bars every timeframe wants, and how they are made of the bars one can get. Pure.

Three questions per instrument are enough for all timeframes: 1-minute bars of a few days, 5-minute bars of some weeks, daily
bars of a year. Longer bars are sums of shorter ones, aligned to the session's open as the engine aligns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

from schemas.history import MINUTES, Bar
from schemas.market import Timeframe, session_of, trading_day
from schemas.units import UtcNs

WANTED: Final = 250  # bars of each timeframe: the longest indicator looks back 200
_SESSION_MINUTES: Final = 375
_DAY_MINUTES: Final = 1_440
_HOLIDAYS: Final = 10  # days added to each span, so that a festival week does not shorten it


class Source(NamedTuple):
    """One question to the historical API: bars of `minutes`, asked for `days` calendar days back; 1,440 is daily."""

    minutes: Literal[1, 5, 1_440]
    days: int

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """Those that are made of its answer."""
        return tuple(timeframe for timeframe in Timeframe if _best(timeframe) == self.minutes)


def _best(timeframe: Timeframe) -> int:
    return max(minutes for minutes in (1, 5, _DAY_MINUTES) if MINUTES[timeframe] % minutes == 0)


def _days(longest: int) -> int:
    """Calendar days that hold `WANTED` bars of `longest` minutes."""
    per_day = -(-_SESSION_MINUTES // longest)
    return -(-WANTED * 7 // (per_day * 5)) + _HOLIDAYS


SOURCES: Final = (Source(1, _days(3)), Source(5, _days(60)), Source(1_440, _days(_SESSION_MINUTES)))


def longer(bars: Iterable[Bar], timeframe: Timeframe, until: UtcNs) -> tuple[Bar, ...]:
    """The newest `WANTED` bars of `timeframe` made of shorter `bars` (in order), as far as they are over at `until`.

    Bars outside the day's session are left out: the engine makes none there.
    """
    made = tuple(_merged(start, tuple(group)) for start, group in groupby(_placed(bars, timeframe, until), _start))
    return made[-WANTED:]


class _Placed(NamedTuple):
    start: UtcNs  # of the longer bar
    bar: Bar


def _start(placed: _Placed) -> UtcNs:
    return placed.start


def _placed(bars: Iterable[Bar], timeframe: Timeframe, until: UtcNs) -> Iterator[_Placed]:
    for bar in bars:
        session = session_of(trading_day(bar.start))
        if bar.start not in session:
            continue
        start = UtcNs(bar.start - (bar.start - session.open) % timeframe.ns)
        if end_of(start, timeframe) <= until:
            yield _Placed(start, bar)


def end_of(start: UtcNs, timeframe: Timeframe) -> UtcNs:
    """When the bar that starts at `start` is over: with its session at the latest."""
    return UtcNs(min(start + timeframe.ns, session_of(trading_day(start)).close))


def _merged(start: UtcNs, group: Sequence[_Placed]) -> Bar:
    bars = [placed.bar for placed in group]
    return Bar(
        start=start,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=type(bars[0].volume)(sum(bar.volume for bar in bars)),
    )

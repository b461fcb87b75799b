"""Which past bars every timeframe needs, and how they are made of the bars one can get. Pure.

Three requests per instrument are enough for all timeframes: 1-minute bars of a few days, 5-minute
bars of some weeks, daily bars of a year. Longer bars are sums of shorter ones, aligned to the
session's open by the calendar, as the engine aligns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from typing import Final, Literal, NamedTuple

from schemas.calendar import Calendar
from schemas.history import MINUTES, Bar
from schemas.ids import InstrumentId
from schemas.market import Session, Timeframe, trading_day
from schemas.units import UtcNs

WANTED: Final = 250  # bars of each timeframe: the longest indicator looks back 200
_SESSION_MINUTES: Final = 375
_DAY_MINUTES: Final = 1_440
_HOLIDAYS: Final = 10  # days added to each span, so that a festival week does not shorten it


class HistoryRequest(NamedTuple):
    """One request to the historical API.

    Bars of `minutes`, of `days` calendar days back; 1,440 is daily.
    """

    minutes: Literal[1, 5, 1_440]
    days: int

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """Those that are made of its bars."""
        return tuple(timeframe for timeframe in Timeframe if _best(timeframe) == self.minutes)


def _best(timeframe: Timeframe) -> int:
    return max(minutes for minutes in (1, 5, _DAY_MINUTES) if MINUTES[timeframe] % minutes == 0)


def _days(longest: int) -> int:
    """Calendar days that hold `WANTED` bars of `longest` minutes."""
    per_day = -(-_SESSION_MINUTES // longest)
    return -(-WANTED * 7 // (per_day * 5)) + _HOLIDAYS


REQUESTS: Final = (
    HistoryRequest(1, _days(3)),
    HistoryRequest(5, _days(60)),
    HistoryRequest(1_440, _days(_SESSION_MINUTES)),
)


@dataclass(frozen=True, slots=True)
class InstrumentHours:
    """When one instrument trades."""

    calendar: Calendar
    instrument: InstrumentId
    _sessions: dict[date, tuple[Session, ...]] = field(default_factory=dict)

    def sessions(self, day: date) -> tuple[Session, ...]:
        """The sessions of one day; none on a holiday."""
        if day not in self._sessions:
            self._sessions[day] = self.calendar.sessions(day, self.instrument)
        return self._sessions[day]

    def span(self, moment: UtcNs, timeframe: Timeframe) -> tuple[UtcNs, UtcNs] | None:
        """Start and end of the bar that holds `moment`.

        None outside sessions, where the engine makes no bar.
        """
        sessions = self.sessions(trading_day(moment))
        for session in sessions:
            if moment in session:
                if timeframe is Timeframe.D1:
                    return sessions[0].open, sessions[-1].close
                start = UtcNs(moment - (moment - session.open) % timeframe.ns)
                return start, UtcNs(min(start + timeframe.ns, session.close))
        return None

    def trades(self, day: date) -> bool:
        """Whether bars of `day` are to be expected."""
        return bool(self.sessions(day))

    def last_closed(self, timeframe: Timeframe, until: UtcNs) -> UtcNs:
        """Start of the last bar that can be closed at `until`.

        0 when there was no session for as long as we look back.
        """
        for back in range(1 + _HOLIDAYS):
            day = trading_day(until) - timedelta(days=back)
            for session in reversed(self.sessions(day)) if self.trades(day) else ():
                end = min(until, session.close)
                whole = max(0, end - session.open) // timeframe.ns
                short = end == session.close and (session.close - session.open) % timeframe.ns > 0
                if whole + short == 0:
                    continue
                span = self.span(
                    UtcNs(session.open + (whole + short - 1) * timeframe.ns), timeframe
                )
                if span and is_closed(span, until):
                    return span[0]
        return UtcNs(0)


def is_closed(span: tuple[UtcNs, UtcNs], until: UtcNs) -> bool:
    """Whether a bar of that start and end is closed at `until`."""
    return span[1] <= until


def resample(
    bars: Iterable[Bar], timeframe: Timeframe, until: UtcNs, hours: InstrumentHours
) -> tuple[Bar, ...]:
    """The `latest` bars of `timeframe`, made of shorter `bars` (in order).

    Only those that are closed at `until`.
    """
    placed = groupby(_placed(bars, timeframe, until, hours), _start)
    return latest(
        [_merged(start, tuple(group)) for start, group in placed], timeframe, until, hours
    )


def latest(
    bars: Sequence[Bar], timeframe: Timeframe, until: UtcNs, hours: InstrumentHours
) -> tuple[Bar, ...]:
    """The last `WANTED` bars.

    Of minutes: those of today, and as many whole days before it as hold them.

    An engine makes its days of minutes (VWAP, opening range, the next day's pivots), so it must
    never be given a part of one for the whole. A first day that does not begin with its open may
    have been cut, and is left out.
    """
    if timeframe is not Timeframe.M1:
        return tuple(bars[-WANTED:])
    days = [tuple(group) for _, group in groupby(bars, lambda bar: trading_day(bar.start))]
    if days and days[0][0].start != hours.sessions(trading_day(days[0][0].start))[0].open:
        del days[0]
    found = days.pop() if days and trading_day(days[-1][0].start) == trading_day(until) else ()
    enough = len(found) + WANTED
    while days and len(found) < enough:
        found = days.pop() + found
    return found


class _Placed(NamedTuple):
    start: UtcNs  # of the longer bar
    bar: Bar


def _start(placed: _Placed) -> UtcNs:
    return placed.start


def _placed(
    bars: Iterable[Bar], timeframe: Timeframe, until: UtcNs, hours: InstrumentHours
) -> Iterator[_Placed]:
    for bar in bars:
        span = hours.span(bar.start, timeframe)
        if span and is_closed(span, until):
            yield _Placed(span[0], bar)


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

"""Where ticks may be missing: a function of the rows that came and of the clocks it is given.

Pure: no I/O, no clock of its own. Ticks may be missing

- while no connection was open: from the market clock then to the first tick that is certainly new;
- in a silence within an open session, though the connection held;
- since a previous run of the gateway, unless no session was open in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from datetime import time as clock_time
from typing import Final, NamedTuple

import numpy as np

from schemas.binary import Rows
from schemas.calendar import Calendar
from schemas.ids import Segment
from schemas.market import trading_day
from schemas.units import IST, NS_PER_SECOND, UtcNs

RECONNECTED: Final = "ticks between two connections may be missing"
RESTARTED: Final = "ticks since the gateway's previous run may be missing"
# without a session: no exchange rests for two weeks
MAX_MARKET_BREAK: Final = UtcNs.minutes(14 * 1_440)

_SECOND: Final = NS_PER_SECOND  # what trade times are rounded down to
_IST: Final = 19_800 * NS_PER_SECOND
_DAY: Final = 86_400 * NS_PER_SECOND


class Gap(NamedTuple):
    """A span of market time (UTC ns) in which ticks may be missing, and why."""

    start: UtcNs
    end: UtcNs
    reason: str


class Silence(NamedTuple):
    """Seconds without a tick in an open session; `new` the first time this silence is seen."""

    seconds: float
    new: bool


class GapDetector:
    """Watches the rows of one connection slot, over all its connections.

    Args:
        live: The market's clock is the wall's. A trade before we subscribed may be an old one that
            Dhan sends again to a new subscriber, so it ends no gap.
        stale_after: Seconds without a tick, in an open session, that count as a silence.
    """

    def __init__(self, calendar: Calendar, *, live: bool, stale_after: float) -> None:
        self._calendar = calendar
        self._live = live
        self._stale_after = stale_after
        self._segments: frozenset[Segment] = frozenset()
        self._lost_since: UtcNs | None = None  # market clock since which ticks may be missing
        self._reason = RECONNECTED
        self._previous: UtcNs | None = (
            None  # the previous run's last clock, until a tick is past it
        )
        self._listening_since = UtcNs(0)  # wall clock; live, when this connection subscribed
        self._last_tick = 0.0  # monotonic seconds
        # wall clock, UTC ns, when the last tick came or when we began to read again
        self._last_received = 0
        # market clock at that tick; None when there was none on this connection
        self._last_clock: UtcNs | None = None
        self._stale = False

    # What happens to the connection

    def watch(self, segments: Iterable[Segment]) -> None:
        """Sessions of exactly these segments count from now on."""
        self._segments = frozenset(segments)

    def resume(self, clock: UtcNs | None) -> None:
        """Ticks since `clock`, the previous run's last, may be missing.

        0: since some moment of the day. None: none are.
        """
        self._previous = clock

    def subscribing(self, wall: int) -> None:
        """A connection is about to subscribe, at `wall` (UTC ns)."""
        self._listening_since = UtcNs(wall if self._live else 0)

    def reading(self, now: float) -> None:
        """Reading of a connection begins, at `now` (monotonic seconds)."""
        self._last_tick, self._last_clock = now, None

    def read_again(self, wall: int) -> None:
        """Until `wall` (UTC ns) we did not read: the silence was ours."""
        self._last_received = wall

    def disconnected(self, clock: UtcNs) -> None:
        """A connection ended at market clock `clock`, 0 when no tick ever came."""
        self._lost_since = self._lost_since or clock or None

    # What it makes of that

    def accept(self, rows: Rows, now: float) -> list[Gap]:
        """The gaps that `rows` end; the rows are in order and stamped with the market's clock."""
        self._detect_silence(rows)
        self._last_tick, self._stale = now, False
        self._last_received = int(rows["received_at"][-1])
        self._last_clock = UtcNs(rows["clock"][-1])
        return [gap for gap in (self._end_absence(rows), self._end_gap(rows)) if gap]

    def silence(self, now: float, clock: UtcNs) -> Silence | None:
        """The silence at `now` (monotonic seconds), if long and in a session open at `clock`."""
        seconds = now - self._last_tick
        if seconds < self._stale_after or not self._session_at(clock):
            return None
        new, self._stale = not self._stale, True
        return Silence(seconds, new)

    def _detect_silence(self, rows: Rows) -> None:
        """A silence in an open session may hide ticks though the connection held."""
        silence = (int(rows["received_at"][0]) - self._last_received) / NS_PER_SECOND
        if self._lost_since is not None or self._last_clock is None or silence < self._stale_after:
            return
        session = self._session_at(self._last_clock)
        if session and session == self._session_at(UtcNs(rows["clock"][0])):  # a night is no gap
            self._lost_since = self._last_clock
            self._reason = f"no tick for {silence:.1f} s on an open connection"

    def _end_gap(self, rows: Rows) -> Gap | None:
        """The gap, when a tick is past it.

        An old trade, sent again after subscribing, does not say where it ends.
        """
        since = self._lost_since
        if since is None or (until := self._first_after(since, rows)) is None:
            return None
        reason, self._lost_since, self._reason = self._reason, None, RECONNECTED
        return Gap(since, until, reason)

    def _end_absence(self, rows: Rows) -> Gap | None:
        """The gap since the previous run, unless no session was open in between."""
        since = self._previous
        if since is None:
            return None
        if not since:  # how far it came is not known: not further than the day's begin is certain
            since = UtcNs((int(rows["clock"][0]) + _IST) // _DAY * _DAY - _IST)
        if (until := self._first_after(since, rows)) is None:
            return None
        self._previous = None
        # live, what was not traded before we listened was not missed either
        missed_until = max(since, self._listening_since) if self._live else until
        return Gap(since, until, RESTARTED) if self._session_between(since, missed_until) else None

    def _first_after(self, since: UtcNs, rows: Rows) -> UtcNs | None:
        """The clock of the first row that is certainly new.

        Live, one traded before we listened may be an old one sent again.
        """
        new = np.flatnonzero(
            (rows["clock"] > since)
            & (rows["exchange_time"] >= self._listening_since // _SECOND * _SECOND)
        )
        return UtcNs(rows["clock"][new[0]]) if len(new) else None

    def _session_at(self, moment: UtcNs) -> tuple[date, clock_time, clock_time] | None:
        """The longest session of ours that is open at `moment` (Indian day, open and close)."""
        day, now = trading_day(moment), moment.ist().time()
        spans = {span for span in self._sessions(day) if span[0] <= now < span[1]}
        return (day, *max(spans, key=lambda span: span[1])) if spans else None

    def _sessions(self, day: date) -> set[tuple[clock_time, clock_time]]:
        """The sessions of our segments on `day`, opens and closes on Indian clocks."""
        return {span for segment in self._segments for span in self._calendar.hours(day, segment)}

    def _session_between(self, since: UtcNs, until: UtcNs) -> bool:
        """Whether a session of ours was open at some moment from `since` to `until`."""
        if until - since > MAX_MARKET_BREAK:
            return True
        first, last = trading_day(since).toordinal(), trading_day(until).toordinal()
        days = [date.fromordinal(day) for day in range(first, last + 1)]
        return any(
            max(UtcNs.from_datetime(datetime.combine(day, opens, IST)), since)
            < min(UtcNs.from_datetime(datetime.combine(day, closes, IST)), until)
            for day in days
            for opens, closes in self._sessions(day)
        )

"""When the exchanges trade, as dated rows: hours, holidays, special sessions, auctions, expiries.

Every part of ATS asks a `Calendar`; nothing else knows an hour. `schemas.calendar_file` has the
exchanges' own. What a calendar does not know is closed: a day outside its coverage has no session,
and a row that is not confirmed yet only ever takes time away. Times are IST.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import cached_property, reduce
from itertools import chain, combinations, pairwise
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.ids import InstrumentId, Segment
from schemas.instruments import Instruments
from schemas.market import Session
from schemas.units import IST, UtcNs

# of one day and segment: what NSE's disaster-recovery Saturdays of 2024 needed
MOST_SESSIONS: Final = 2
MOST_QUESTIONS: Final = 6  # unconfirmed ones at a time; each doubles the answers that are compared
AUCTIONED: Final = (Segment.NSE_EQ, Segment.BSE_EQ)
"""Where shares close in an auction."""

_LONGEST_REST: Final = 31  # days; no exchange was ever closed so long
_CASH: Final = frozenset({Segment.IDX_I, Segment.NSE_EQ, Segment.BSE_EQ})
_FNO: Final = frozenset({Segment.NSE_FNO, Segment.BSE_FNO})
_CURRENCY: Final = frozenset({Segment.NSE_CURRENCY, Segment.BSE_CURRENCY})
_COMMODITY: Final = frozenset({Segment.MCX_COMM})

Segments = Annotated[frozenset[Segment], Field(min_length=1)]
Hours = tuple[time, time]  # open and close on Indian clocks


class Row(BaseModel):
    """One fact, and the circular or page it is from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = ""


class Dated(Row):
    """A fact about trading hours.

    Attributes:
        unconfirmed: The name of the question it waits for; empty when it is certain.
    """

    unconfirmed: Annotated[str, Field(pattern=r"^[a-z0-9-]*$", max_length=60)] = ""


def _whole_minutes(*moments: time) -> None:
    for moment in moments:
        if moment.tzinfo or moment.second or moment.microsecond:
            raise ValueError(f"{moment} is not a whole minute of Indian time")


class _Hours(Dated):
    open: time
    close: time

    @model_validator(mode="after")
    def _open_before_close(self) -> Self:
        _whole_minutes(self.open, self.close)
        if self.open >= self.close:
            raise ValueError(f"opens at {self.open} and closes at {self.close}")
        return self


class Regular(_Hours):
    """Hours of every trading day from `since` on, until a later entry for the segment begins."""

    segments: Segments
    since: date = date.min


class Special(_Hours):
    """A session that takes the place of `day`'s regular one, such as Muhurat trading.

    A day may have two.
    """

    day: date
    name: str = ""
    segments: Segments = frozenset(Segment)


class Holiday(Dated):
    """No session in these segments, unless a special one is listed."""

    day: date
    name: str = ""
    segments: Segments = frozenset(Segment)


class ClosingAuction(Dated):
    """From `since` on, continuous trading in shares that close in an auction ends at `close`."""

    since: date
    close: time
    segments: Segments = frozenset(AUCTIONED)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _whole_minutes(self.close)
        if strangers := sorted(self.segments - {*AUCTIONED}):
            raise ValueError(
                f"only shares of {' and '.join(AUCTIONED)} close in an auction, not {strangers[0]}"
            )
        return self


class Expiry(Row):
    """From `since` on, contracts of `segment` expire on this weekday (ISO number).

    When it is a holiday they expire on the trading day before.
    """

    segment: Segment
    weekday: Annotated[int, Field(ge=1, le=7)]
    since: date


class Coverage(Row):
    """The days of which all holidays and special sessions are known, both included.

    Outside of them nothing trades.
    """

    segments: Segments = frozenset(Segment)
    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"covers from {self.first} to {self.last}")
        return self


REGULAR: Final = (
    Regular(segments=_CASH, open=time(9, 15), close=time(15, 30)),
    Regular(segments=_FNO, open=time(9, 15), close=time(15, 30)),
    Regular(segments=_FNO, open=time(9, 15), close=time(15, 40), since=date(2026, 8, 3)),
    Regular(segments=_CURRENCY, open=time(9), close=time(17)),
    Regular(segments=_COMMODITY, open=time(9), close=time(23, 30)),
)
ALL_DAYS: Final = (Coverage(first=date.min, last=date.max),)


class Calendar(BaseModel):
    """Hours of every segment on every day. One without arguments is `EVERY_DAY`.

    Attributes:
        closed_weekdays: ISO numbers, 6 and 7 for the weekend.
        auction_shares: Those that close in an auction. None: nobody has asked the instrument master
            yet, so any share may, and all of them end early.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: tuple[Coverage, ...] = ALL_DAYS
    regular: tuple[Regular, ...] = REGULAR
    closed_weekdays: frozenset[Annotated[int, Field(ge=1, le=7)]] = frozenset()
    holidays: tuple[Holiday, ...] = ()
    special: tuple[Special, ...] = ()
    closing_auction: tuple[ClosingAuction, ...] = ()
    auction_shares: Instruments | None = None
    expiries: tuple[Expiry, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (
            len(questions := {each.unconfirmed for each in self.dated() if each.unconfirmed})
            > MOST_QUESTIONS
        ):
            raise ValueError(
                f"{len(questions)} questions are open, at most {MOST_QUESTIONS} can be"
            )
        if strangers := sorted(
            str(each) for each in self.auction_shares or () if each.segment not in AUCTIONED
        ):
            raise ValueError(
                f"only shares of {' and '.join(AUCTIONED)} close in an auction, not {strangers[0]}"
            )
        _each_since_once(self.regular)
        self._auctions_after_the_open()
        _sessions_apart(self.special)
        return self

    def _auctions_after_the_open(self) -> None:
        for auction in self.closing_auction:
            for segment in (each for each in AUCTIONED if each in auction.segments):
                begun = [each for each in self.regular if segment in each.segments]
                for regular in begun:
                    if auction.close <= regular.open:
                        raise ValueError(
                            f"closing_auction.close={auction.close} must be after {segment} opens, "
                            f"which is at {regular.open}"
                        )

    def dated(self) -> Iterable[Dated]:
        """Every fact about hours."""
        return chain(self.regular, self.holidays, self.special, self.closing_auction)

    def with_auction_shares(self, shares: Instruments | None) -> Calendar:
        """The same, with the shares of the day's instrument master that close in an auction."""
        return self.model_copy(update={"auction_shares": shares})

    def covers(self, day: date, segment: Segment) -> bool:
        """Whether all of `day` is known."""
        return any(
            each.first <= day <= each.last for each in self.coverage if segment in each.segments
        )

    @property
    def asks_for_auction_shares(self) -> bool:
        """Whether only the instrument master can tell which shares end early."""
        return bool(self.closing_auction) and self.auction_shares is None

    def closes_in_auction(self, of: InstrumentId) -> bool:
        """Whether the instrument's continuous trading ends with its closing auction."""
        if of.segment not in AUCTIONED:
            return False
        return self.auction_shares is None or of in self.auction_shares

    # Sessions

    def sessions(self, day: date, of: InstrumentId) -> tuple[Session, ...]:
        """The continuous sessions of one instrument on one day, in order; none when closed."""
        auction = self.closes_in_auction(of)
        known = self._sessions_known.get((day, of.segment, auction))
        if known is None:
            hours = self.hours(day, of.segment, auction=auction)
            known = tuple(Session(day, _at(day, open_), _at(day, close)) for open_, close in hours)
            self._sessions_known[day, of.segment, auction] = known
        return known

    @cached_property
    def _sessions_known(self) -> dict[tuple[date, Segment, bool], tuple[Session, ...]]:
        """What was asked before: every order asks several times, and the answer never changes."""
        return {}

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.__dict__.pop("_sessions_known", None)  # the copy may get other facts
        return copied

    def session(self, day: date, segment: Segment = Segment.NSE_EQ) -> Session | None:
        """From the first open of the segment's day to its last close; None when it is closed."""
        hours = self.hours(day, segment)
        return Session(day, _at(day, hours[0][0]), _at(day, hours[-1][1])) if hours else None

    def hours(self, day: date, segment: Segment, *, auction: bool = False) -> list[Hours]:
        """The same as times on Indian clocks.

        What all answers to the open questions have in common.
        """
        if not self.covers(day, segment):
            return []
        questions = sorted(
            {each.unconfirmed for each in self._about(day, segment) if each.unconfirmed}
        )
        answers = chain.from_iterable(
            combinations(questions, count) for count in range(len(questions) + 1)
        )
        return reduce(
            _common, (self._hours(day, segment, auction, frozenset(yes)) for yes in answers)
        )[:MOST_SESSIONS]

    def _about(self, day: date, segment: Segment) -> Iterable[Dated]:
        dated: Iterable[Holiday | Special] = chain(self.holidays, self.special)
        lasting: Iterable[Regular | ClosingAuction] = chain(self.regular, self.closing_auction)
        yield from (each for each in dated if each.day == day and segment in each.segments)
        yield from (each for each in lasting if each.since <= day and segment in each.segments)

    def _hours(
        self, day: date, segment: Segment, auction: bool, yes: frozenset[str]
    ) -> list[Hours]:
        """Hours if the questions `yes` are confirmed and the others rejected."""
        rows = [
            each
            for each in self._about(day, segment)
            if not each.unconfirmed or each.unconfirmed in yes
        ]
        hours = sorted((each.open, each.close) for each in rows if isinstance(each, Special))
        if not hours:
            if day.isoweekday() in self.closed_weekdays or any(
                isinstance(each, Holiday) for each in rows
            ):
                return []
            regular = [each for each in rows if isinstance(each, Regular)]
            latest = max(regular, key=lambda each: each.since, default=None)
            hours = [(latest.open, latest.close)] if latest else []
        ends = [each for each in rows if isinstance(each, ClosingAuction)]
        if not auction or not ends:
            return hours
        end = max(ends, key=lambda each: each.since).close
        return [(open_, min(close, end) if open_ < end else close) for open_, close in hours]

    # Days

    def is_trading_day(self, day: date, segment: Segment = Segment.NSE_EQ) -> bool:
        """Whether the segment has a session on `day`."""
        return bool(self.hours(day, segment))

    def next_trading_day(self, after: date, segment: Segment = Segment.NSE_EQ) -> date | None:
        """The first trading day after `after`; None when the calendar does not know."""
        return self._nearest(after, segment, 1)

    def previous_trading_day(self, before: date, segment: Segment = Segment.NSE_EQ) -> date | None:
        """The last trading day before `before`; None when the calendar does not know."""
        return self._nearest(before, segment, -1)

    def _nearest(self, day: date, segment: Segment, step: int) -> date | None:
        for away in range(1, _LONGEST_REST + 1):
            found = day + timedelta(days=step * away)
            if not self.covers(found, segment):
                return None
            if self.is_trading_day(found, segment):
                return found
        return None

    def expiry(self, day: date, segment: Segment) -> date | None:
        """The weekly expiry on `day`, or the next one after it.

        None when the calendar does not know. A cross-check: what a contract says of itself in the
        instrument master is what holds.
        """
        for away in range(2 * 7):
            nominal = day + timedelta(days=away)
            rules = [
                each for each in self.expiries if each.segment == segment and each.since <= nominal
            ]
            if not rules or max(rules, key=lambda each: each.since).weekday != nominal.isoweekday():
                continue
            traded = (
                nominal
                if self.is_trading_day(nominal, segment)
                else self.previous_trading_day(nominal, segment)
            )
            if traded is None or not self.covers(nominal, segment):
                return None
            if traded >= day:
                return traded
        return None

    def monthly_expiry(self, year: int, month: int, segment: Segment) -> date | None:
        """The month's last expiry; None when the calendar does not know."""
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        for back in range(7):
            nominal = last - timedelta(days=back)
            rules = [
                each for each in self.expiries if each.segment == segment and each.since <= nominal
            ]
            if rules and max(rules, key=lambda each: each.since).weekday == nominal.isoweekday():
                if not self.covers(nominal, segment):
                    return None
                return (
                    nominal
                    if self.is_trading_day(nominal, segment)
                    else self.previous_trading_day(nominal, segment)
                )
        return None


def _each_since_once(regular: Iterable[Regular]) -> None:
    begins = Counter((segment, each.since) for each in regular for segment in each.segments)
    if twice := [begin for begin, count in begins.items() if count > 1]:
        segment, since = min(twice)
        raise ValueError(
            f"{segment} has two regular hours since {since}: give each a since of its own"
        )


def _sessions_apart(special: Iterable[Special]) -> None:
    sessions = defaultdict(list)
    for each in special:
        for segment in each.segments:
            sessions[each.day, segment].append((each.open, each.close))
    for (day, segment), found in sessions.items():
        if len(found) > MOST_SESSIONS:
            raise ValueError(
                f"{day} has {len(found)} sessions in {segment}, "
                f"at most {MOST_SESSIONS} are possible"
            )
        if any(later[0] < earlier[1] for earlier, later in pairwise(sorted(found))):
            raise ValueError(f"the sessions of {day} in {segment} overlap")


def _common(some: list[Hours], others: list[Hours]) -> list[Hours]:
    """The times that are in both."""
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in some for b in others)
    return sorted(span for span in both if span[0] < span[1])


def _at(day: date, moment: time) -> UtcNs:
    return UtcNs.from_datetime(datetime.combine(day, moment, tzinfo=IST))


EVERY_DAY: Final = Calendar()
"""Regular hours on every day of the week and of history, without an auction: the market that our
simulator plays. It is what demos, replays and tests ask for by name; nothing falls back on it.
"""

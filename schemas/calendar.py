"""When the exchanges trade: regular hours, holidays, special sessions and the closing auction, as data.

The default knows regular hours only, and trades every day of the week: which days are holidays is published each year and
belongs into a file. Times are IST.
"""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from datetime import date, datetime, time
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.instruments import Instruments
from schemas.market import CLOSE_IST, OPEN_IST, Session
from schemas.units import IST, UtcNs

_FRIDAY: Final = 5  # ISO number
MOST_SESSIONS: Final = 2  # of one day and segment: what NSE's disaster-recovery Saturdays of 2024 needed

_CASH: Final = frozenset({Segment.IDX_I, Segment.NSE_EQ, Segment.BSE_EQ})
_FNO: Final = frozenset({Segment.NSE_FNO, Segment.BSE_FNO})
_CURRENCY: Final = frozenset({Segment.NSE_CURRENCY, Segment.BSE_CURRENCY})
_COMMODITY: Final = frozenset({Segment.MCX_COMM})
_AUCTIONS_SINCE: Final = date(2026, 8, 3)  # closing auction session, and F&O to 15:40 (`docs/facts/market-rules.md`)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _whole_minutes(*moments: time) -> None:
    for moment in moments:
        if moment.tzinfo or moment.second or moment.microsecond:
            raise ValueError(f"{moment} is not a whole minute of Indian time")


class _Hours(_Part):
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

    segments: Annotated[frozenset[Segment], Field(min_length=1)]
    since: date = date(1994, 1, 1)


class Special(_Hours):
    """A session that takes the place of `day`'s regular one, such as Muhurat trading. A day may have two."""

    day: date
    name: str = ""
    segments: Annotated[frozenset[Segment], Field(min_length=1)] = frozenset(Segment)


class Holiday(_Part):
    """No session in these segments, unless a special one is listed."""

    day: date
    name: str = ""
    segments: Annotated[frozenset[Segment], Field(min_length=1)] = frozenset(Segment)


class ClosingAuction(_Part):
    """Shares whose continuous trading ends early, because they close in an auction: those that have futures and options."""

    since: date = _AUCTIONS_SINCE
    close: time = time(15, 15)
    instruments: Instruments = frozenset()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _whole_minutes(self.close)
        if strangers := sorted(str(each) for each in self.instruments if each.segment is not Segment.NSE_EQ):
            raise ValueError(f"only NSE_EQ shares close in an auction, not {strangers[0]}")
        return self


REGULAR: Final = (
    Regular(segments=_CASH, open=OPEN_IST, close=CLOSE_IST),
    Regular(segments=_FNO, open=OPEN_IST, close=CLOSE_IST),
    Regular(segments=_FNO, open=OPEN_IST, close=time(15, 40), since=_AUCTIONS_SINCE),
    Regular(segments=_CURRENCY, open=time(9), close=time(17)),
    Regular(segments=_COMMODITY, open=time(9), close=time(23, 30)),  # to 23:55 in America's winter: say so in a file
)


class Calendar(_Part):
    """Hours of every segment on every day.

    Attributes:
        regular: Given ones take over for a segment from its first `since` among them on; before that, and for segments they
            do not name, the built-in hours hold.
        closed_weekdays: ISO numbers, 6 and 7 for the weekend.
    """

    regular: tuple[Regular, ...] = REGULAR
    closed_weekdays: frozenset[Annotated[int, Field(ge=1, le=7)]] = frozenset()
    holidays: tuple[Holiday, ...] = ()
    special: tuple[Special, ...] = ()
    closing_auction: ClosingAuction = ClosingAuction()

    @field_validator("regular")
    @classmethod
    def _after_the_built_in(cls, given: tuple[Regular, ...]) -> tuple[Regular, ...]:
        begins = Counter((segment, each.since) for each in given for segment in each.segments)
        if twice := [begin for begin, count in begins.items() if count > 1]:
            segment, since = min(twice)
            raise ValueError(f"{segment} has two regular hours since {since}: give each a since of its own")
        first = dict(sorted(begins, reverse=True))  # the earliest since wins
        kept = []
        for built_in in REGULAR:
            left = frozenset(each for each in built_in.segments if built_in.since < first.get(each, date.max))
            kept += [built_in.model_copy(update={"segments": left})] if left else []
        return (*kept, *given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        auction = self.closing_auction
        for since in sorted({each.since for each in self.regular if Segment.NSE_EQ in each.segments} | {auction.since}):
            regular = self._regular(since, Segment.NSE_EQ)
            if regular and since >= auction.since and auction.close <= regular.open:
                raise ValueError(
                    f"closing_auction.close={auction.close} must be after NSE_EQ opens, which is at {regular.open}"
                )
        sessions = defaultdict(list)
        for each in self.special:
            for segment in each.segments:
                sessions[each.day, segment].append((each.open, each.close))
        for (day, segment), found in sessions.items():
            if len(found) > MOST_SESSIONS:
                raise ValueError(f"{day} has {len(found)} sessions in {segment}, at most {MOST_SESSIONS} are possible")
            if any(later[0] < earlier[1] for earlier, later in pairwise(sorted(found))):
                raise ValueError(f"the sessions of {day} in {segment} overlap")
        return self

    @classmethod
    def parse(cls, text: str, source: str = "calendar") -> Self:
        """Read TOML; docs/streams.md has an example. `source` is what errors call it.

        Raises:
            Misconfigured: naming the first field at fault.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise Misconfigured(f"{source} is not TOML: {error}") from None
        except ValidationError as error:
            first: Any = error.errors(include_url=False)[0]
            said = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # about several fields, which it names
                raise Misconfigured(f"{source}: {said}") from None
            field = ".".join(map(str, first["loc"]))
            raise Misconfigured(f"{source}: {field}: {said} (got {first['input']!r:.80})") from None

    def rests(self, day: date) -> bool:
        """Whether `day` is a weekend without a special session: the default does not know that weekends are free."""
        return day.isoweekday() > _FRIDAY and all(each.day != day for each in self.special)

    def sessions(self, day: date, of: InstrumentId) -> tuple[Session, ...]:
        """The continuous trading sessions of one instrument on one day, in order; none on a holiday."""
        return tuple(
            Session(day, _at(day, open_), _at(day, close))
            for open_, close in self.hours(day, of.segment, auction=of in self.closing_auction.instruments)
        )

    def hours(self, day: date, segment: Segment, *, auction: bool = False) -> list[tuple[time, time]]:
        """The same as times on Indian clocks."""
        special = sorted(
            (each.open, each.close) for each in self.special if each.day == day and segment in each.segments
        )
        if special:
            return special
        closed = any(each.day == day and segment in each.segments for each in self.holidays)
        if closed or day.isoweekday() in self.closed_weekdays:
            return []
        latest = self._regular(day, segment)
        if latest is None:
            return []
        early = auction and day >= self.closing_auction.since
        return [(latest.open, min(latest.close, self.closing_auction.close) if early else latest.close)]

    def _regular(self, day: date, segment: Segment) -> Regular | None:
        begun = [each for each in self.regular if segment in each.segments and each.since <= day]
        return max(begun, key=lambda each: each.since, default=None)


def _at(day: date, moment: time) -> UtcNs:
    return UtcNs.from_datetime(datetime.combine(day, moment, tzinfo=IST))

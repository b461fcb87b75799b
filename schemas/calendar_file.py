"""Calendars as files: the exchanges' own, which ships with ATS, and an operator's, laid over it.

The shipped one is `schemas/exchange_calendar.toml`; each of its rows names its source.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.calendar import (
    EVERY_DAY,
    Calendar,
    ClosingAuction,
    Coverage,
    Dated,
    Expiry,
    Holiday,
    Regular,
    Special,
)
from schemas.errors import Misconfigured
from schemas.ids import Segment
from schemas.instruments import Instruments

SHIPPED: Final = "exchange_calendar.toml"
# the exchanges publish a year's list about three weeks before it begins
SOON: Final = timedelta(days=45)

_Lasting = TypeVar("_Lasting", Regular, ClosingAuction)
_OfADay = TypeVar("_OfADay", Holiday, Special)
_Any = TypeVar("_Any", bound=Dated)


class CalendarFile(BaseModel):
    """What a file may say; docs/streams.md has an example.

    Attributes:
        auction_shares: Given only for days whose instrument master is gone; else the master says
            it.
        confirm: Open questions of the calendar underneath whose rows are true.
        reject: Those whose rows are not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: tuple[Coverage, ...] = ()
    regular: tuple[Regular, ...] = ()
    closed_weekdays: frozenset[Annotated[int, Field(ge=1, le=7)]] | None = None
    holidays: tuple[Holiday, ...] = ()
    special: tuple[Special, ...] = ()
    closing_auction: tuple[ClosingAuction, ...] = ()
    auction_shares: Instruments | None = None
    expiries: tuple[Expiry, ...] = ()
    confirm: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()

    def over(self, base: Calendar) -> Calendar:
        """`base` as changed by this file.

        What the file says of a segment's day takes the place of all that `base` says of it. Its
        regular hours and closing auctions take over for a segment from the first `since` among them
        on.

        Raises:
            ValueError: the two do not go together.
        """
        asked = {each.unconfirmed for each in base.dated()} - {""}
        if unknown := sorted((self.confirm | self.reject) - asked):
            known = ", ".join(sorted(asked)) or "there is none"
            raise ValueError(f"no open question {unknown[0]!r} to confirm or reject ({known})")
        if both := sorted(self.confirm & self.reject):
            raise ValueError(f"{both[0]} is both confirmed and rejected")
        days: tuple[Holiday | Special, ...] = (*self.holidays, *self.special)
        told = {(each.day, segment) for each in days for segment in each.segments}
        return Calendar(
            coverage=base.coverage + self.coverage,
            regular=_taken_over(self._decided(base.regular), self.regular),
            closed_weekdays=base.closed_weekdays
            if self.closed_weekdays is None
            else self.closed_weekdays,
            holidays=_untold(self._decided(base.holidays), told) + self.holidays,
            special=_untold(self._decided(base.special), told) + self.special,
            closing_auction=_taken_over(self._decided(base.closing_auction), self.closing_auction),
            auction_shares=base.auction_shares
            if self.auction_shares is None
            else self.auction_shares,
            expiries=base.expiries + self.expiries,
        )

    def _decided(self, rows: Iterable[_Any]) -> tuple[_Any, ...]:
        kept = (
            each for each in rows if not each.unconfirmed or each.unconfirmed not in self.reject
        )
        return tuple(
            each.model_copy(update={"unconfirmed": ""})
            if each.unconfirmed in self.confirm
            else each
            for each in kept
        )


def _taken_over(before: Iterable[_Lasting], given: tuple[_Lasting, ...]) -> tuple[_Lasting, ...]:
    first: dict[Segment, date] = {}
    for each in given:
        for segment in each.segments:
            first[segment] = min(each.since, first.get(segment, date.max))
    kept: list[_Lasting] = []
    for each in before:
        left = frozenset(
            segment for segment in each.segments if each.since < first.get(segment, date.max)
        )
        kept += [each.model_copy(update={"segments": left})] if left else []
    kept.extend(given)
    return tuple(kept)


def _untold(before: Iterable[_OfADay], told: set[tuple[date, Segment]]) -> tuple[_OfADay, ...]:
    kept: list[_OfADay] = []
    for each in before:
        left = frozenset(segment for segment in each.segments if (each.day, segment) not in told)
        kept += [each.model_copy(update={"segments": left})] if left else []
    return tuple(kept)


def parse(text: str, source: str, base: Calendar) -> Calendar:
    """Read TOML and lay it over `base`. `source` is what errors call it.

    Raises:
        Misconfigured: naming the first field at fault.
    """
    try:
        return CalendarFile.model_validate(tomllib.loads(text)).over(base)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{source} is not TOML: {error}") from None
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # about several fields, which it names
            raise Misconfigured(f"{source}: {said}") from None
        field = ".".join(map(str, first["loc"]))
        raise Misconfigured(f"{source}: {field}: {said} (got {first['input']!r:.80})") from None
    except ValueError as error:
        raise Misconfigured(f"{source}: {error}") from None


@cache
def exchange_calendar() -> Calendar:
    """The exchanges' own hours, as far as they are known.

    Which shares close in an auction is the instrument master's to say.
    """
    nothing = Calendar(coverage=(), regular=())
    return parse(resources.files("schemas").joinpath(SHIPPED).read_text("utf-8"), SHIPPED, nothing)


def concerns(calendar: Calendar, today: date) -> list[str]:
    """What an operator has to see to before it comes.

    The end of what is known, and facts that nobody has confirmed.
    """
    if calendar.coverage == EVERY_DAY.coverage:
        return []
    return [*_ends(calendar, today), *_questions(calendar, today)]


def _ends(calendar: Calendar, today: date) -> Iterable[str]:
    remedy = "after that they are closed: write the next days into the file of ATS_CALENDAR"
    last = {segment: _last_known(calendar, today, segment) for segment in Segment}
    for day, segments in groupby(
        sorted(last, key=lambda each: (last[each], each)), key=lambda each: last[each]
    ):
        names = ", ".join(segments)
        if day < today:
            yield (
                f"{today} is not in the calendar of {names}: closed; "
                "write it into the file of ATS_CALENDAR"
            )
        elif day - today <= SOON:
            yield f"the calendar of {names} ends on {day}, in {(day - today).days} days; {remedy}"


def _last_known(calendar: Calendar, today: date, segment: Segment) -> date:
    """The last day that is known without a hole from `today` on.

    The day before it when it is not known itself.
    """
    last = today - timedelta(days=1)
    for each in sorted(calendar.coverage, key=lambda each: each.first):
        if (
            segment in each.segments
            and each.first.toordinal() <= last.toordinal() + 1
            and each.last > last
        ):
            last = each.last
    return last


def _questions(calendar: Calendar, today: date) -> Iterable[str]:
    soon = [each for each in calendar.dated() if each.unconfirmed and _matters(each, today)]
    for question, rows in groupby(
        sorted(soon, key=lambda each: each.unconfirmed), key=lambda each: each.unconfirmed
    ):
        source = next(iter(rows)).source
        yield (
            f"{question} is not confirmed, so the shorter hours hold: find out, then confirm or "
            f"reject it in the file of ATS_CALENDAR (source: {source})"
        )


def _matters(row: Dated, today: date) -> bool:
    match row:
        case Regular(since=begin) | ClosingAuction(since=begin):
            return begin - today <= SOON
        case Holiday(day=day) | Special(day=day):
            return timedelta(0) <= day - today <= SOON
        case _:
            return False

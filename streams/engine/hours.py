"""The calendar as an array that kernels read: opens and closes by kind of hours and Indian day."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.calendar import (
    ALL_DAYS,
    AUCTIONED,
    MOST_SESSIONS,
    Calendar,
    ClosingAuction,
    Hours,
    Regular,
)
from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.units import NS_PER_SECOND

FIRST: Final = (date(2010, 1, 1) - date(1970, 1, 1)).days
"""Indian day number of the first day a table knows; outside its days nothing trades."""
DAYS: Final = (date(2050, 1, 1) - date(2010, 1, 1)).days

_PLAIN: Final = max(SEGMENT_CODES.values()) + 1  # kinds without a closing auction
# and of shares that have one
_AUCTION: Final = {segment: _PLAIN + nth for nth, segment in enumerate(AUCTIONED)}
_DAY_NS: Final = 86_400 * NS_PER_SECOND
_IST_NS: Final = 19_800 * NS_PER_SECOND


def kind_of(instrument: InstrumentId, calendar: Calendar) -> int:
    """Which row of the table the instrument trades by."""
    segment = instrument.segment
    return _AUCTION[segment] if calendar.closes_in_auction(instrument) else segment.code


@lru_cache(maxsize=8)
def table(calendar: Calendar) -> npt.NDArray[np.int64]:
    """Shape (kinds, days from `FIRST`, sessions, 2).

    Opens and closes in UTC ns; 0, 0 where there is no session.
    """
    hours = np.zeros((_PLAIN + len(_AUCTION), DAYS, MOST_SESSIONS, 2), np.int64)
    for segment, code in SEGMENT_CODES.items():
        _fill(hours[code], calendar, segment, auction=False)
    for segment, kind in _AUCTION.items():
        _fill(hours[kind], calendar, segment, auction=True)
    midnights = (FIRST + np.arange(DAYS)) * _DAY_NS - _IST_NS
    hours += np.where(hours != 0, midnights[:, None, None], 0)
    hours.flags.writeable = False
    return hours


def _fill(
    hours: npt.NDArray[np.int64], calendar: Calendar, segment: Segment, *, auction: bool
) -> None:
    """Write ns since Indian midnight.

    Regular hours by spans of days, then each day that differs.
    """
    lasting: tuple[Regular | ClosingAuction, ...] = (*calendar.regular, *calendar.closing_auction)
    changes = {each.since for each in lasting if segment in each.segments}
    irregular = {each.day for each in calendar.holidays if segment in each.segments}
    irregular |= {each.day for each in calendar.special if segment in each.segments}
    regular: dict[str, object] = {
        "closed_weekdays": frozenset(),
        "holidays": (),
        "special": (),
        "coverage": ALL_DAYS,
    }
    plain = calendar.model_copy(update=regular)
    for since in sorted(changes):
        _write(hours[max(0, _place(since)) :], plain.hours(since, segment, auction=auction))
    for weekday in calendar.closed_weekdays:
        hours[(weekday - 4 - FIRST) % 7 :: 7] = 0  # day 0, 1970-01-01, was a Thursday
    for day in irregular:
        if 0 <= _place(day) < DAYS:
            _write(hours[_place(day)], calendar.hours(day, segment, auction=auction))
    unknown = np.ones(DAYS, np.bool_)
    for span in calendar.coverage:
        if segment in span.segments:
            unknown[max(0, _place(span.first)) : max(0, _place(span.last) + 1)] = False
    hours[unknown] = 0


def _place(day: date) -> int:
    return (day - date(1970, 1, 1)).days - FIRST


def _write(target: npt.NDArray[np.int64], sessions: list[Hours]) -> None:
    target[...] = 0
    for nth, session in enumerate(sessions):
        target[..., nth, :] = [
            (moment.hour * 60 + moment.minute) * 60 * NS_PER_SECOND for moment in session
        ]

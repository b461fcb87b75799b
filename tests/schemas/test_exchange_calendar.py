"""The hours that ship with ATS, against two calendar packages and against the exchanges' own
notices.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path

import orjson
import pytest

from schemas.calendar import Calendar
from schemas.calendar_file import concerns, exchange_calendar, parse
from schemas.ids import InstrumentId, Segment

SHARE = InstrumentId(Segment.NSE_EQ, 2885)
ORACLES = orjson.loads(
    Path(__file__).with_name("calendar_oracles").joinpath("closed_weekdays.json").read_bytes()
)
# Evenings on which the exchange traded for an hour although the day was a holiday: that package
# leaves them out (the other has them). NSE's circulars name each.
MUHURAT = {date(2021, 11, 4), date(2022, 10, 24), date(2024, 11, 1), date(2025, 10, 21)}
# Sessions on a Saturday or Sunday, which neither package has: budgets, Muhurat, two drills from the
# disaster-recovery site.
WEEKENDS = {
    date(2023, 11, 12),
    date(2024, 1, 20),
    date(2024, 3, 2),
    date(2024, 5, 18),
    date(2025, 2, 1),
    date(2026, 2, 1),
}


def days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


@pytest.mark.parametrize(
    ("package", "theirs_alone"),
    [("exchange-calendars XBOM", MUHURAT), ("pandas-market-calendars NSE", set())],
)
def test_closed_weekdays_are_those_of_the_package_but_for_the_days_it_has_wrong(
    package: str, theirs_alone: set[date]
) -> None:
    calendar = exchange_calendar()
    closed = {
        day
        for day in days(date(2021, 1, 1), date(2026, 12, 31))
        if not calendar.is_trading_day(day)
    }

    theirs = {date.fromisoformat(day) for day in ORACLES[package]["weekdays_closed"]}

    assert theirs - {day for day in closed if day.isoweekday() < 6} == theirs_alone
    assert {day for day in closed if day.isoweekday() < 6} <= theirs


def test_the_weekends_that_trade_are_those_that_neither_package_has() -> None:
    calendar = exchange_calendar()

    open_ = {
        day
        for day in days(date(2021, 1, 1), date(2026, 12, 31))
        if day.isoweekday() > 5 and calendar.session(day)
    }

    assert open_ == WEEKENDS
    assert all(package["weekends_open"] == [] for package in ORACLES.values())


@pytest.mark.parametrize(
    ("day", "segment", "auction", "hours"),
    [
        (date(2026, 7, 31), Segment.NSE_EQ, True, [(time(9, 15), time(15, 30))]),
        (date(2026, 8, 3), Segment.NSE_EQ, True, [(time(9, 15), time(15, 15))]),
        (date(2026, 8, 3), Segment.NSE_EQ, False, [(time(9, 15), time(15, 30))]),
        (date(2026, 8, 3), Segment.NSE_FNO, False, [(time(9, 15), time(15, 40))]),
        (date(2026, 11, 24), Segment.NSE_EQ, False, []),
        (date(2026, 11, 24), Segment.MCX_COMM, False, [(time(17), time(23, 55))]),
        (date(2026, 11, 28), Segment.NSE_EQ, False, []),
        (date(2024, 11, 1), Segment.NSE_EQ, False, [(time(18), time(19))]),
        (
            date(2024, 3, 2),
            Segment.NSE_EQ,
            False,
            [(time(9, 15), time(10)), (time(11, 30), time(12, 30))],
        ),
        (date(2026, 10, 30), Segment.MCX_COMM, False, [(time(9), time(23, 30))]),
        (date(2026, 11, 3), Segment.MCX_COMM, False, [(time(9), time(23, 55))]),
        (date(2027, 1, 4), Segment.NSE_EQ, False, []),
    ],
)
def test_hours_are_those_of_the_exchange_s_notice(
    day: date, segment: Segment, auction: bool, hours: list[tuple[time, time]]
) -> None:
    assert exchange_calendar().hours(day, segment, auction=auction) == hours


def test_an_unconfirmed_row_takes_time_away_and_never_gives_any() -> None:
    question = "closing-auction-2026-12-07"
    monday = date(2026, 12, 7)
    open_, confirmed, rejected = (
        parse(text, "calendar.toml", exchange_calendar())
        for text in ("", f"confirm = ['{question}']", f"reject = ['{question}']")
    )

    ends = [
        calendar.hours(monday, Segment.NSE_EQ, auction=True)[0][1]
        for calendar in (open_, confirmed, rejected)
    ]

    assert ends == [time(15, 15), time(15, 30), time(15, 15)]
    assert open_.hours(monday, Segment.NSE_FNO)[0][1] == time(15, 40)


def test_any_share_may_close_in_an_auction_until_the_instrument_master_says_which() -> None:
    calendar, day = exchange_calendar(), date(2026, 11, 27)

    ends = [
        known.sessions(day, SHARE)[0].close.ist().time()
        for known in (
            calendar,
            calendar.with_auction_shares(frozenset()),
            calendar.with_auction_shares(frozenset({SHARE})),
        )
    ]

    assert ends == [time(15, 15), time(15, 30), time(15, 15)]


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2026, 6, 1), []),
        (
            date(2026, 11, 29),
            ["closing-auction-2026-12-07 is not confirmed", "ends on 2026-12-31, in 32 days"],
        ),
        (date(2027, 1, 4), ["2027-01-04 is not in the calendar of"]),
    ],
)
def test_the_end_of_what_is_known_and_open_questions_are_told_weeks_before(
    today: date, said: list[str]
) -> None:
    told = concerns(exchange_calendar(), today)

    assert all(any(words in concern for concern in told) for words in said)
    assert bool(told) == bool(said)


def test_weekly_expiries_move_to_the_trading_day_before_a_holiday() -> None:
    calendar = exchange_calendar()

    # Tuesday the 24th is a holiday
    assert calendar.expiry(date(2026, 11, 23), Segment.NSE_FNO) == date(2026, 11, 23)
    assert calendar.expiry(date(2026, 12, 2), Segment.NSE_FNO) == date(2026, 12, 8)


def test_each_shipped_row_names_its_source() -> None:
    calendar: Calendar = exchange_calendar()

    assert all(row.source for row in (*calendar.dated(), *calendar.coverage, *calendar.expiries))

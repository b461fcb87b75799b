"""The gate on the exchanges' own calendar: each row is one of the reference table's days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time

import pytest

from executors.risk.denial import Denial
from executors.risk.gate import judge
from executors.risk.situation import Quote
from schemas.calendar import Calendar
from schemas.calendar_file import exchange_calendar, parse
from schemas.ids import InstrumentId, Segment
from schemas.units import IST, UtcNs
from tests.executors.factories import NEVER, an_intent, the_situation_for

AUCTIONED = InstrumentId(Segment.NSE_EQ, 2885)  # has futures, so it closes in an auction
PLAIN = InstrumentId(Segment.NSE_EQ, 999)
ON_BSE = InstrumentId(Segment.BSE_EQ, 500325)
FUTURE = InstrumentId(Segment.NSE_FNO, 43_000)
GOLD = InstrumentId(Segment.MCX_COMM, 400)
CALENDAR = exchange_calendar().with_auction_shares(frozenset({AUCTIONED, ON_BSE}))
CLOSED, UNKNOWN = Denial.OUTSIDE_SESSION, Denial.DAY_NOT_IN_CALENDAR
MUHURAT = """
[[special]]
day = 2026-11-08
name = "Muhurat, times of the circular"
segments = ["NSE_EQ"]
open = 18:00:00
close = 19:00:00
"""
NEXT_YEAR = """
[[coverage]]
first = 2027-01-01
last = 2027-12-31

[[holidays]]
day = 2027-01-26
"""


def verdict(when: str, of: InstrumentId, calendar: Calendar = CALENDAR) -> Denial | None:
    now = UtcNs.from_datetime(datetime.fromisoformat(when).replace(tzinfo=IST))
    intent = an_intent(instrument=of, valid_until=UtcNs(now + 1))
    context = the_situation_for(
        intent, now=now, feed_clock=now, quote=Quote(intent.reference_price, now)
    )
    return judge(intent, replace(context, calendar=calendar, square_off=NEVER))


@pytest.mark.parametrize(
    ("when", "of", "denial"),
    [
        ("2026-11-27 10:00", PLAIN, None),
        ("2026-11-24 10:00", PLAIN, CLOSED),  # Guru Nanak Jayanti
        ("2026-12-25 10:00", GOLD, CLOSED),  # Christmas
        ("2026-01-15 10:00", PLAIN, CLOSED),  # added to the list in January
        ("2026-02-19 10:00", PLAIN, None),  # no settlement, but trading
        ("2026-08-26 10:00", PLAIN, None),
        ("2026-11-28 10:00", PLAIN, CLOSED),  # a Saturday
        ("2026-02-01 10:00", PLAIN, None),  # Sunday of the Union Budget
        ("2026-02-01 10:00", FUTURE, None),
        ("2025-02-01 10:00", PLAIN, None),  # Saturday of the Union Budget
        ("2024-03-02 09:59", PLAIN, None),  # two sessions from the disaster-recovery site
        ("2024-03-02 10:00", PLAIN, CLOSED),
        ("2024-03-02 11:30", PLAIN, None),
        ("2025-10-21 10:00", PLAIN, CLOSED),  # Muhurat: the day is closed,
        ("2025-10-21 13:45", PLAIN, None),  # its hour is not
        ("2025-10-21 14:45", PLAIN, CLOSED),
        ("2026-11-08 18:30", PLAIN, CLOSED),  # its times were never confirmed
        ("2026-11-24 16:59", GOLD, CLOSED),  # MCX opens in the evening of others' holidays
        ("2026-11-24 17:00", GOLD, None),
        ("2026-11-24 23:54", GOLD, None),
        ("2026-09-14 23:29", GOLD, None),
        ("2026-09-14 23:30", GOLD, CLOSED),  # America's summer
        ("2026-01-01 16:59", GOLD, None),  # New Year: the morning alone
        ("2026-01-01 17:00", GOLD, CLOSED),
        ("2026-03-03 18:00", GOLD, CLOSED),  # disputed
        ("2027-01-01 10:00", PLAIN, UNKNOWN),  # an ordinary Friday, whose list is not out
        ("2020-12-31 10:00", PLAIN, UNKNOWN),
    ],
)
def test_an_order_leaves_only_in_a_session_of_the_exchanges(
    when: str, of: InstrumentId, denial: Denial | None
) -> None:
    assert verdict(when, of) is denial


@pytest.mark.parametrize(
    ("day", "of", "ends"),
    [
        ("2026-07-31", AUCTIONED, time(15, 30)),
        ("2026-08-03", AUCTIONED, time(15, 15)),
        ("2026-08-03", ON_BSE, time(15, 15)),
        ("2026-08-03", PLAIN, time(15, 30)),
        ("2026-07-31", FUTURE, time(15, 30)),
        ("2026-08-03", FUTURE, time(15, 40)),
        ("2026-12-04", AUCTIONED, time(15, 15)),
        ("2026-12-07", AUCTIONED, time(15, 15)),  # 15:30 by one text
        ("2026-12-07", FUTURE, time(15, 40)),  # 15:45 by one text
    ],
)
def test_continuous_trading_ends_with_the_closing_auction_of_the_day(
    day: str, of: InstrumentId, ends: time
) -> None:
    last = time(ends.hour, ends.minute - 1) if ends.minute else time(ends.hour - 1, 59)

    assert verdict(f"{day} {last}:59", of) is None
    assert all(
        verdict(f"{day} {ends.hour}:{minute}", of) is CLOSED for minute in range(ends.minute, 60)
    )


def test_once_the_operator_confirms_the_later_auction_orders_leave_until_it() -> None:
    told = parse('confirm = ["closing-auction-2026-12-07"]', "calendar.toml", CALENDAR)

    assert verdict("2026-12-04 15:15", AUCTIONED, told) is CLOSED
    assert verdict("2026-12-07 15:29", AUCTIONED, told) is None
    assert verdict("2026-12-07 15:30", AUCTIONED, told) is CLOSED
    assert verdict("2026-12-07 15:44", FUTURE, told) is None


def test_without_an_instrument_master_every_share_counts_as_one_with_an_auction() -> None:
    assert verdict("2026-11-27 15:14", PLAIN, exchange_calendar()) is None
    assert verdict("2026-11-27 15:15", PLAIN, exchange_calendar()) is CLOSED


def test_muhurat_is_open_at_the_times_that_the_operator_writes_down() -> None:
    told = parse(MUHURAT, "calendar.toml", CALENDAR)

    assert verdict("2026-11-08 17:59", AUCTIONED, told) is CLOSED
    assert verdict("2026-11-08 18:00", AUCTIONED, told) is None
    assert verdict("2026-11-08 19:00", AUCTIONED, told) is CLOSED


def test_a_year_that_the_operator_writes_down_is_open_but_for_its_holidays_and_weekends() -> None:
    told = parse(NEXT_YEAR, "calendar.toml", CALENDAR)

    days = [date(2027, 1, day) for day in (1, 2, 26, 27)]
    assert [verdict(f"{day} 10:00", PLAIN, told) for day in days] == [None, CLOSED, CLOSED, None]
    assert verdict("2028-01-03 10:00", PLAIN, told) is UNKNOWN

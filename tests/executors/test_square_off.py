"""When a day's positions are closed."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from executors.risk.square_off import BROKER_TIMES, SquareOff
from schemas.calendar import Calendar, ClosingAuction, Special
from schemas.calendar_file import exchange_calendar
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.units import IST, UtcNs

SHARE = InstrumentId(Segment.NSE_EQ, 2885)
OPTION = InstrumentId(Segment.NSE_FNO, 43_000)
MUHURAT = date(2026, 11, 8)


def at(day: date, hour: int, minute: int) -> UtcNs:
    return UtcNs.from_datetime(datetime.combine(day, time(hour, minute), tzinfo=IST))


def shipped() -> Calendar:
    return exchange_calendar()


@pytest.mark.parametrize(
    ("instrument", "hour", "minute"), [(SHARE, 15, 5), (OPTION, 15, 20)], ids=["cash", "fno"]
)
def test_on_a_regular_day_positions_close_at_our_own_time(
    instrument: InstrumentId, hour: int, minute: int
) -> None:
    day = date(2026, 11, 27)
    assert SquareOff().at(shipped(), day, instrument) == at(day, hour, minute)


def test_a_special_session_closes_a_quarter_of_an_hour_before_its_end() -> None:
    evening = Special(day=MUHURAT, open=time(18, 15), close=time(19, 15))
    calendar = Calendar(special=(evening,))
    assert SquareOff().at(calendar, MUHURAT, SHARE) == at(MUHURAT, 19, 0)


def test_of_two_special_sessions_the_last_one_counts() -> None:
    day = date(2024, 3, 2)
    halves = (
        Special(day=day, open=time(9, 15), close=time(10)),
        Special(day=day, open=time(11, 30), close=time(12, 30)),
    )
    assert SquareOff().at(Calendar(special=halves), day, SHARE) == at(day, 12, 15)


def test_a_half_day_that_ends_before_our_time_closes_before_its_end() -> None:
    day = date(2026, 1, 5)
    calendar = Calendar(special=(Special(day=day, open=time(9, 15), close=time(13)),))
    assert SquareOff().at(calendar, day, OPTION) == at(day, 12, 45)


def test_a_day_without_a_session_has_no_time() -> None:
    assert SquareOff().at(shipped(), date(2026, 11, 29), SHARE) is None


def test_an_auction_that_comes_earlier_than_our_time_is_left_before() -> None:
    day = date(2026, 1, 5)
    calendar = Calendar(closing_auction=(ClosingAuction(since=day, close=time(15, 8)),))
    assert SquareOff().at(calendar, day, SHARE) == at(day, 15, 3)


def test_a_time_that_is_not_before_the_brokers_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"ATS_SQUARE_OFF_CASH=15:10 is not before 15:10"):
        SquareOff(cash=time(15, 10))


@given(
    st.dates(date(2016, 1, 1), date(2026, 12, 31)),
    st.sampled_from([SHARE, OPTION]),
    st.times(time(9, 15), time(15, 9)),
)
def test_it_is_always_within_a_session_and_before_the_broker(
    day: date, instrument: InstrumentId, own: time
) -> None:
    square_off, calendar = SquareOff(cash=own, fno=own), Calendar()
    moment = square_off.at(calendar, day, instrument)
    assert moment is not None
    assert any(moment in session for session in calendar.sessions(day, instrument))
    row = [row for row in BROKER_TIMES if row.since <= day][-1]
    broker = row.cash if instrument is SHARE else row.fno
    assert moment < at(day, broker.hour, broker.minute)


def test_the_brokers_times_are_dated_in_order_and_name_their_source() -> None:
    assert all(earlier.since < later.since for earlier, later in pairwise(BROKER_TIMES))
    assert all(row.source for row in BROKER_TIMES)

"""What a calendar file may say."""

from __future__ import annotations

import re
from datetime import date, time
from pathlib import Path

import pytest

from schemas.calendar import EVERY_DAY, Calendar, Holiday
from schemas.calendar_file import exchange_calendar, parse
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment

DOCS = Path(__file__).parents[2] / "docs" / "streams.md"


def read(text: str) -> Calendar:
    return parse(text, "calendar.toml", EVERY_DAY)


@pytest.mark.parametrize(
    ("close", "complaint"),
    [
        (
            "03:15:00",
            "closing_auction.close=03:15:00 must be after NSE_EQ opens, which is at 09:15:00",
        ),
        (
            "09:15:00",
            "closing_auction.close=09:15:00 must be after NSE_EQ opens, which is at 09:15:00",
        ),
        ("15:15:30", "closing_auction.0: 15:15:30 is not a whole minute of Indian time"),
    ],
)
def test_a_closing_auction_that_leaves_no_session_or_ends_within_a_minute_is_refused(
    close: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        read(f"closing_auction = [{{ since = 2026-08-03, close = {close} }}]")


def test_an_instrument_of_the_closing_auction_that_is_none_is_one_message_with_an_example() -> None:
    with pytest.raises(Misconfigured) as caught:
        read('auction_shares = ["RELIANCE"]')

    assert str(caught.value) == (
        "calendar.toml: auction_shares: not an instrument: 'RELIANCE' "
        "(expected for example NSE_EQ:2885) (got ['RELIANCE'])"
    )


WINTER = """
[[regular]]
segments = ["MCX_COMM"]
since = 2026-11-02
open = 09:00:00
close = 23:55:00
"""


def closes(calendar: Calendar, segment: Segment, *days: date) -> list[time]:
    return [close for day in days for _, close in calendar.hours(day, segment)]


def test_regular_hours_of_a_file_hold_from_their_since_on_and_the_built_in_ones_before() -> None:
    calendar = read(WINTER)

    assert closes(calendar, Segment.MCX_COMM, date(2026, 11, 1), date(2026, 11, 2)) == [
        time(23, 30),
        time(23, 55),
    ]


def test_segments_that_a_file_does_not_name_keep_their_built_in_hours() -> None:
    calendar, built_in, day = read(WINTER), EVERY_DAY, date(2026, 11, 3)

    others = [segment for segment in Segment if segment is not Segment.MCX_COMM]

    assert all(calendar.hours(day, segment) == built_in.hours(day, segment) for segment in others)


def test_a_built_in_change_after_the_file_s_first_since_is_not_made() -> None:
    text = (
        WINTER.replace("MCX_COMM", "NSE_FNO")
        .replace("2026-11-02", "2026-07-01")
        .replace("23:55", "15:35")
    )

    calendar = read(text)

    after = date(2026, 8, 4)
    assert closes(calendar, Segment.NSE_FNO, date(2026, 6, 30), after) == [
        time(15, 30),
        time(15, 35),
    ]
    assert closes(calendar, Segment.BSE_FNO, after) == [time(15, 40)]


def test_regular_hours_without_since_hold_on_all_days() -> None:
    calendar = read(WINTER.replace("since = 2026-11-02", ""))

    assert closes(calendar, Segment.MCX_COMM, date(2015, 1, 1)) == [time(23, 55)]


def test_two_regular_hours_of_one_segment_from_one_day_on_are_refused() -> None:
    with pytest.raises(
        Misconfigured,
        match=r"calendar\.toml: MCX_COMM has two regular hours since 2026-11-02: give each",
    ):
        read(WINTER * 2)


def test_a_calendar_read_again_from_what_it_was_written_as_is_the_same() -> None:
    calendar = read(WINTER)

    assert Calendar.model_validate_json(calendar.model_dump_json()).regular == calendar.regular


def test_the_winter_of_the_documentation_ends_late_and_the_summer_after_it_does_not() -> None:
    (example,) = re.findall(r"```toml\n(# calendar.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

    calendar = parse(example, "calendar.toml", exchange_calendar())

    winter, summer = (date(2026, 12, 1), date(2027, 3, 12)), (date(2026, 10, 30), date(2027, 3, 15))
    assert closes(calendar, Segment.MCX_COMM, *winter) == [time(23, 55)] * 2
    assert closes(calendar, Segment.MCX_COMM, *summer) == [time(23, 30)] * 2


def test_what_a_calendar_has_answered_binds_no_copy_with_other_facts() -> None:
    day, share = date(2026, 7, 14), InstrumentId(Segment.NSE_EQ, 2885)
    calendar = EVERY_DAY.model_copy()
    answered = calendar.sessions(day, share)

    closed = calendar.model_copy(update={"holidays": (Holiday(day=day),)})

    assert (len(answered), closed.sessions(day, share)) == (1, ())
    assert calendar.sessions(day, share) == answered

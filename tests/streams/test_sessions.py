"""Bars by a calendar: holidays, special sessions, other hours, the closing auction."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import date, datetime
from pathlib import Path

import pytest

from schemas.binary import Rows
from schemas.calendar import EVERY_DAY, Calendar
from schemas.calendar_file import exchange_calendar, parse
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.ticks import Batch
from schemas.units import Paise, UtcNs
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.hours import FIRST, kind_of, table
from streams.engine.machine import EngineMachine
from tests.streams.factories import NIFTY, RELIANCE, at, batch_of, candles, heartbeat, run, tick

FUTURE = InstrumentId(Segment.NSE_FNO, 43_000)
GOLD = InstrumentId(Segment.MCX_COMM, 400)
SATURDAY = date(2024, 3, 2)
AFTER = date(2026, 8, 4)  # a day with closing auctions
DOCS = Path(__file__).parents[2] / "docs" / "streams.md"

CALENDAR = """
closed_weekdays = [6, 7]
holidays = [{ day = 2024-11-01, name = "Diwali" }]
closing_auction = [{ since = 2026-08-03, close = 15:15:00 }]
auction_shares = ["NSE_EQ:2885"]

[[special]]
day = 2024-11-01
name = "Muhurat"
open = 18:00:00
close = 19:00:00

[[special]]
day = 2024-03-02
open = 09:15:00
close = 10:00:00

[[special]]
day = 2024-03-02
open = 11:30:00
close = 12:30:00
"""


def read(text: str) -> Calendar:
    return parse(text, "calendar.toml", EVERY_DAY)


OURS = read(CALENDAR)


def bars(calendar: Calendar, *ticks: Rows, day: date) -> list[Candle]:
    machine = EngineMachine(Engine(EngineConfig(calendar=calendar)))
    batches: list[Batch] = [
        heartbeat(at("08:00:00", day)),
        batch_of(*ticks),
        heartbeat(at("23:59:00", day)),
    ]
    return candles(run(batches, machine))


def test_a_holiday_has_no_bar_but_its_muhurat_session_has() -> None:
    day = date(2024, 11, 1)

    found = bars(OURS, tick(at("10:00:00", day), 100), tick(at("18:00:10", day), 101, 5), day=day)

    assert {bar.start for bar in found} == {at("18:00:00", day)}
    assert [bar.event_time for bar in found if bar.timeframe is Timeframe.D1] == [
        at("19:00:00", day)
    ]


def test_a_day_of_two_sessions_aligns_bars_to_each_and_has_one_day_bar() -> None:
    ticks = [
        tick(at(clock, SATURDAY), price)
        for clock, price in (("09:59:59", 100), ("10:30:00", 999), ("11:30:00", 90))
    ]

    found = bars(OURS, *ticks, day=SATURDAY)

    spans = {
        (bar.timeframe, bar.start, bar.event_time)
        for bar in found
        if bar.timeframe in ("30m", "60m", "1d")
    }
    assert spans == {
        ("30m", at("09:45:00", SATURDAY), at("10:00:00", SATURDAY)),
        ("60m", at("09:15:00", SATURDAY), at("10:00:00", SATURDAY)),
        ("30m", at("11:30:00", SATURDAY), at("12:00:00", SATURDAY)),
        ("60m", at("11:30:00", SATURDAY), at("12:30:00", SATURDAY)),
        ("1d", at("09:15:00", SATURDAY), at("12:30:00", SATURDAY)),
    }
    assert [(bar.open, bar.high, bar.close) for bar in found if bar.timeframe is Timeframe.D1] == [
        (100, 100, 90)
    ]


def test_a_weekend_is_closed_only_when_the_calendar_says_so() -> None:
    sunday = date(2024, 3, 3)

    assert bars(EVERY_DAY, tick(at("10:00:00", sunday), 100), day=sunday)
    assert not bars(OURS, tick(at("10:00:00", sunday), 100), day=sunday)


@pytest.mark.parametrize(
    ("of", "last"),
    [
        (RELIANCE, "15:14:00"),
        (InstrumentId(Segment.NSE_EQ, 1), "15:29:00"),
        (FUTURE, "15:39:00"),
        (GOLD, "15:44:00"),
    ],
)
def test_from_august_2026_a_share_with_a_closing_auction_ends_early_and_futures_late(
    of: InstrumentId, last: str
) -> None:
    ticks = [
        tick(at(f"{9 + (15 + k) // 60:02}:{(15 + k) % 60:02}:30", AFTER), 100, of=of)
        for k in range(390)
    ]

    minutes = [bar for bar in bars(OURS, *ticks, day=AFTER) if bar.timeframe is Timeframe.M1]

    assert minutes[-1].start == at(last, AFTER)


OTHER_HOURS = """
[[regular]]
segments = ["MCX_COMM", "NSE_FNO"]
since = 2024-11-04
open = 09:00:00
close = 23:55:00

[[regular]]
segments = ["MCX_COMM"]
since = 2025-03-10
open = 09:00:00
close = 23:30:00
"""


def test_bars_of_mcx_in_winter_go_on_until_its_winter_close() -> None:
    day = date(2024, 12, 2)
    ticks = [tick(at(clock, day), 100, of=GOLD) for clock in ("23:29:30", "23:54:30", "23:55:30")]

    found = bars(read(OTHER_HOURS), *ticks, day=day)

    assert [bar.start for bar in found if bar.timeframe is Timeframe.M1] == [
        at("23:29:00", day),
        at("23:54:00", day),
    ]


@pytest.mark.parametrize("more", ["", OTHER_HOURS])
@pytest.mark.parametrize("of", [RELIANCE, NIFTY, FUTURE, GOLD])
def test_the_kernels_table_says_what_the_calendar_says_on_every_day(
    of: InstrumentId, more: str
) -> None:
    calendar = read(CALENDAR + more)
    rows = table(calendar)[kind_of(of, calendar)]

    for number in range(date(2024, 1, 1).toordinal(), date(2027, 1, 1).toordinal()):
        day = date.fromordinal(number)
        told = rows[number - date(1970, 1, 1).toordinal() - FIRST]
        assert [tuple(map(int, each)) for each in told if each[0]] == [
            (session.open, session.close) for session in calendar.sessions(day, of)
        ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("holydays = []", "holydays: Extra inputs are not permitted"),
        (
            "[[special]]\nday = 2024-03-02\nopen = 10:00:00\nclose = 09:00:00",
            "opens at 10:00:00 and closes at 09:00:00",
        ),
        ("[[special]]\nday = 2024-03-02\nopen = 09:00:30\nclose = 10:00:00", "not a whole minute"),
        ("closed_weekdays = [0]", "closed_weekdays"),
        ("[[special]]\nday = 2024-03-02\nopen = 09:00:00\nclose = 10:00:00\n" * 2, "overlap"),
        ('auction_shares = ["NSE_FNO:1"]', "only shares of NSE_EQ and BSE_EQ close in an auction"),
        ("holidays = [", "not TOML"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_with_the_field_at_fault(
    text: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        read(text)


def test_the_calendar_in_the_documentation_is_one() -> None:
    (example,) = re.findall(r"```toml\n(# calendar.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

    assert parse(example, "calendar.toml", exchange_calendar()).sessions(
        date(2027, 10, 29), RELIANCE
    )


@pytest.mark.market_data
def test_the_two_sessions_of_a_real_saturday_come_back_from_their_ticks(market_data: Path) -> None:
    ticks, expected = [], []
    with gzip.open(
        market_data / "nse_1min" / "index_2024" / "special_sessions_NIFTY.csv.gz", "rt"
    ) as lines:
        for bar in csv.DictReader(lines):
            start = datetime.fromisoformat(bar["timestamp"])
            if start.date() == SATURDAY:
                prices = [
                    int(Paise.from_rupees(bar[name])) for name in ("open", "high", "low", "close")
                ]
                begin = UtcNs.from_datetime(start)
                ticks += [
                    tick(begin + nth * 10**10, price, of=NIFTY) for nth, price in enumerate(prices)
                ]
                expected.append((begin, *prices))

    found = [bar for bar in bars(OURS, *ticks, day=SATURDAY) if bar.timeframe is Timeframe.M1]

    told = [(bar.start, bar.open, bar.high, bar.low, bar.close) for bar in found]
    inside = [
        bar for bar in expected if any(bar[0] in each for each in OURS.sessions(SATURDAY, NIFTY))
    ]
    assert told == inside
    assert len(told) >= 100

"""`ats data fetch`: each missing day once, checked; a stopped fetch goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from ats.cli import app
from ats.data.fetch import (
    ANSWERED,
    Fetched,
    Stretch,
    fetch,
    known_days,
    last_whole_day,
    stretches,
)
from dhan.history import History, NothingThere
from dhan.transport import BaseUrl, open_client
from schemas import history
from schemas.errors import Misconfigured, TryLater
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, trading_day
from schemas.units import NS_PER_MINUTE, Paise, Price, Quantity, UtcNs
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.market import columnar
from simulator.market.session import market_session
from simulator.server import Simulator
from tests.dhan.factories import TOKEN, credentials

MONDAY, TUESDAY, FRIDAY = date(2026, 11, 9), date(2026, 11, 10), date(2026, 11, 13)
TCS = Instrument(
    InstrumentId(Segment.NSE_EQ, 11536), "TCS", "TCS", "EQUITY", Quantity(1), Paise(10)
)


def bar(day: date, minute: int = 0, price: int = 100, volume: int = 5) -> history.Bar:
    start = UtcNs(market_session(day).open + minute * NS_PER_MINUTE)
    made = Price(price)
    return history.Bar(start, made, made, made, made, Quantity(volume))


class Scripted:
    """Answers in order: bars, or an error to raise."""

    def __init__(self, *answers: Sequence[history.Bar] | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    async def intraday(self, *_: object) -> Sequence[history.Bar]:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class NoPace:
    async def wait(self) -> None:
        pass


async def at_once(_: float) -> None:
    pass


async def fetched(folder: Path, source: Scripted, *plan: Stretch) -> Fetched:
    return await fetch(plan, source, folder, pace=NoPace(), sleep=at_once)


def days(made: Stretch) -> tuple[date, date]:
    return made.first, made.last


def test_only_working_days_that_are_not_known_are_asked_for() -> None:
    known = {date(2026, 11, 11)}

    made = list(stretches(TCS, MONDAY, date(2026, 11, 17), known))

    assert [days(each) for each in made] == [
        (MONDAY, TUESDAY),
        (date(2026, 11, 12), date(2026, 11, 17)),  # over a weekend, in which a session may be
    ]


def test_no_stretch_is_longer_than_dhan_gives_at_once_and_none_is_missing() -> None:
    made = list(stretches(TCS, date(2025, 1, 1), date(2026, 11, 13), ()))

    assert all((each.last - each.first).days < 90 for each in made)
    assert sum((each.last - each.first).days + 1 for each in made) > 0.95 * 681


def test_a_day_is_asked_for_only_half_an_hour_after_its_close() -> None:
    close = market_session(FRIDAY).close

    assert last_whole_day(UtcNs(close)) == FRIDAY - timedelta(days=1)
    assert last_whole_day(UtcNs(close + 30 * NS_PER_MINUTE)) == FRIDAY


async def test_what_was_answered_is_kept_when_a_later_answer_does_not_come(tmp_path: Path) -> None:
    source = Scripted([bar(MONDAY)], *[TryLater("no answer")] * 4)
    plan = Stretch(TCS, MONDAY, TUESDAY), Stretch(TCS, FRIDAY, FRIDAY)

    with pytest.raises(TryLater):
        await fetched(tmp_path, source, *plan)

    # Tuesday has no bar: it was a holiday, and is known
    assert known_days(tmp_path, MONDAY, FRIDAY) == {"TCS": {MONDAY, TUESDAY}}
    assert columnar.outline(tmp_path / f"{MONDAY}.parquet") == {"TCS": 1}


async def test_a_refusal_that_passes_is_asked_again(tmp_path: Path) -> None:
    source = Scripted(TryLater("DH-904"), [bar(MONDAY)])

    got = await fetched(tmp_path, source, Stretch(TCS, MONDAY, MONDAY))

    assert (got.imported.added, source.asked) == (1, 2)


@pytest.mark.parametrize("answer", [NothingThere("DH-905"), []])
async def test_days_of_which_dhan_has_nothing_are_said_and_asked_for_the_next_time(
    tmp_path: Path, answer: Sequence[history.Bar] | Exception
) -> None:
    source = Scripted(answer, [bar(TUESDAY)])

    got = await fetched(
        tmp_path, source, Stretch(TCS, MONDAY, MONDAY), Stretch(TCS, TUESDAY, TUESDAY)
    )

    assert [days(each) for each in got.empty] == [(MONDAY, MONDAY)]
    assert known_days(tmp_path, MONDAY, FRIDAY) == {"TCS": {TUESDAY}}
    assert source.asked == 2


@pytest.mark.parametrize(
    "wrong",
    [
        bar(MONDAY)._replace(start=UtcNs(market_session(MONDAY).open + 1)),
        bar(MONDAY, price=10**9 + 1),
        bar(MONDAY, volume=2**32),
    ],
)
async def test_an_answer_with_an_impossible_bar_is_not_kept(
    tmp_path: Path, wrong: history.Bar
) -> None:
    got = await fetched(tmp_path, Scripted([bar(MONDAY), wrong]), Stretch(TCS, MONDAY, MONDAY))

    assert len(got.failed) == 1
    assert not list(columnar.days_in(tmp_path))


async def test_a_bar_at_the_close_is_left_out_and_counted(tmp_path: Path) -> None:
    answer = [bar(MONDAY), bar(MONDAY, minute=375)]

    got = await fetched(tmp_path, Scripted(answer), Stretch(TCS, MONDAY, MONDAY))

    assert (got.imported.added, got.outside, got.failed) == (1, 1, [])


async def test_a_line_that_a_kill_cut_short_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ANSWERED).write_text("TCS\t2026-11-09\t2026-11-10\nTCS\t2026-11-12\t2026-1")

    assert known_days(tmp_path, MONDAY, FRIDAY) == {"TCS": {MONDAY, TUESDAY}}


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    config = SimulatorConfig(
        users=(SimulatedUser("1100000001", TOKEN),), shares=2, history_sessions=8
    )
    running = Simulator(config)
    await running.start()
    yield running
    await running.stop()


async def test_the_simulators_history_comes_into_the_catalogue(
    tmp_path: Path, simulator: Simulator
) -> None:
    listing = next(each for each in simulator.market.listings if each.instrument.tradable)
    today = trading_day(simulator.market.session.open)
    plan = list(
        stretches(listing.instrument, today - timedelta(days=7), today - timedelta(days=1), ())
    )

    async with open_client() as http:
        source = History(http, BaseUrl.parse(f"{simulator.url}/v2"), credentials())
        got = await fetch(plan, source, tmp_path, pace=NoPace())

    kept = [columnar.outline(path) for _, path in columnar.days_in(tmp_path)]
    assert (got.failed, got.empty) == ([], [])
    assert kept == [{listing.instrument.symbol: 375}] * 5


def test_the_command_says_what_to_set_where_no_account_pays_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATS_ENV_FILE", "/dev/null")
    words = ["data", "fetch", "--symbols", "TCS", "--from", "2026-01-05", "--to", "2026-01-09"]

    told = CliRunner().invoke(app, [*words, "--catalogue", str(tmp_path)])

    assert isinstance(told.exception, Misconfigured)
    assert "ADMIN_DHAN_ACCESS_TOKEN: create a token" in str(told.exception)

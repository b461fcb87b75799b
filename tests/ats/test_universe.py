from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import web

from ats.services.context import symbols_of
from ats.services.universe import Memory, Universe, check_plausible, difference
from ats.settings import Settings
from schemas.errors import Misconfigured, TryLater
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import IST, Paise, Quantity, UtcNs
from streams.feed.watchlist import Watchlist

HEADER = (
    "EXCH_ID,SEGMENT,SECURITY_ID,INSTRUMENT,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,SERIES,"
    "LOT_SIZE,TICK_SIZE\n"
)
SYMBOLS = ("TCS", "INFY", "RELIANCE", "SBIN")


def a_share(number: int, **changes: object) -> Instrument:
    whole = {
        "symbol": f"S{number}",
        "name": "",
        "kind": "EQUITY",
        "lot_size": Quantity(1),
        "tick_size": Paise(5),
    }
    return Instrument(InstrumentId(Segment.NSE_EQ, number), **(whole | changes))  # type: ignore[arg-type]


def by_id(*instruments: Instrument) -> dict[InstrumentId, Instrument]:
    return {instrument.id: instrument for instrument in instruments}


def rows(*symbols: str) -> str:
    return HEADER + "".join(
        f"NSE,E,{SYMBOLS.index(symbol) + 1},EQUITY,{symbol},{symbol} LTD,{symbol},EQ,1,5\n"
        for symbol in symbols
    )


class MasterServer:
    """Serves `text` as the day's instrument master."""

    def __init__(self) -> None:
        self.text = rows(*SYMBOLS)
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        return web.Response(text=self.text)


@pytest.fixture
async def server(free_port: Callable[[], int]) -> AsyncIterator[MasterServer]:
    server, app, port = MasterServer(), web.Application(), free_port()
    app.router.add_get("/master.csv", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{port}/master.csv"
    yield server
    await runner.cleanup()


def settings_for(server: MasterServer, home: Path, **more: object) -> Settings:
    return Settings(dhan_instruments_url=server.url, ats_state_dir=home, **more)  # type: ignore[arg-type]


def test_additions_removals_and_new_terms_are_told_apart_and_a_new_name_is_no_change() -> None:
    before = by_id(a_share(1), a_share(2), a_share(3))
    after = by_id(a_share(2, tick_size=Paise(10)), a_share(3, name="Renamed Ltd"), a_share(4))

    found = difference(before, after)

    assert [each.id.security_id for each in found.added] == [4]
    assert [each.id.security_id for each in found.removed] == [1]
    assert [(old.tick_size, new.tick_size) for old, new in found.altered] == [(5, 10)]
    assert not difference(before, dict(before))


def test_a_master_that_lost_more_than_half_is_refused_with_the_remedy() -> None:
    before = by_id(*(a_share(number) for number in range(4)))

    check_plausible(before, difference(before, by_id(a_share(0), a_share(1))))
    with pytest.raises(TryLater, match=r"3 of 4 instruments are gone.*instruments\.json"):
        check_plausible(before, difference(before, by_id(a_share(0))))


def test_the_remembered_list_survives_a_restart(tmp_path: Path) -> None:
    path, instruments = tmp_path / "state" / "instruments.json", by_id(a_share(1), a_share(2))

    Memory(path, "https://one.example").write(instruments)

    assert Memory(path, "https://one.example").read() == instruments
    assert Memory(path, "https://another.example").read() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[1]", b'{"source": "here", "instruments": [["X:1", "S", "", "E", 1, 5]]}'],
)
def test_a_remembered_list_that_cannot_be_read_is_like_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "instruments.json").write_bytes(content)

    assert Memory(tmp_path / "instruments.json", "here").read() == {}


async def test_half_a_master_does_not_replace_yesterdays_list(
    server: MasterServer, tmp_path: Path
) -> None:
    settings = settings_for(server, tmp_path)
    await Universe(settings).read()

    server.text = rows("TCS")
    with pytest.raises(TryLater, match="3 of 4"):
        await Universe(settings).read()
    server.text = rows("TCS", "INFY", "SBIN")

    assert [each.symbol for each in await Universe(settings).read()] == ["TCS", "INFY", "SBIN"]


async def test_watching_fewer_symbols_is_no_broken_master(
    server: MasterServer, tmp_path: Path
) -> None:
    await Universe(settings_for(server, tmp_path)).read()

    few = Universe(settings_for(server, tmp_path, ats_universe=("TCS",)))

    assert [each.symbol for each in await few.read()] == ["TCS"]


async def test_a_replay_neither_compares_with_another_day_nor_remembers_its_own(
    server: MasterServer, tmp_path: Path
) -> None:
    await Universe(settings_for(server, tmp_path)).read()
    remembered = (tmp_path / "instruments.json").read_bytes()

    server.text = rows("TCS")
    replayed = await Universe(settings_for(server, tmp_path, ats_clock="market")).read()

    assert [each.symbol for each in replayed] == ["TCS"]
    assert (tmp_path / "instruments.json").read_bytes() == remembered


async def test_sighup_reads_the_list_anew_and_hands_a_changed_one_to_the_gateway(
    server: MasterServer, tmp_path: Path
) -> None:
    listed = tmp_path / "symbols.txt"
    listed.write_text("TCS  # the first\n\nINFY\n")
    universe, watchlist = (
        Universe(settings_for(server, tmp_path, ats_universe_file=listed)),
        Watchlist(),
    )
    assert [each.symbol for each in await universe.read()] == ["TCS", "INFY"]

    keeper = asyncio.create_task(universe.keep(watchlist))
    try:
        await asyncio.sleep(0)
        listed.write_text("INFY\nSBIN\n")
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            changed = await anext(watchlist.changes())
    finally:
        keeper.cancel()

    assert [each.symbol for each in changed] == ["INFY", "SBIN"]


async def test_a_master_that_does_not_come_keeps_the_old_list_and_is_asked_for_again(
    server: MasterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ats.services.universe.AGAIN_AFTER", 0.05)
    universe, watchlist = Universe(settings_for(server, tmp_path)), Watchlist()
    await universe.read()

    keeper = asyncio.create_task(universe.keep(watchlist))
    try:
        await asyncio.sleep(0)
        server.text = "half of a hea"
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)
        assert not watchlist._changed.is_set()
        server.text = rows("TCS", "INFY", "SBIN")
        async with asyncio.timeout(10):
            changed = await anext(watchlist.changes())
    finally:
        keeper.cancel()

    assert [each.symbol for each in changed] == ["TCS", "INFY", "SBIN"]


async def test_a_list_that_cannot_be_remembered_keeps_the_old_one_and_is_asked_for_again(
    server: MasterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ats.services.universe.AGAIN_AFTER", 0.05)
    universe, watchlist = Universe(settings_for(server, tmp_path)), Watchlist()
    await universe.read()
    remembered = tmp_path / "instruments.json"
    remembered.unlink()
    remembered.mkdir()  # no file can take its place

    keeper = asyncio.create_task(universe.keep(watchlist))
    try:
        await asyncio.sleep(0)
        server.text = rows("TCS", "INFY", "SBIN")
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.2)
        assert not watchlist._changed.is_set()
        remembered.rmdir()
        async with asyncio.timeout(10):
            changed = await anext(watchlist.changes())
    finally:
        keeper.cancel()

    assert [each.symbol for each in changed] == ["TCS", "INFY", "SBIN"]


@pytest.mark.parametrize(
    ("now", "hours"),
    [("2026-11-20T07:30", 1.0), ("2026-11-20T08:30", 24.0), ("2026-11-20T23:30", 9.0)],
)
async def test_the_next_reading_is_at_half_past_eight_indian_time(
    server: MasterServer, tmp_path: Path, now: str, hours: float
) -> None:
    moment = UtcNs.from_datetime(datetime.fromisoformat(now).replace(tzinfo=IST))

    assert (
        Universe(settings_for(server, tmp_path), wall=lambda: moment)._until_morning()
        == hours * 3_600
    )
    replay = settings_for(server, tmp_path, ats_clock="market")
    assert Universe(replay, wall=lambda: moment)._until_morning() is None


@pytest.mark.parametrize("content", [None, "", "# nothing\n"])
def test_a_universe_file_that_names_nothing_is_misconfigured(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "symbols.txt"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured, match="ATS_UNIVERSE_FILE"):
        symbols_of(Settings(ats_universe_file=path))

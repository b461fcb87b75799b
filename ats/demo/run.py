"""The demo from start to summary."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypedDict

import httpx
from rich.console import Console

from ats import exits
from ats.demo.candles import (
    Comparison,
    Reference,
    bars_of,
    compare,
    lines_named,
    on_day,
    overlap,
    reference,
)
from ats.demo.played import Played
from ats.demo.report import summary
from ats.demo.stack import GRACE, Stack, free_ports
from ats.demo.tally import FOLLOWED, Tally
from ats.demo.users import DemoUser, enrol
from ats.demo.view import REFRESH, View
from ats.demo.web import DemoPage
from ats.lifetime import stop_on_signals
from ats.logs import configure
from ats.services.context import instrument_master
from ats.services.executors import platform_report
from ats.settings import load
from ats.supervisor import Supervisor
from bus.group_offsets import lag
from bus.reader import read_topics
from bus.topics import create_topics
from schemas import topics
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater
from schemas.market import Session, trading_day
from schemas.messages import Candle, FeedState
from simulator.market.session import market_session
from streams.rules.config import read as read_rules

SERVICES: Final = ("streams", "agents", "executors", "feed")
SCOUT_WITHIN: Final = 120.0  # seconds; history at Dhan's five requests a second
AT_WORK_WITHIN: Final = 150.0  # seconds; four processes that import and compile, on a slow machine
SETTLED: Final = 1.0  # seconds for our own reader to catch up with the services
# In the order of the data: whoever is last has nothing left when all before it have nothing left.
GROUPS: Final = {
    "ats-streams": (topics.TICKS,),
    "ats-agents": (topics.SIGNALS,),
    "ats-executors": (topics.DECISIONS, topics.ORDERS),
}
DRAIN_WITHIN: Final = 120.0  # seconds from the market's close to the last outcome


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `ats demo` was asked for.

    Attributes:
        market: CSV to replay; None generates a session.
        speed: Market seconds per second; None is as fast as it goes.
        check_against: CSVs of longer candles to compare those with that were played too.
        keep: Folder for logs and databases; None uses one that is removed at the end.
        web: Start the web page too, and keep it open when the market has closed.
        rules: Rules file of the engine; None runs the default.
        day: Which of the market file's days to replay; None when it holds one, or generates the
            simulator's usual day.
    """

    market: Path | None
    speed: float | None
    seed: int
    check_candles: bool
    check_against: tuple[Path, ...]
    keep: Path | None
    web: bool = False
    rules: Path | None = None
    day: date | None = None


class SimulatorState(TypedDict):
    """What we read of `GET /control/state`."""

    session_open_ns: int
    ticks: int
    bad_rows: list[str]


async def run(options: DemoOptions) -> int:
    """Run the demo; the return value is the exit code (`ats.exits`)."""
    if options.market is not None and not options.market.is_file():
        raise Misconfigured(f"market file {options.market}: no such file")
    references = references_of(options)
    read_rules(options.rules)
    console = Console()
    configure("demo", style="console", level="error", secrets=())
    interrupted = asyncio.create_task(stop_on_signals().wait())
    playing = asyncio.create_task(_play_in_a_home(options, references, console))
    await asyncio.wait({playing, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    interrupted.cancel()
    if playing.done():
        return summary(console, playing.result())
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    console.print("\nStopped; nothing is left running.")
    return exits.INTERRUPTED


def references_of(options: DemoOptions) -> list[Reference]:
    """The files of longer candles, read before anything starts, so that a mistake does not cost the whole day.

    Raises:
        Misconfigured: one of them, or the market file, is of no use for a comparison.
    """
    if not (options.check_candles or options.check_against):
        return []
    if options.market is None:
        raise Misconfigured(
            "--check-candles and --check-against compare what a file gives: name it with --market"
        )
    played = bars_of(options.market)
    if options.day is not None:
        played = on_day(played, options.day)
    if not played:
        of = f" of {options.day}" if options.day else ""
        raise Misconfigured(f"market file {options.market}: it has no usable row{of}")
    return [reference(path, played) for path in options.check_against]


async def _play_in_a_home(
    options: DemoOptions, references: Sequence[Reference], console: Console
) -> Played:
    async with _home(options.keep) as home:
        demo = _Demo(options, references, home, console)
        try:
            played = await demo.play()
            if options.web:
                summary(console, played)
                console.print("\nThe page stays open until Ctrl-C.")
                await asyncio.Event().wait()
            return played
        finally:
            await demo.stop()


@asynccontextmanager
async def _home(keep: Path | None) -> AsyncIterator[Path]:
    home = keep or Path(tempfile.mkdtemp(prefix="ats-demo-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # Postgres runs as another account under root and must be able to enter
    try:
        yield home.resolve()
    finally:
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)


class _Demo:
    def __init__(
        self, options: DemoOptions, references: Sequence[Reference], home: Path, console: Console
    ) -> None:
        self._options = options
        self._references = references
        self._console = console
        speed = "max" if options.speed is None else str(options.speed)
        market = ["--market", str(options.market.resolve())] if options.market else []
        self._page = DemoPage() if options.web else None
        page = self._page.simulator_arguments if self._page else []
        day = ["--day", options.day.isoformat()] if options.day else []
        arguments = ["--seed", str(options.seed), "--speed", speed, *market, *day, *page]
        self._stack = Stack(home, cache=load().ats_cache_dir, simulator_arguments=arguments)
        self._supervisor = Supervisor([])
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._tally = Tally()

    async def play(self) -> Played:
        began = time.monotonic()
        with self._console.status(
            "starting Kafka, Postgres and the simulator (the first run fetches Kafka, 46 MB)"
        ):
            await self._stack.start()
            state = await self._simulator_state()
            session = market_session(trading_day(state["session_open_ns"]))
            users = await self._prepare()
        if self._page:
            await self._page.open(self._stack, self._console)
        for row in state["bad_rows"]:
            self._console.print(
                f"[yellow]bad row in {self._options.market}:[/] {row}",
                highlight=False,
                soft_wrap=True,
            )
        day = {"ATS_TRADING_DATE": session.day.isoformat()}
        if self._options.rules:
            day["ATS_RULES"] = str(self._options.rules.resolve())
        await self._scout(day)
        await self._open_market(day)
        await self._watch(session)
        comparisons = await self._compare(session.day, state["bad_rows"])
        sent = (await self._simulator_state())["ticks"]
        restarts = sum(service.restarts for service in self._supervisor.services)
        return Played(
            self._tally,
            users,
            comparisons,
            sent,
            state["bad_rows"],
            restarts,
            time.monotonic() - began,
        )

    async def _prepare(self) -> Sequence[DemoUser]:
        settings, keys = self._stack.settings(), self._stack.keys
        await create_topics(settings.kafka(), settings.plan())
        stack, report = self._stack, platform_report(settings)
        users = await enrol(
            stack.supabase_url, keys.publishable, keys.secret, stack.simulator_url, report
        )
        self._tally.inactive = frozenset(user.id for user in users if not user.active)
        self._tally.tokens = frozenset(user.token.encode() for user in users) | {
            keys.secret.encode()
        }
        return users

    async def _scout(self, day: dict[str, str]) -> None:
        scout = self._stack.child("scout", "agents", "--scout-only", **day)
        with self._console.status("the Scout reads daily candles and picks today's symbols"):
            scout.start()
            try:
                await scout.ended(SCOUT_WITHIN)
            finally:
                await scout.stop(GRACE)  # Ctrl-C may come while it reads
        if scout.exit_code != exits.DONE:
            raise exits.error_of(
                "scout", scout.exit_code, "the Scout made no shortlist", scout.tail()
            )

    async def _open_market(self, day: dict[str, str]) -> None:
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self._supervisor = Supervisor(
            [
                self._stack.child(name, name, "--metrics-port", str(port), **day)
                for name, port in ports.items()
            ]
        )
        self._tasks = [
            asyncio.create_task(self._supervisor.run(self._stopping)),
            asyncio.create_task(self._follow()),
        ]
        with self._console.status(
            "starting the engine, the agents, the order workers and the feed gateway"
        ):
            await self._until_at_work(ports)
        async with httpx.AsyncClient(base_url=self._stack.simulator_url) as simulator:
            (await simulator.post("/control/start")).raise_for_status()

    async def _until_at_work(self, ports: Mapping[str, int]) -> None:
        """Until every service says that it is healthy and the gateway has subscribed."""
        deadline, waiting = time.monotonic() + AT_WORK_WITHIN, dict(ports)
        async with httpx.AsyncClient(timeout=2) as http:
            while waiting or not any(
                event.state is FeedState.SUBSCRIBED for event in self._tally.feed
            ):
                self._check_all_is_well()
                if time.monotonic() > deadline:
                    raise TryLater(
                        f"not at work in time: {', '.join(waiting) or 'feed'}; run with --keep and see the logs"
                    )
                for name, port in list(waiting.items()):
                    if await _is_healthy(http, port):
                        del waiting[name]
                await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        async for record in read_topics(self._stack.settings().kafka(), FOLLOWED, since="start"):
            self._tally.take(record)

    async def _watch(self, session: Session) -> None:
        """Until the market has closed and every tick, signal and order has its end, or time is up."""
        closed_at: float | None = None
        with View(self._console, self._tally, session) as view:
            while True:
                self._check_all_is_well()
                if closed_at is None and self._tally.clock >= session.close:
                    closed_at = time.monotonic()
                view.draw(
                    "market open" if closed_at is None else self._tally.pending() or "market closed"
                )
                if closed_at is not None and await self._nothing_is_left():
                    return
                if closed_at is not None and time.monotonic() - closed_at > DRAIN_WITHIN:
                    return
                await asyncio.sleep(REFRESH)

    async def _nothing_is_left(self) -> bool:
        """Whether every service has worked off its topics and the tally has seen what came of it."""
        settings = self._stack.settings()
        connection, plan = settings.kafka(), settings.plan()
        for group, sources in GROUPS.items():
            if await lag(connection, group, sources, plan):
                return False
        before = sum(self._tally.counts.values())
        await asyncio.sleep(SETTLED)
        return sum(self._tally.counts.values()) == before and not self._tally.pending()

    def _check_all_is_well(self) -> None:
        if failed := self._stack.failed() or self._supervisor.failed:
            raise failed
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _compare(self, day: date, bad_rows: Sequence[str]) -> list[Comparison]:
        options = self._options
        if options.market is None or not (options.check_candles or self._references):
            return []
        settings = self._stack.settings()
        records = read_topics(settings.kafka(), [topics.CANDLES], since="start", until_end=True)
        candles = [decode(Candle, record.value) async for record in records]
        master = await instrument_master(settings)
        symbols = {instrument.id: instrument.symbol for instrument in master.by_id.values()}
        played = on_day(bars_of(options.market, without=lines_named(bad_rows)), day)
        found = [compare(played, candles, symbols)] if options.check_candles else []
        for other in self._references:
            both = overlap(other.bars, played)
            found.append(
                compare(both, candles, symbols, other.timeframe, of={symbol for symbol, _ in both})
            )
        return found

    async def _simulator_state(self) -> SimulatorState:
        async with httpx.AsyncClient(base_url=self._stack.simulator_url) as simulator:
            state: SimulatorState = (
                (await simulator.get("/control/state")).raise_for_status().json()
            )
            return state

    async def stop(self) -> None:
        """End every process. Safe to call at any point."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._supervisor.stop(GRACE)
        if self._page:
            await self._page.close()
        await self._stack.stop()


async def _is_healthy(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://127.0.0.1:{port}/health")).is_success
    except httpx.TransportError:
        return False

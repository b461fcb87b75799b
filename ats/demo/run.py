"""The demo from start to summary."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypedDict
from urllib.parse import quote

import httpx
from rich.console import Console

from ats.demo import models
from ats.demo.accounts import Account, disagreements, not_flat
from ats.demo.broker_book import BrokerBook, read_book
from ats.demo.candles import (
    Comparison,
    Reference,
    bars_of,
    compare,
    lines_named,
    on_day,
    overlap,
)
from ats.demo.home import home_of
from ats.demo.local_model import MEGABYTES, LocalModel
from ats.demo.models import DemoModel
from ats.demo.options import DemoOptions
from ats.demo.pauses import Pauses, square_off_at
from ats.demo.report import summary
from ats.demo.result import DayEnd, Played
from ats.demo.signing import sign
from ats.demo.stack import GRACE, Stack, free_ports
from ats.demo.starting import until_at_work, until_done
from ats.demo.steps import Step
from ats.demo.tally import FOLLOWED, Tally
from ats.demo.users import DemoUser, Visitor, enrol, visitors
from ats.demo.view import REFRESH, View
from ats.demo.web import DemoPage
from ats.demo.words import TRUTH, meanwhile
from ats.runtime import exit_codes
from ats.runtime.child import Child
from ats.runtime.groups import GROUPS
from ats.runtime.logs import configure
from ats.runtime.readiness import until_it_answers
from ats.runtime.running_demo import Running, announced
from ats.runtime.shutdown import until_interrupted
from ats.runtime.supervisor import Supervisor
from ats.services.context import instrument_master
from ats.services.executors import platform_report
from ats.settings import Settings, load
from bus.group_offsets import lag
from bus.reader import read_topics
from bus.topics import create_topics
from schemas import topics
from schemas.codec import decode
from schemas.market import Session, trading_day
from schemas.messages import Candle, FeedState
from simulator.market.session import market_session
from streams.rules.config import read as read_rules
from streams.rules.config import warning_of

SERVICES: Final = ("streams", "agents", "executors", "books", "feed")
SETTLED: Final = 1.0  # seconds for our own reader to catch up with the services
BOOK_READ_EVERY: Final = 5.0  # seconds between two readings of an account's book at the broker
# seconds that our books have to become the broker's, once the market has closed
BOOKS_WITHIN: Final = 60.0
# seconds without any record after the market's close, while something is still on its way
DRAIN_WITHIN: Final = 120.0


class SimulatorState(TypedDict):
    """What we read of `GET /control/state`."""

    session_open_ns: int
    ticks: int
    subscriptions: int
    bad_rows: list[str]
    file: list[str]


async def run(options: DemoOptions, references: Sequence[Reference]) -> int:
    """Run the demo; the return value is the exit code (`ats.runtime.exit_codes`).

    `references` is what `ats.demo.files` read before anything was loaded.
    """
    rule_set = read_rules(options.rules)
    console, settings = Console(), load()
    configure("demo", style="console", level="error", secrets=())
    if warning := warning_of(rule_set, options.rules):
        console.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    code = await until_interrupted(_play_in_a_home(options, references, settings, console))
    if code is None:
        console.print("\nStopped; nothing is left running.")
        return exit_codes.INTERRUPTED
    return code


def settings_of_the_day(options: DemoOptions, day: date) -> dict[str, str]:
    """What all services of the demo are told beyond the stack's own settings."""
    told = {
        "ATS_TRADING_DATE": day.isoformat(),
        "ATS_BOOK_READ_SECONDS": str(BOOK_READ_EVERY),
    }
    if options.rules:
        told["ATS_RULES"] = str(options.rules.resolve())
    if options.depth:
        told["ATS_DEPTH"] = "on"
    return told


def processes(stack: Stack, ports: Mapping[str, int], told: Mapping[str, str]) -> dict[str, Child]:
    """The services, each with its metrics at its port, and the Scout, under the same settings."""
    services = {
        name: stack.child(name, name, "--metrics-port", str(port), **told)
        for name, port in ports.items()
    }
    return services | {"scout": stack.child("scout", "agents", "--scout-only", **told)}


async def _play_in_a_home(
    options: DemoOptions, references: Sequence[Reference], settings: Settings, console: Console
) -> int:
    with home_of(options.keep, settings.ats_state_dir, console) as home:
        demo = _Demo(options, references, home.path, settings, console)
        try:
            with demo.announced(settings.ats_state_dir):
                played = await demo.play()
                if options.web:
                    summary(console, played)
                    console.print("\nThe page stays open until Ctrl-C.")
                    await asyncio.Event().wait()
        finally:
            with Step(console, "ending every process"):
                await demo.stop()
        code = summary(console, played)
        home.failed = code != exit_codes.DONE
        return code


class _Demo:
    def __init__(
        self,
        options: DemoOptions,
        references: Sequence[Reference],
        home: Path,
        settings: Settings,
        console: Console,
    ) -> None:
        self._options = options
        self._references = references
        self._console = console
        self._other_kafka = bool(settings.kafka_bootstrap_servers)
        self._other_database = bool(settings.supabase_url)
        speed = "max" if options.speed is None else str(options.speed)
        market = ["--market", str(options.market.resolve())] if options.market else []
        self._local: LocalModel | None = None
        self._model: Child | None = None
        self._model_port = 0
        self._page = DemoPage() if options.web else None
        page = self._page.simulator_arguments if self._page else []
        day = ["--day", options.day.isoformat()] if options.day else []
        market += ["--max-bad-rows", str(options.max_bad_rows)]
        arguments = ["--seed", str(options.seed), "--speed", speed, *market, *day, *page]
        self._stack = Stack(
            home,
            cache=settings.ats_cache_dir,
            simulator_arguments=arguments,
            model=self._model_of(options, settings),
        )
        self._supervisor = Supervisor([])
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._tally = Tally()

    def _model_of(self, options: DemoOptions, settings: Settings) -> DemoModel | None:
        """Whom the agents ask; None for the simulator's."""
        if options.model == models.SCRIPTED:
            return None
        if options.model != models.LOCAL:
            return models.of_provider(options.model, settings)
        self._local = LocalModel(settings.ats_cache_dir)
        (self._model_port,) = free_ports(1)
        return models.local(self._model_port)

    @property
    def kafka(self) -> str:
        return self._stack.kafka.bootstrap_servers

    def announced(self, state: Path) -> AbstractContextManager[Running]:
        """Where `ats tail` and `ats kill` find it."""
        stack = self._stack
        keys = stack.keys_file.parent
        return announced(state, self.kafka, supabase=stack.supabase_url, keys=keys)

    async def play(self) -> Played:
        began = time.monotonic()
        self._console.print(f"{TRUTH} {self._stack.model.words}", highlight=False, markup=False)
        if self._local:
            await self._install(self._local)
        with Step(self._console, "starting Kafka, Postgres and the simulator") as step:
            await self._stack.start(announce=step.now)
            state = await self._simulator_state()
            session = market_session(trading_day(state["session_open_ns"]))
        with Step(self._console, "making the topics, signing four users up"):
            users = await self._prepare()
        if self._local:
            await self._start_model(self._local)
        if self._page:
            await self._page.open(self._stack, self._console)
        for line in state["file"]:
            self._console.print(line, style="yellow", highlight=False, soft_wrap=True, markup=False)
        pauses = self._pauses_of(session, users)
        await pauses.ask()
        await self._open_market(settings_of_the_day(self._options, session.day))
        self._console.print(self._invitation(), highlight=False, soft_wrap=True)
        await self._watch(session, pauses)
        came = await self._visitors(users)
        with Step(self._console, "comparing our books with the broker's"):
            accounts = await self._settled_accounts([*users, *came])
        comparisons = await self._compare(session.day, state["bad_rows"])
        unsigned = await self._sign(session.day)
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
            came,
            self._options.keep,
            DayEnd(
                session.day,
                accounts,
                generated=self._options.market is None,
                square_off=pauses.ended,
            ),
            self._stack.model,
            unsigned,
            self._options.rules,
        )

    async def _install(self, local: LocalModel) -> None:
        if local.weights is None:
            what = f"fetching a model of {MEGABYTES} MB into {local.folder}, once"
            with Step(self._console, what) as step:
                await asyncio.to_thread(local.install, step.now)

    async def _start_model(self, local: LocalModel) -> None:
        self._model = local.server(self._model_port, self._stack.logs / "model.log")
        with Step(self._console, "loading the model"):
            self._model.start()
            await until_it_answers(self._model, f"http://127.0.0.1:{self._model_port}/health")

    def _pauses_of(self, session: Session, users: Sequence[DemoUser]) -> Pauses:
        async def still_open() -> list[str]:
            people: list[DemoUser | Visitor] = [*users, *await self._visitors(users)]
            accounts = await self._accounts(people)
            return [what for account in accounts for what in not_flat(account)]

        async def fed() -> bool:
            return (await self._simulator_state())["subscriptions"] > 0

        due = square_off_at(self._stack.settings(), session.day)
        return Pauses(
            self._stack.simulator_url,
            session.open,
            due,
            still_open,
            self._nothing_is_left,
            self._tally.pending,
            fed,
            patience=self._stack.model.patience,
            in_strides=self._options.speed is None,
        )

    async def _visitors(self, users: Sequence[DemoUser]) -> Sequence[Visitor]:
        """Who came in by the page."""
        if not self._page:
            return ()
        known, stack = {user.id for user in users}, self._stack
        return await visitors(stack.supabase_url, stack.keys.secret, known)

    def _invitation(self) -> str:
        page = self._page.url if self._page else None
        return meanwhile(
            self.kafka,
            other_kafka=self._other_kafka,
            page=page,
            other_database=self._other_database,
        )

    async def _prepare(self) -> Sequence[DemoUser]:
        settings, keys = self._stack.settings(), self._stack.keys
        stack, report = self._stack, platform_report(settings)
        _, users = await asyncio.gather(
            create_topics(settings.kafka(), settings.plan()),
            enrol(stack.supabase_url, keys.publishable, keys.secret, stack.simulator_url, report),
        )
        self._tally.inactive = frozenset(user.id for user in users if not user.active)
        self._tally.tokens = frozenset(user.token.encode() for user in users) | {
            keys.secret.encode(),
            *(key.encode() for key in self._stack.model.secrets),
        }
        return users

    async def _scout(self, scout: Child) -> None:
        with Step(self._console, "the Scout reads daily candles and picks today's symbols"):
            await until_done(scout, "the Scout made no shortlist", self._check_all_is_well)

    async def _open_market(self, told: Mapping[str, str]) -> None:
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        services = processes(self._stack, ports, told)
        scout, agents = services.pop("scout"), services.pop("agents")
        self._supervisor = Supervisor([*services.values()])
        self._tasks = [
            asyncio.create_task(self._supervisor.run(self._stopping)),
            asyncio.create_task(self._follow()),
        ]
        await self._scout(scout)  # while the others start; agents without a short list scout too
        self._supervisor.add(agents)
        what = "starting engine, agents, order workers, books and feed gateway"
        with Step(self._console, what) as step:
            await until_at_work(
                [service.child for service in self._supervisor.services],
                ports,
                also=self._subscribed,
                check=self._check_all_is_well,
                tell=step.now,
            )
        async with httpx.AsyncClient(base_url=self._stack.simulator_url) as simulator:
            (await simulator.post("/control/start")).raise_for_status()

    def _subscribed(self) -> bool:
        return any(event.state is FeedState.SUBSCRIBED for event in self._tally.feed)

    async def _follow(self) -> None:
        async for record in read_topics(self._stack.settings().kafka(), FOLLOWED, since="start"):
            self._tally.take(record)

    async def _watch(self, session: Session, pauses: Pauses) -> None:
        """Until the market has closed and everything has its end, or time is up."""
        moved_at, seen = time.monotonic(), -1
        with View(self._console, self._tally, session, thinks=self._stack.model.real) as view:
            while True:
                self._check_all_is_well()
                closed = self._tally.clock >= session.close
                waiting = await self._look_at(pauses)
                open_ = waiting or "market open"
                view.draw(open_ if not closed else self._tally.pending() or "market closed")
                if closed and await self._nothing_is_left():
                    return
                if (progress := self._tally.progress) != seen:
                    moved_at, seen = time.monotonic(), progress
                if time.monotonic() - moved_at > DRAIN_WITHIN:
                    return
                await asyncio.sleep(REFRESH)

    async def _look_at(self, pauses: Pauses) -> str:
        """What the market waits for, in words; empty while it plays."""
        went_on = pauses.ended
        waiting = await pauses.look(self._tally.clock)
        if pauses.ended and not went_on:
            self._console.print(str(pauses.ended), highlight=False, soft_wrap=True, markup=False)
        return waiting

    async def _nothing_is_left(self) -> bool:
        """Whether every service is at its topics' ends and the tally has seen what came of it."""
        settings = self._stack.settings()
        connection, plan = settings.kafka(), settings.plan()
        for group, sources in GROUPS.items():
            if await lag(connection, group, sources, plan):
                return False
        before = sum(self._tally.counts.values())
        await asyncio.sleep(SETTLED)
        return sum(self._tally.counts.values()) == before and not self._tally.pending()

    async def _settled_accounts(self, people: Sequence[DemoUser | Visitor]) -> list[Account]:
        """Everybody's day by both books, once they agree or time is up."""
        until = time.monotonic() + BOOKS_WITHIN
        while True:
            self._check_all_is_well()
            accounts = await self._accounts(people)
            agreed = not any(disagreements(account) for account in accounts)
            if agreed or time.monotonic() > until:
                return accounts
            await asyncio.sleep(REFRESH)

    async def _accounts(self, people: Sequence[DemoUser | Visitor]) -> list[Account]:
        return [
            self._account(person, book)
            for person in people
            if (book := await self._book_at_the_broker(person.dhan_client_id))
        ]

    def _account(self, person: DemoUser | Visitor, book: BrokerBook) -> Account:
        tally = self._tally
        return Account(
            person.name,
            book,
            tuple(tally.trades[person.id]),
            dict(tally.positions[person.id]),
            tally.exits,
        )

    async def _book_at_the_broker(self, client_id: str) -> BrokerBook | None:
        """None of an account that the simulator does not have: a page takes what is typed."""
        async with httpx.AsyncClient(base_url=self._stack.simulator_url) as simulator:
            answer = await simulator.get(f"/control/books/{quote(client_id, safe='')}")
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            return None
        return read_book(answer.raise_for_status().json())

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

    async def _sign(self, day: date) -> list[str] | None:
        """What is not as the ledger signed it; None where nothing is kept, and nothing signed."""
        if self._options.keep is None:
            return None
        with Step(self._console, "signing the day: the ledger, then its witness"):
            return await sign(self._stack, day, self._check_all_is_well)

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
        if self._model:
            await self._model.stop(GRACE)
        await self._stack.stop()

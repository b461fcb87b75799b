"""What all runs share: order workers, `ats books`, Kafka, Postgres, and Dhan's simulator."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaError

from ats.embedded.kafka import EmbeddedKafka
from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from bus.topics import create_topics
from dhan.transport import open_client
from schemas.codec import decode
from schemas.errors import TryLater
from schemas.messages import Execution, OrderIntent, Position, Trade
from schemas.topics import CATALOGUE, EXECUTIONS, ORDERS, POSITIONS, TRADES
from simulator.config import SimulatorConfig
from simulator.server import Simulator
from tests.conftest import started_broker
from tests.crash.orders.story import BOOKS, PROCESSES
from tests.crash.orders.verdict import Heard
from tests.database.fixtures import own_stack, short_home
from tests.executors.books_worker import tell_clock
from tests.executors.crash_worker import EVERY_MOMENT, PLAN
from tests.executors.harness import World, world_at

ROOT = Path(__file__).parents[3]
LEASE = "1.0"  # seconds; the product's is ten
JOINS_WITHIN = 60.0  # seconds; a limit for a broken run, not a measurement
# Seconds. Members are static: who leaves for good keeps its partitions until its session of six
# seconds ends.
HANDS_OVER_WITHIN = 15.0
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Later|Misconfigured|Unreadable)\b")
# Seconds from joining to the first look of a guardian: it waits one for what its predecessor sent,
# and is called once a second.
FIRST_LOOK = 2.0
CLOCK = "market-clock"  # a file of the stage's folder
FOLLOWED = (ORDERS, EXECUTIONS, POSITIONS, TRADES)


@dataclass
class Worker:
    """One process of ours, started again whenever it ends."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    ends: Counter[int] = field(default_factory=Counter)
    closing: bool = False

    async def keep_alive(self) -> None:
        while not self.closing:
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
                )
            self.ends[await self.process.wait()] += 1

    def joins(self) -> int:
        """How often a process of it got its partitions."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.count("joined ")

    async def joined(self, times: int = 1) -> None:
        """Return when processes of it have had their partitions so often."""
        async with asyncio.timeout(JOINS_WITHIN):
            while self.joins() < times:  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.1)

    def loads(self) -> int:
        """How often a process of it has loaded partitions, also those that another gave up."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.count("partitions_loaded")

    async def loaded(self, times: int) -> None:
        """Return when processes of it have loaded partitions so often; in vain, after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HANDS_OVER_WITHIN):
                while self.loads() < times:  # noqa: ASYNC110  # a log has no event
                    await asyncio.sleep(0.1)

    def last_words(self) -> str:
        """The last exception in its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        found = [line for line in text.splitlines() if EXCEPTION.match(line)]
        return found[-1][:300] if found else "nothing in its log"

    def signal(self, number: signal.Signals) -> None:
        if self.process and self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self) -> None:
        self.closing = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            if self.process:
                await self.process.wait()


@dataclass
class Stage:
    """Everything the runs share.

    Attributes:
        away: When no guardian could be at work, because we killed, froze or added the process that
            has it: pairs of machine times.
    """

    home: Path
    broker: EmbeddedKafka
    postgres: EmbeddedPostgres
    world: World
    simulator: Simulator
    connection: KafkaConnection
    workers: list[Worker]
    heard: Heard = field(default_factory=Heard)
    accounts: int = 0
    broker_kills: int = 0
    database_kills: int = 0
    away: list[tuple[float, float]] = field(default_factory=list)
    moved_at: float = field(default_factory=time.monotonic)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def listen(self) -> None:
        """Follow intents and outcomes for ever, through deaths of the broker."""
        values: dict[UUID, bytes] = {}
        while True:
            try:
                reading = read_topics(self.connection, FOLLOWED, since="start")
                async with aclosing(reading) as records:
                    async for record in records:
                        self._hear(record, values)
            except (TryLater, KafkaError):
                await asyncio.sleep(0.2)

    def _hear(self, record: Record, values: dict[UUID, bytes]) -> None:
        if record.topic == ORDERS.name:
            intent = decode(OrderIntent, record.value)
            self.heard.intents[intent.id] = intent
            return
        if record.topic == POSITIONS.name:
            position = decode(Position, record.value)
            self.heard.positions[position.user_id, str(position.instrument)] = position
            return
        if record.topic == TRADES.name:
            trade = decode(Trade, record.value)
            self.heard.trades[trade.id] = trade
            return
        execution = decode(Execution, record.value)
        self.heard.executions[execution.id] = execution
        value = record.value or b""
        if values.setdefault(execution.id, value) != value:
            self.heard.other_bytes.add(execution.id)

    async def without_guardian(self, worker: Worker, act: Callable[[], Awaitable[Any]]) -> None:
        """Do something to a process that has guardians, and note until when it had none."""
        began, joins = time.monotonic(), worker.joins()
        await act()
        await worker.joined(joins + 1)
        self.away.append((began, time.monotonic() + FIRST_LOOK))

    async def freeze(self, worker: Worker, seconds: float) -> None:
        """Stop a process for so long; nobody is told.

        One frozen for most of its session ends itself, since its partitions may be another's.
        """
        began, joins, ends = time.monotonic(), worker.joins(), worker.ends.total()
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        worker.signal(signal.SIGCONT)
        if worker is self.workers[BOOKS]:
            thawed = time.monotonic()
            await asyncio.sleep(FIRST_LOOK)
            if worker.ends.total() > ends:
                await worker.joined(joins + 1)
                thawed = time.monotonic()
            self.away.append((began, thawed + FIRST_LOOK))

    async def join(self, name: str) -> Worker:
        """A further `ats books`, until it is ended."""
        worker = _books(self.home, name, self.connection, self.world, self.simulator)
        self.workers.append(worker)
        self.tasks.append(asyncio.create_task(worker.keep_alive()))
        return worker

    async def move_on(self, seconds: int) -> None:
        """Let the market go on by so much, or by what the machine's clock has gone on, if more."""
        exchange = self.simulator.exchange
        passed = int(time.monotonic() - self.moved_at) + 1
        self.moved_at = time.monotonic()
        await exchange.step(max(seconds, passed))
        tell_clock(self.home / CLOCK, exchange.now)

    async def kill_broker(self) -> None:
        self.broker.signal(signal.SIGKILL)
        await self.broker.ended(10)
        await self.broker.start()
        self.broker_kills += 1

    async def kill_database(self) -> None:
        if self.postgres.pid:
            os.kill(self.postgres.pid, signal.SIGKILL)
        await self.postgres.stop()
        await self.postgres.start()
        self.database_kills += 1


@asynccontextmanager
async def staged(home: Path) -> AsyncIterator[Stage]:
    """A broker, a database, a Dhan and two order workers."""
    pg_home, closing = short_home(), list[Callable[[], Awaitable[Any]]]()
    broker = await started_broker(home / "kafka")
    closing.append(broker.stop)
    postgres = EmbeddedPostgres(pg_home / "data", durable=True)
    closing.append(postgres.stop)
    simulator = Simulator(SimulatorConfig(order_rate_limit=None, shares=5))
    closing.append(simulator.stop)
    try:
        await postgres.start()
        await simulator.start()
        await simulator.exchange.step(60)
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN, topics=CATALOGUE)
        async with (
            own_stack(postgres, "crash_orders") as stack,
            open_client() as http,
            world_at(stack, http, f"{simulator.url}/v2") as world,
        ):
            tell_clock(home / CLOCK, simulator.exchange.now)
            workers = [_worker(home, name, connection, world) for name in PROCESSES[:2]]
            workers.append(_books(home, PROCESSES[BOOKS], connection, world, simulator))
            stage = Stage(home, broker, postgres, world, simulator, connection, workers)
            stage.tasks = [asyncio.create_task(each.keep_alive()) for each in workers]
            stage.tasks.append(asyncio.create_task(stage.listen()))
            try:
                for worker in workers:
                    await worker.joined()
                yield stage
            finally:
                for worker in workers:
                    await worker.end()
                for task in stage.tasks:
                    task.cancel()
    finally:
        for close in reversed(closing):
            await close()


def _worker(home: Path, name: str, connection: KafkaConnection, world: World) -> Worker:
    moments = home / "moments"
    moments.mkdir(exist_ok=True)
    for moment in EVERY_MOMENT:  # it is killed from outside, at any moment
        (moments / moment).touch()
    command = [
        sys.executable,
        "-m",
        "tests.executors.crash_worker",
        connection.bootstrap_servers,
        world.stack.url,
        world.broker_url,
        str(moments),
    ]
    settings = {
        "SUPABASE_SERVICE_KEY": world.stack.secret_key,
        "INSTANCE": name,
        "LEASE": LEASE,
        "ROUND_EVERY": "1",
    }
    return Worker(name, command, os.environ | settings, home / f"{name}.log")


def _books(
    home: Path, name: str, connection: KafkaConnection, world: World, simulator: Simulator
) -> Worker:
    command = [
        sys.executable,
        "-m",
        "tests.executors.books_worker",
        connection.bootstrap_servers,
        world.stack.url,
        simulator.url,
        str(int(simulator.exchange.now)),
    ]
    settings = {
        "SUPABASE_SERVICE_KEY": world.stack.secret_key,
        "INSTANCE": name,
        "GUARD": "1",
        "MARKET_CLOCK": str(home / CLOCK),
    }
    return Worker(name, command, os.environ | settings, home / f"{name}.log")

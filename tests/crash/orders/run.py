"""Plays stories on real order workers, Kafka and Postgres, and Dhan's simulator."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx
from aiokafka.errors import KafkaError
from postgrest.exceptions import APIError

from ats.embedded.kafka import EmbeddedKafka
from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record, message_output
from bus.topics import create_topics
from dhan.transport import open_client
from schemas import ticks
from schemas.codec import decode
from schemas.errors import TryLater
from schemas.ids import DecisionId, OrderId, UserId
from schemas.market import Action
from schemas.messages import Execution, OrderIntent, Position
from schemas.topics import CATALOGUE, DECISIONS, EXECUTIONS, ORDERS, POSITIONS, TICKS
from schemas.units import Price, UtcNs
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.faults import Fault, FaultKind
from simulator.matching.enums import Status
from simulator.server import Simulator
from tests.conftest import started_broker
from tests.crash.orders.story import PROCESSES, Event, Kind, Story
from tests.crash.orders.verdict import BookedOrder, Heard, Held, Known, wrong
from tests.database.fixtures import own_stack, short_home
from tests.executors.crash_worker import EVERY_MOMENT, PLAN
from tests.executors.factories import RELIANCE, some_ticks
from tests.executors.harness import World, world_at

ROOT = Path(__file__).parents[3]
LEASE = "1.0"  # seconds; the product's is ten
ENDS_WITHIN = 60.0  # seconds; a limit for a broken run, not a measurement
AGREES_WITHIN = 40.0  # seconds until corrections have been looked for
MARKET_SECONDS = 100  # of the market, for each run
VALID = UtcNs.seconds(MARKET_SECONDS)
FOLLOWED = (ORDERS, EXECUTIONS, POSITIONS)
T = TypeVar("T")


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

    async def joined(self) -> None:
        """Return when a process of it has its partitions."""
        async with asyncio.timeout(ENDS_WITHIN):
            while not self.log.exists() or "joined" not in self.log.read_text(errors="replace"):  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.1)

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
    """Everything the runs share."""

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
    unprotected: list[float] = field(default_factory=list)  # worst of each run, in seconds

    async def listen(self) -> None:
        """Follow intents and outcomes for ever, through deaths of the broker."""
        values: dict[UUID, bytes] = {}
        while True:
            try:
                reading = read_topics(
                    self.connection, [ORDERS, EXECUTIONS, POSITIONS], since="start"
                )
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
        execution = decode(Execution, record.value)
        self.heard.executions[execution.id] = execution
        value = record.value or b""
        if values.setdefault(execution.id, value) != value:
            self.heard.other_bytes.add(execution.id)

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
            workers = [_worker(home, name, connection, world) for name in PROCESSES[:2]]
            workers.append(_books(home, connection, world, simulator))
            stage = Stage(home, broker, postgres, world, simulator, connection, workers)
            tasks = [asyncio.create_task(each.keep_alive()) for each in workers]
            tasks.append(asyncio.create_task(stage.listen()))
            try:
                for worker in workers:
                    await worker.joined()
                yield stage
            finally:
                for worker in workers:
                    await worker.end()
                for task in tasks:
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


def _books(home: Path, connection: KafkaConnection, world: World, simulator: Simulator) -> Worker:
    command = [
        sys.executable,
        "-m",
        "tests.executors.books_worker",
        connection.bootstrap_servers,
        world.stack.url,
        simulator.url,
        str(int(simulator.exchange.now)),
    ]
    key = {"SUPABASE_SERVICE_KEY": world.stack.secret_key, "GUARD": "1"}
    return Worker(PROCESSES[2], command, os.environ | key, home / f"{PROCESSES[2]}.log")


@dataclass
class Run:
    """One story being played."""

    stage: Stage
    story: Story
    users: list[UserId] = field(default_factory=list)
    accounts: dict[UserId, str] = field(default_factory=dict)
    tokens: dict[UserId, str] = field(default_factory=dict)
    decisions: list[DecisionId] = field(default_factory=list)
    off: dict[UserId, datetime] = field(default_factory=dict)
    dead: set[UserId] = field(default_factory=set)
    unprotected: float = 0.0  # seconds

    async def play(self) -> list[str]:
        """Play it; returns what was wrong."""
        await self._users()
        await self._quotes()
        began, tasks = time.monotonic(), []
        for event in self.story.events:
            await asyncio.sleep(max(0.0, began + event.at - time.monotonic()))
            tasks.append(asyncio.create_task(self._happen(event)))
        await asyncio.gather(*tasks)
        complaints = await self._settled()
        complaints += await self._flat()
        self.stage.simulator.faults.clear()
        await self._leave()
        return complaints

    async def _users(self) -> None:
        stage = self.stage
        for _ in range(self.story.users):
            stage.accounts += 1
            account = SimulatedUser(
                f"12{stage.accounts:08}", f"token-of-crash-{stage.accounts}", funds=100_000_000
            )
            body = {"client_id": account.client_id, "token": account.token, "funds": account.funds}
            answer = await stage.world.http.post(f"{stage.simulator.url}/control/users", json=body)
            answer.raise_for_status()
            user = await stage.world.user(client_id=account.client_id, token=account.token)
            self.users.append(user)
            self.accounts[user], self.tokens[user] = account.client_id, account.token
        await asyncio.sleep(1.0)  # polled twice a second: who is told off must have been seen on

    async def _quotes(self) -> None:
        """Prices of the market minutes in which this run's orders may leave."""
        exchange = self.stage.simulator.exchange
        await exchange.step(MARKET_SECONDS)
        price = exchange.book.last(RELIANCE.id)
        assert price is not None
        seconds = range(2 * MARKET_SECONDS)
        prints = [(RELIANCE, exchange.now + UtcNs.seconds(each), int(price)) for each in seconds]
        batch = ticks.encode(some_ticks(*prints))
        number = ticks.partition_of(RELIANCE.id, PLAN.instrument)
        async with Publisher(self.stage.connection) as publisher:
            await publisher.send_and_wait(Output(TICKS, b"0", batch, number))

    async def _happen(self, event: Event) -> None:
        stage = self.stage
        match event.kind:
            case Kind.DECIDE:
                await self._decide(event)
            case Kind.KILL:
                stage.workers[event.who].signal(signal.SIGKILL)
            case Kind.FREEZE:
                stage.workers[event.who].signal(signal.SIGSTOP)
                await asyncio.sleep(event.lasting)
                stage.workers[event.who].signal(signal.SIGCONT)
            case Kind.KILL_DATABASE:
                await stage.kill_database()
            case Kind.KILL_BROKER:
                await stage.kill_broker()
            case Kind.FAULT:
                fault = Fault(FaultKind(event.what))
                if event.lasting:
                    fault = replace(fault, delay=event.lasting)
                stage.simulator.faults.add(fault, seed=1)
            case Kind.ODD_UPDATES:
                odd = Fault(FaultKind(event.what), endpoint="/orderupdate", chance=0.3, times=20)
                stage.simulator.faults.add(odd, seed=self.story.nth)
            case Kind.SWITCH_OFF:
                await self._switch_off(self.users[event.who])
            case Kind.KILL_TOKEN:
                self.dead.add(self.users[event.who])
                body = {"client_id": self.accounts[self.users[event.who]]}
                url = f"{stage.simulator.url}/control/tokens/kill"
                (await stage.world.http.post(url, json=body)).raise_for_status()
            case Kind.LOSE_STOP:
                await self._lose_stop(self.accounts[self.users[event.who]])
            case Kind.PHONE:
                fault = Fault(FaultKind.PHONE_ORDER, client_id=self.accounts[self.users[event.who]])
                stage.simulator.faults.add(fault, seed=1)

    async def _decide(self, event: Event) -> None:
        stage, exchange = self.stage, self.stage.simulator.exchange
        now, price = exchange.now, exchange.book.last(RELIANCE.id)
        assert price is not None
        decision = await _again(
            lambda: stage.world.decision(
                event_time=now,
                action=Action(event.what),
                reference_price=Price(price),
                valid_until=UtcNs(now + VALID),
            )
        )

        async def publish() -> None:
            async with Publisher(stage.connection) as publisher:
                key = str(decision.instrument)
                await publisher.send_and_wait(message_output(DECISIONS, decision, key))

        await _again(publish)
        self.decisions.append(decision.id)

    async def _switch_off(self, user: UserId) -> None:
        async def off() -> datetime:
            await self.stage.world.switch_off(user)
            rows = await self.stage.world.sql("select clock_timestamp() as now")
            at: datetime = rows[0]["now"]
            return at

        self.off[user] = await _again(off)

    async def _settled(self) -> list[str]:
        """Wait until nothing is wrong any more; returns what still is when time is over."""
        deadline = time.monotonic() + ENDS_WITHIN + AGREES_WITHIN
        while True:
            complaints = wrong(self._heard(), self._booked(), await self._known())
            if not complaints or time.monotonic() > deadline:
                return complaints
            await asyncio.sleep(0.3)

    def _heard(self) -> Heard:
        mine, heard = set(self.decisions), self.stage.heard
        return Heard(
            {k: each for k, each in heard.intents.items() if each.decision_id in mine},
            {k: each for k, each in heard.executions.items() if each.decision_id in mine},
            heard.other_bytes,
            {k: each for k, each in heard.positions.items() if k[0] in self.accounts},
        )

    def _booked(self) -> list[BookedOrder]:
        ours = set(self.accounts.values())
        return [
            BookedOrder(
                order.request.client_id,
                order.request.correlation_id,
                order.order_id,
                order.status is Status.REJECTED,
            )
            for order in self.stage.simulator.exchange.book.all()
            if order.request.client_id in ours
        ]

    async def _known(self) -> Known:
        rows = await _again(
            lambda: self.stage.world.sql(
                "select order_id, claimed_at from private.order_claims where user_id = any ($1)"
                " and not closes",
                self.users,
            )
        )
        return Known(
            self.decisions,
            self.accounts,
            [user for user in self.users if user not in self.off and user not in self.dead],
            self.off,
            {OrderId(row["order_id"]): row["claimed_at"] for row in rows},
            self.dead,
            await self._held(),
        )

    async def _held(self) -> dict[tuple[UserId, str], Held]:
        """The broker's own positions of this run's accounts."""
        held = {}
        for user, account in self.accounts.items():
            url = f"{self.stage.simulator.url}/control/books/{account}"
            for row in (
                (await self.stage.world.http.get(url)).raise_for_status().json()["positions"]
            ):
                held[user, f"{row['exchangeSegment']}:{row['securityId']}"] = Held(
                    row["bought"], int(row["bought_paise"]), row["sold"], int(row["sold_paise"])
                )
        return held

    async def _lose_stop(self, account: str) -> None:
        """The exchange drops the stops of an account's super orders, and says nothing."""
        stage = self.stage
        for made in (await self._books(account))["super_orders"]:
            lose = Fault(FaultKind.LOSE, client_id=account, endpoint="/orderupdate")
            stage.simulator.faults.add(lose, seed=1)
            url = f"{stage.simulator.url}/control/orders/{made['orderId']}/lose"
            await stage.world.http.post(url, json={"leg": "STOP_LOSS_LEG"})  # 400: it had none

    async def _books(self, account: str) -> Any:
        url = f"{self.stage.simulator.url}/control/books/{account}"
        return (await self.stage.world.http.get(url)).raise_for_status().json()

    async def _flat(self) -> list[str]:
        """Stop everybody of the run and have their positions closed; who is not flat in time."""
        for user in self.users:
            await _again(partial(self._halt, user))
        living = {u: a for u, a in self.accounts.items() if u not in self.dead}
        deadline = time.monotonic() + AGREES_WITHIN
        while True:
            held = [account for account in living.values() if not await self._is_flat(account)]
            if not held or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.3)
        for account in living.values():
            seconds = (await self._books(account))["protection"]["machine_seconds"]
            self.unprotected = max(self.unprotected, seconds["worst"])
        self.stage.unprotected.append(self.unprotected)
        return [f"{account} is not flat" for account in held]

    async def _halt(self, user: UserId) -> None:
        await self.stage.world.sql(
            "select halt_trading($1, 'crash test', 'the run is over', true, false)", user
        )

    async def _is_flat(self, account: str) -> bool:
        books = await self._books(account)
        live = {"TRANSIT", "PENDING", "PART_TRADED", "TRIGGERED"}
        waiting = any(order["orderStatus"] in live for order in books["orders"])
        return not waiting and not any(row["net"] for row in books["positions"])

    async def _leave(self) -> None:
        """Nobody of this run trades, or is looked after, in the next."""

        async def disconnected() -> None:
            await self.stage.world.sql(
                "update public.user_trading_keys set is_trading_enabled = false,"
                " dhan_access_token = null, token_expiry = null where user_id = any ($1)",
                self.users,
            )

        await _again(disconnected)


async def _again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat `call` while broker or database are away."""
    deadline = time.monotonic() + ENDS_WITHIN
    while True:
        try:
            return await call()
        except (OSError, asyncpg.PostgresError, APIError, httpx.HTTPError, TryLater, KafkaError):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)

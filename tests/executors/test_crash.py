"""Kills the executors between claim, place and record, over real Kafka, Postgres and simulator."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record, message_output
from bus.topics import create_topics
from schemas import ticks
from schemas.codec import decode
from schemas.ids import OrderId, UserId
from schemas.market import Action
from schemas.messages import Decision, Execution, OrderIntent, Outcome
from schemas.topics import CATALOGUE, DECISIONS, EXECUTIONS, ORDERS, TICKS, Topic
from schemas.units import UtcNs
from simulator.config import SimulatedUser
from simulator.server import Simulator
from tests.conftest import started_broker
from tests.database.fixtures import SupabaseStack, own_stack
from tests.executors.crash_worker import MOMENTS, PLAN
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, some_ticks
from tests.executors.harness import World

ROOT = Path(__file__).parents[2]
DECISIONS_MADE = 8
MINUTES_OF_TICKS = 5


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the service trades for every active user it finds."""
    async with own_stack(postgres, "crash") as stack:
        yield stack


@pytest_asyncio.fixture
async def connection(tmp_path: Path) -> AsyncIterator[KafkaConnection]:
    """A broker of our own: the service uses the catalogue's topic names."""
    broker = await started_broker(tmp_path / "kafka")
    connection = KafkaConnection(broker.bootstrap_servers)
    await create_topics(connection, PLAN)
    yield connection
    await broker.stop()


class Mortal:
    """The process, started again whenever it dies."""

    def __init__(self, folder: Path, *arguments: str, key: str) -> None:
        self._folder = folder
        self._command = [
            sys.executable,
            "-m",
            "tests.executors.crash_worker",
            *arguments,
            str(folder),
        ]
        self._environment = os.environ | {"SUPABASE_SERVICE_KEY": key}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self.ends: list[int] = []

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def keep_alive(self) -> None:
        """In a thread of its own."""
        while not self._stopping:
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
                )
            self.ends.append(self._process.wait())

    def end(self) -> None:
        self._stopping = True
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@pytest.fixture
def mortal(
    tmp_path: Path,
    connection: KafkaConnection,
    simulated: World,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Mortal]:
    folder = tmp_path / "moments"
    folder.mkdir()
    stack = simulated.stack
    process = Mortal(
        folder, connection.bootstrap_servers, stack.url, simulated.broker_url, key=stack.secret_key
    )
    yield process
    process.end()
    sys.stdout.write(process.log[-8000:])


async def publish(connection: KafkaConnection, decisions: list[Decision]) -> None:
    seconds = range(MINUTES_OF_TICKS * 60)
    prints = [(RELIANCE, TEN_O_CLOCK + UtcNs.seconds(second), 150_000) for second in seconds]
    partition = ticks.partition_of(RELIANCE.id, PLAN.instrument)
    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(
            Output(TICKS, b"0", ticks.encode(some_ticks(*prints)), partition)
        )
        for decision in decisions:
            await publisher.send_and_wait(
                message_output(DECISIONS, decision, str(decision.instrument))
            )


async def whole(connection: KafkaConnection, *topics: Topic) -> list[Record]:
    async with aclosing(read_topics(connection, topics, since="start", until_end=True)) as records:
        return [record async for record in records]


async def users_of(world: World, simulator: Simulator) -> list[UserId]:
    """Three who trade."""
    users = []
    async with asyncio.timeout(30):
        for number in range(1, 4):
            account = SimulatedUser(f"110000010{number}", f"token-of-the-crash-test-{number}")
            body = {"client_id": account.client_id, "token": account.token}
            (await world.http.post(f"{simulator.url}/control/users", json=body)).raise_for_status()
            users.append(await world.user(client_id=account.client_id, token=account.token))
    return users


@pytest.mark.timeout(170)
async def test_killed_at_every_point_each_intent_ends_once_and_no_order_is_placed_twice(
    connection: KafkaConnection, simulated: World, simulator: Simulator, mortal: Mortal
) -> None:
    users = await users_of(simulated, simulator)
    idle = await simulated.user(client_id="1100000109")
    await simulated.switch_off(idle)
    for kind in ("accept_then_drop_reply", "accept_then_500"):
        (
            await simulated.http.post(f"{simulator.url}/control/faults", json={"kind": kind})
        ).raise_for_status()
    decisions = [
        await simulated.decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.minutes(MINUTES_OF_TICKS)))
        for _ in range(DECISIONS_MADE)
    ]
    hold = await simulated.decision(action=Action.HOLD)
    await publish(connection, [*decisions, hold])

    living = asyncio.create_task(asyncio.to_thread(mortal.keep_alive))
    executions: dict[OrderId, set[bytes]] = defaultdict(set)
    async with (
        asyncio.timeout(150),
        aclosing(read_topics(connection, [EXECUTIONS], since="start")) as records,
    ):
        async for record in records:
            execution = decode(Execution, record.value)
            executions[execution.order_id].add(record.value or b"")
            if len(executions) == len(users) * DECISIONS_MADE:
                break
    await asyncio.to_thread(mortal.end)
    await living

    told = [decode(OrderIntent, record.value) for record in await whole(connection, ORDERS)]
    intents = {intent.id: intent for intent in told}
    outcomes: dict[OrderId, Execution] = {}
    for record in await whole(connection, EXECUTIONS):
        executions[decode(Execution, record.value).order_id].add(record.value or b"")
    for order, values in executions.items():
        assert len(values) == 1, "an outcome changed when it was told again"
        outcomes[order] = decode(Execution, next(iter(values)))
    placed = Counter(order.request.correlation_id for order in simulator.exchange.book.all())
    assert intents.keys() == outcomes.keys()
    assert {intent.user_id for intent in intents.values()} == set(users)
    assert set(placed.values()) == {1}
    for order, outcome in outcomes.items():
        was_placed = intents[order].dhan_correlation_id in placed
        assert was_placed == (outcome.outcome is Outcome.ACCEPTED), outcome
        assert len(await simulated.logged(intents[order])) == 1
    # nobody rejected anything: an order is at Dhan, died with its process before it was sent, or
    # was not sent while an earlier one of its user was looked up
    assert {
        outcome.reason_code if outcome.outcome is Outcome.DENIED else outcome.outcome.value
        for outcome in outcomes.values()
    } <= {Outcome.ACCEPTED.value, Outcome.NOT_FOUND.value, "order_unresolved"}
    assert mortal.ends.count(-signal.SIGKILL) >= len(MOMENTS) - 2, f"too few deaths: {mortal.ends}"
    assert set(mortal.ends) <= {-signal.SIGKILL, 0}
    everything = mortal.log + "".join(
        repr(record) for record in await whole(connection, *CATALOGUE)
    )
    assert not [token for token in simulated.tokens if token in everything]
    assert simulated.stack.secret_key not in everything

"""An account that Dhan answers oddly for ever, and two real executors that are killed and started
again: all others trade.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import web

from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, message_output
from bus.topics import create_topics
from executors.store import Store
from schemas import ticks
from schemas.codec import decode
from schemas.ids import OrderId, UserId
from schemas.messages import Decision, Execution, Outcome
from schemas.topics import CATALOGUE, DECISIONS, EXECUTIONS, TICKS
from schemas.units import UtcNs
from tests.conftest import started_broker
from tests.database.fixtures import SupabaseStack, own_stack
from tests.dhan.broker import Answer, ScriptedDhan, json_answer, text_answer, trading_error
from tests.executors.crash_worker import EVERY_MOMENT, PLAN
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, some_ticks
from tests.executors.harness import World

ROOT = Path(__file__).parents[2]
SICK = "token-of-the-sick-account"
HEALTHY = 5
LEFT_OPEN = 3
# longer than the test, and far from the limit for unclear answers: the sick account's claims stay
# open
LEASE = 120.0
FOR_EVER = {
    "403_of_no_access": trading_error("DH-902", status=403),
    "500": trading_error("DH-908", status=500),
}


@dataclass
class Executor:
    """One executor process, started and killed as told."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)

    async def serving(self) -> None:
        """Return when the newest process is in its group."""
        async with asyncio.timeout(60):
            while self.log.read_text(errors="replace").count("joined") < len(self.processes):
                assert self.processes[-1].poll() is None, self.log.read_text(errors="replace")[
                    -4000:
                ]
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait(10)


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the service trades for every active user it finds."""
    async with own_stack(postgres, f"sick_{uuid4().hex}") as stack:
        yield stack


@pytest_asyncio.fixture
async def connection(tmp_path: Path) -> AsyncIterator[KafkaConnection]:
    broker = await started_broker(tmp_path / "kafka")
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN, topics=CATALOGUE)
        yield connection
    finally:
        await broker.stop()


@contextmanager
def executors(folder: Path, connection: KafkaConnection, world: World) -> Iterator[list[Executor]]:
    """Two, that die only when they are killed."""
    moments = folder / "moments"
    moments.mkdir()
    for moment in EVERY_MOMENT:
        (moments / moment).touch()
    program = [sys.executable, "-m", "tests.executors.crash_worker"]
    command = [
        *program,
        connection.bootstrap_servers,
        world.stack.url,
        world.broker_url,
        str(moments),
    ]
    key = {"SUPABASE_SERVICE_KEY": world.stack.secret_key, "LEASE": str(LEASE)}
    both = [
        Executor(command, os.environ | key | {"INSTANCE": name}, folder / f"{name}.log")
        for name in ("a", "b")
    ]
    try:
        yield both
    finally:
        for executor in both:
            for process in executor.processes:
                process.kill()
                process.wait()


def answers(dhan: ScriptedDhan, sick: Answer) -> None:
    """Orders of the sick account get no clear reply, its lookups `sick`; everybody else's orders
    are taken.
    """
    numbers = iter(range(1, 1_000))

    async def order(request: web.Request) -> web.StreamResponse:
        if request.headers["access-token"] == SICK:
            return await text_answer("gateway time-out", 504)(request)
        return await json_answer({"orderId": str(next(numbers)), "orderStatus": "TRANSIT"})(request)

    dhan.on("POST", "/v2/orders", order)
    dhan.on("GET", "/v2/orders", sick)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("sick", FOR_EVER)
async def test_two_executors_killed_and_started_again_serve_all_others(
    scripted: World, dhan: ScriptedDhan, connection: KafkaConnection, tmp_path: Path, sick: str
) -> None:
    answers(dhan, FOR_EVER[sick])
    stranded = await scripted.user(client_id="1100000200", token=SICK)
    others = [
        await scripted.user(client_id=f"110000021{n}", token=f"token-of-user-{n}")
        for n in range(HEALTHY)
    ]
    left_open = [await scripted.intent(stranded) for _ in range(LEFT_OPEN)]
    for intent in left_open:
        await Store(scripted.client).claim(intent)
    await aged(scripted, LEASE + 1)

    with executors(tmp_path, connection, scripted) as both:
        for executor in both:
            executor.start()
        for executor in both:
            await executor.serving()
        first = await decided(scripted, connection)
        await accepted_of(connection, first, others)
        for executor in both:
            executor.kill()
        for executor in both:
            executor.start()
        second = await decided(scripted, connection)
        outcomes = await accepted_of(connection, second, others)

        open_ = await scripted.sql(
            "select order_id from private.order_claims where user_id = $1 and outcome is null",
            stranded,
        )

    assert len(outcomes) == HEALTHY
    # the sick account is still being asked about: nobody waited for it to end
    assert {row["order_id"] for row in open_} >= {intent.id for intent in left_open}


async def aged(world: World, seconds: float) -> None:
    older = "update private.order_claims set claimed_at = claimed_at - $1::interval"
    await world.sql(older, timedelta(seconds=seconds))


async def decided(world: World, connection: KafkaConnection) -> Decision:
    """One decision, with the quotes to judge it by."""
    decision = await world.decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.minutes(10)))
    prints = [
        (RELIANCE, UtcNs(TEN_O_CLOCK + UtcNs.seconds(second)), 150_000) for second in range(600)
    ]
    partition = ticks.partition_of(RELIANCE.id, PLAN.instrument)
    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(
            Output(TICKS, b"0", ticks.encode(some_ticks(*prints)), partition)
        )
        await publisher.send_and_wait(message_output(DECISIONS, decision, str(decision.instrument)))
    return decision


async def accepted_of(
    connection: KafkaConnection, decision: Decision, users: list[UserId]
) -> dict[UserId, OrderId]:
    """Return when each of `users` has an accepted order of `decision`; they must, long before the
    sick account ends.
    """
    accepted: dict[UserId, OrderId] = {}
    async with (
        asyncio.timeout(60),
        aclosing(read_topics(connection, [EXECUTIONS], since="start")) as records,
    ):
        async for record in records:
            execution = decode(Execution, record.value)
            if execution.decision_id == decision.id and execution.outcome is Outcome.ACCEPTED:
                accepted[execution.user_id] = execution.order_id
            if accepted.keys() >= set(users):
                break
    return accepted

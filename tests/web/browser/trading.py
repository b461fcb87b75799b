"""The real order workers over a Kafka of their own, and decisions for them to act on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from ats.gateway.board import FOLLOWED
from ats.gateway.following import TopicsReader
from ats.runtime.child import Child
from bus.connection import KafkaConnection
from bus.group_offsets import lag
from bus.metrics import ShellMetrics
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record, message_output
from bus.topics import create_topics
from executors.app import GROUP
from schemas import ticks
from schemas.codec import decode
from schemas.messages import Decision, UserSession
from schemas.topics import CATALOGUE, DECISIONS, ORDERS, SESSIONS, TICKS, PartitionPlan, Topic
from schemas.units import UtcNs
from simulator.matching.order_manager import Order
from tests.conftest import started_broker, unused_port
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, a_decision, some_ticks
from tests.web.browser.place import Place

PLAN = PartitionPlan(4, 4)  # as `ats executors` has it when nothing is set
MINUTES_OF_TICKS = 5


@dataclass(frozen=True, slots=True)
class Trading:
    """`ats executors`, in paper mode, at work for a place's users."""

    place: Place
    connection: KafkaConnection
    workers: Child

    async def decide(self, reasoning: str) -> Decision:
        """A decision as the agents leave it: its row is written before its message."""
        valid_until = UtcNs(TEN_O_CLOCK + UtcNs.minutes(MINUTES_OF_TICKS))
        decision = a_decision(reasoning=reasoning, valid_until=valid_until)
        row = {
            "id": str(decision.id),
            "symbol": decision.symbol,
            "action": str(decision.action),
            "reasoning": reasoning,
        }
        service = await self.place.stack.service()
        await service.table("trade_decisions").insert(row).execute()
        async with Publisher(self.connection) as publisher:
            await publisher.send_and_wait(
                message_output(DECISIONS, decision, str(decision.instrument))
            )
        return decision

    async def records(self, *topics: Topic) -> list[Record]:
        """What is in Kafka: in these topics, or in all."""
        async with aclosing(
            read_topics(self.connection, topics or CATALOGUE, since="start", until_end=True)
        ) as records:
            return [record async for record in records]

    async def knows_of(self, *, active: bool) -> None:
        """Wait until the workers have seen that somebody is switched on, or that nobody is any
        more.
        """
        async with asyncio.timeout(30):
            while await self._anybody_is_active() is not active:  # noqa: ASYNC110  it happens in another process
                await asyncio.sleep(0.1)

    async def _anybody_is_active(self) -> bool:
        said = [decode(UserSession, record.value) for record in await self.records(SESSIONS)]
        return any({one.user_id: one.active for one in said}.values())

    async def nothing_is_left(self) -> None:
        """Wait until every decision and every order has been dealt with."""
        async with asyncio.timeout(30):
            while await lag(self.connection, GROUP, (DECISIONS, ORDERS), PLAN):  # noqa: ASYNC110  likewise
                await asyncio.sleep(0.1)

    def orders(self) -> list[Order]:
        """What has reached Dhan."""
        return self.place.simulator.exchange.book.all()


@asynccontextmanager
async def trading_at(place: Place, home: Path) -> AsyncIterator[Trading]:
    broker = await started_broker(home / "kafka")
    metrics = unused_port()
    workers = Child(
        "executors",
        [sys.executable, "-m", "ats", "executors", "--metrics-port", str(metrics)],
        log=place.logs / "executors.log",
        env=_environment(place, broker.bootstrap_servers, home),
    )
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        await _publish_ticks(connection)
        workers.start()
        await _until_healthy(workers, metrics)
        reader = TopicsReader(connection, FOLLOWED, place.gate.board.apply, ShellMetrics())
        await reader.catch_up(UtcNs(0))
        following = asyncio.create_task(reader.run(place.gate.server.told))
        yield Trading(place, connection, workers)
        following.cancel()
    finally:
        await workers.stop(5)
        await broker.stop()


def _environment(place: Place, bootstrap_servers: str, home: Path) -> dict[str, str]:
    return os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "SUPABASE_URL": place.stack.url,
        "SUPABASE_SERVICE_KEY": place.stack.secret_key,
        "DHAN_DATA_URL": f"{place.simulator.url}/v2",
        "DHAN_ORDER_URL": f"{place.simulator.url}/v2",
        "DHAN_INSTRUMENTS_URL": f"{place.simulator.url}/instruments/api-scrip-master-detailed.csv",
        "ATS_MODE": "paper",
        "ATS_CLOCK": "market",
        "ATS_CALENDAR": "every-day",
        "ATS_LOG_FORMAT": "json",
        "ATS_STATE_DIR": str(home),
        "ATS_ENV_FILE": os.devnull,
    }


async def _publish_ticks(connection: KafkaConnection) -> None:
    """Five minutes of a quiet market, so that the gate has a price and a living feed."""
    seconds = range(MINUTES_OF_TICKS * 60)
    prints = [(RELIANCE, TEN_O_CLOCK + UtcNs.seconds(second), 150_000) for second in seconds]
    partition = ticks.partition_of(RELIANCE.id, PLAN.instrument)
    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(
            Output(TICKS, b"0", ticks.encode(some_ticks(*prints)), partition)
        )


async def _until_healthy(workers: Child, port: int) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(timeout=2) as http:
        while True:
            assert workers.running, workers.tail()
            try:
                if (await http.get(f"http://127.0.0.1:{port}/health")).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(0.1)

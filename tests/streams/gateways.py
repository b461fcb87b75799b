"""A gateway at work against a simulator, or against a feed that behaves badly, for tests over real
Kafka.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Record
from schemas import ticks
from schemas.binary import Rows
from schemas.calendar import EVERY_DAY
from schemas.codec import decode
from schemas.market import Instrument
from schemas.messages import FeedEvent
from schemas.topics import FEED, TICKS, Topic
from schemas.units import UtcNs
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.gateway import run_gateway
from streams.feed.watchlist import Watchlist
from tests.streams.conftest import PLAN

USER = SimulatedUser("1100000001", "a-token")
WITHIN = 60.0  # seconds; a limit for a broken machine, not a measurement


@dataclass
class Running:
    """A gateway at work, and what it told."""

    metrics: GatewayMetrics
    stop: asyncio.Event
    task: asyncio.Task[None]
    config: GatewayConfig
    connection: KafkaConnection
    asked: list[str] = field(default_factory=list)

    async def finish(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, WITHIN)

    async def events(self) -> list[FeedEvent]:
        found = [
            decode(FeedEvent, record.value) for record in await everything(self.connection, FEED)
        ]
        return [event for event in found if event.gateway == self.config.gateway]

    async def rows(self) -> Rows:
        batches = [
            ticks.decode(record.value or b"") for record in await everything(self.connection, TICKS)
        ]
        return np.concatenate(
            [batch.rows for batch in batches if batch.gateway == self.config.gateway]
        )


async def everything(connection: KafkaConnection, topic: Topic) -> list[Record]:
    return [
        record async for record in read_topics(connection, [topic], since="start", until_end=True)
    ]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not holds():  # noqa: ASYNC110 (what is waited for happens in other processes and libraries)
            await asyncio.sleep(0.05)


gateways = iter(range(1, 1_000))


@asynccontextmanager
async def a_gateway(
    connection: KafkaConnection,
    url: str,
    instruments: tuple[Instrument, ...],
    *,
    publisher: Publisher | None = None,
    watchlist: Watchlist | None = None,
    previous: UtcNs | None = None,
    wall: Callable[[], int] = time.time_ns,
    **settings: Any,
) -> AsyncIterator[Running]:
    usual: dict[str, Any] = {"gateway": next(gateways), "live": False, "calendar": EVERY_DAY}
    config = GatewayConfig(
        url=url,
        client_id=USER.client_id,
        instruments=instruments,
        partitions=PLAN.instrument,
        **usual | settings,
    )
    metrics, stop, asked = GatewayMetrics(), asyncio.Event(), list[str]()

    async def token() -> str:
        asked.append(USER.token)
        return USER.token

    async with AsyncExitStack() as stack:
        if publisher is None:
            publisher = await stack.enter_async_context(Publisher(connection))
        running = run_gateway(
            config,
            publisher,
            token,
            stop,
            metrics,
            watchlist=watchlist,
            previous=previous,
            wall=wall,
            random=Random(1),
        )
        task = asyncio.create_task(running)
        yield Running(metrics, stop, task, config, connection, asked)
        stop.set()
        await asyncio.wait({task}, timeout=WITHIN)


@asynccontextmanager
async def a_simulator(**settings: Any) -> AsyncIterator[Simulator]:
    usual: dict[str, Any] = {"users": (USER,), "shares": 6}
    simulator = Simulator(SimulatorConfig(**usual | settings))
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


def feed_of(simulator: Simulator) -> str:
    return simulator.url.replace("http", "ws", 1) + "/feed"


def listed(simulator: Simulator) -> tuple[Instrument, ...]:
    return tuple(listing.instrument for listing in simulator.market.listings)


@asynccontextmanager
async def a_server(
    talk: Callable[[ServerConnection], Awaitable[None]],
    greet: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> AsyncIterator[str]:
    """A feed that behaves badly."""
    async with serve(talk, "127.0.0.1", 0, process_request=greet) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"

"""Real `ats feed` processes, killed with SIGKILL against a simulated feed: what they missed lies in
the gaps told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from ats.runtime.child import Child
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output, message_output
from bus.topics import create_topics
from schemas import history, ticks
from schemas.calendar import EVERY_DAY, Calendar
from schemas.codec import decode
from schemas.ids import derive
from schemas.market import Timeframe, trading_day
from schemas.messages import FeedEvent, FeedState
from schemas.topics import FEED, TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.server import Simulator
from streams.feed import previous_run as previous_run_module
from streams.feed.config import GatewayConfig
from streams.feed.previous_run import UNKNOWN, last_clock
from tests.conftest import started_broker
from tests.streams.conftest import PLAN
from tests.streams.factories import at
from tests.streams.gateways import (
    USER,
    a_gateway,
    a_server,
    a_simulator,
    everything,
    feed_of,
    gateways,
    until,
)
from tests.streams.test_decode import NOON, SHARES, ltt, quote

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
WEEKDAYS = Calendar(closed_weekdays=frozenset({6, 7}))
SPEED = 120.0  # market seconds a second: a life of a second is two minutes of the market


@dataclass
class Life:
    """One `ats feed` process after another, on a broker of their own."""

    child: Child
    simulator: Simulator
    connection: KafkaConnection

    async def begin(self) -> None:
        self.child.start()
        await until(
            lambda: self.simulator.feed.subscriptions == len(self.simulator.market.listings)
        )

    async def kill(self) -> None:
        self.child.signal(signal.SIGKILL)
        assert await self.child.ended(10.0)
        await until(lambda: not self.simulator.feed.connections)

    async def end(self) -> None:
        """As a supervisor does: everything read is delivered."""
        self.child.signal(signal.SIGTERM)
        assert await self.child.ended(30.0)

    async def market(self, prints: int) -> None:
        """Let the market print so many more."""
        wanted = self.simulator.exchange.prints + prints
        await until(lambda: self.simulator.exchange.prints >= wanted)

    async def missing(self) -> tuple[list[int], list[FeedEvent]]:
        """Market seconds (UTC) of the prints that are not in the topic, and the gaps told."""
        there = {
            (int(row["security_id"]), int(row["volume"]))
            for record in await everything(self.connection, TICKS)
            for row in ticks.decode(record.value or b"").rows
        }
        printed = self.simulator.market.prints[: self.simulator.exchange.prints]
        shares = printed[printed["segment"] == 1]
        heard = [
            at
            for at, row in enumerate(shares)
            if (int(row["security_id"]), int(row["volume"])) in there
        ]
        missing = [
            int(row["second"])
            for row in shares[: heard[-1]]
            if (int(row["security_id"]), int(row["volume"])) not in there
        ]
        events = [
            decode(FeedEvent, record.value) for record in await everything(self.connection, FEED)
        ]
        return missing, [event for event in events if event.state is FeedState.GAP]


def untold(seconds: list[int], gaps: list[FeedEvent]) -> list[int]:
    spans = [
        ((gap.gap_from or 0) // NS_PER_SECOND, (gap.gap_to or 0) // NS_PER_SECOND) for gap in gaps
    ]
    return [
        second for second in seconds if not any(first <= second <= last for first, last in spans)
    ]


@asynccontextmanager
async def lives(home: Path) -> AsyncIterator[Life]:
    broker = await started_broker(home)
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        async with a_simulator(speed=SPEED) as simulator:
            plain = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ATS_", "KAFKA_"))
            }
            settings = {
                "ATS_ENV_FILE": "",
                "ATS_CLOCK": "market",
                "ATS_CALENDAR": "every-day",
                "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
                "ATS_INSTRUMENT_PARTITIONS": str(PLAN.instrument),
                "ATS_USER_PARTITIONS": str(PLAN.user),
                "ADMIN_DHAN_CLIENT_ID": USER.client_id,
                "ADMIN_DHAN_ACCESS_TOKEN": USER.token,
                "DHAN_FEED_URL": feed_of(simulator),
                "DHAN_INSTRUMENTS_URL": (
                    f"{simulator.url}/instruments/api-scrip-master-detailed.csv"
                ),
            }
            child = Child(
                "feed",
                [sys.executable, "-m", "ats", "feed"],
                log=home / "feed.log",
                env=plain | settings,
                cwd=ROOT,
            )
            with _ended(child):
                yield Life(child, simulator, connection)
    finally:
        await broker.stop()


@contextmanager
def _ended(child: Child) -> Iterator[None]:
    try:
        yield
    finally:
        if child.exit_code is None:
            child.signal(signal.SIGKILL)


async def test_a_gateway_that_was_killed_tells_the_gap_it_left_each_time(tmp_path: Path) -> None:
    async with lives(tmp_path) as life:
        await life.begin()
        life.simulator.exchange.open_market()
        for _ in range(3):
            await life.market(150)
            await life.kill()
            await life.market(150)
            await life.begin()
        await life.market(150)
        await life.end()

        missing, gaps = await life.missing()

    assert len(missing) >= 450
    assert untold(missing, gaps) == []
    assert len(gaps) == 3


async def test_a_gateway_killed_before_its_first_tick_leaves_a_gap_from_the_day_s_begin(
    tmp_path: Path,
) -> None:
    async with lives(tmp_path) as life:
        await life.begin()
        await life.kill()
        life.simulator.exchange.open_market()
        await life.market(150)
        await life.begin()
        await life.market(150)
        await life.end()

        missing, gaps = await life.missing()

    assert len(missing) >= 150
    assert untold(missing, gaps) == []
    assert len(gaps) == 1


@pytest.fixture
def config() -> GatewayConfig:
    return GatewayConfig(
        "ws://unused",
        USER.client_id,
        tuple(SHARES),
        PLAN.instrument,
        gateway=next(gateways),
        live=False,
        calendar=EVERY_DAY,
    )


async def put(connection: KafkaConnection, *values: tuple[int, bytes]) -> None:
    """Write records into partitions of `ats.ticks`."""
    async with Publisher(connection) as publisher:
        for partition, value in values:
            await publisher.send(Output(TICKS, str(partition).encode(), value, partition))


def told(clock: int, gateway: int) -> bytes:
    return ticks.encode(ticks.Batch(UtcNs(clock), UtcNs(clock), gateway, np.zeros(0, ticks.TICK)))


async def test_where_no_gateway_was_before_there_is_no_gap(
    own_kafka: KafkaConnection, config: GatewayConfig
) -> None:
    await put(
        own_kafka,
        *((partition, told(NOON, config.gateway + 500)) for partition in range(PLAN.instrument)),
    )

    assert await last_clock(own_kafka, config) is None


async def test_the_least_clock_counts_and_records_of_others_behind_it_do_not(
    own_kafka: KafkaConnection, config: GatewayConfig
) -> None:
    own = [
        (partition, told(NOON + partition, config.gateway)) for partition in range(PLAN.instrument)
    ]
    bars = history.rows_of(SHARES[0].id, Timeframe.M1, [])
    others = [
        (partition, told(NOON * 2, config.gateway + 500)) for partition in range(PLAN.instrument)
    ]
    past = [
        (partition, history.encode(history.History(UtcNs(NOON * 2), bars)))
        for partition in range(PLAN.instrument)
    ]
    await put(own_kafka, *own, *(100 * others), *past, (0, b"poison"))

    assert await last_clock(own_kafka, config) == NOON


async def test_a_life_that_had_not_told_every_partition_leaves_the_whole_day_in_doubt(
    own_kafka: KafkaConnection, config: GatewayConfig
) -> None:
    await put(own_kafka, (0, told(NOON, config.gateway)))

    assert await last_clock(own_kafka, config) == UNKNOWN


async def test_a_topic_too_long_to_look_through_leaves_the_whole_day_in_doubt(
    own_kafka: KafkaConnection, config: GatewayConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previous_run_module, "LOOKUP_TIMEOUT", 0.0)
    await put(
        own_kafka,
        *((partition, told(NOON, config.gateway)) for partition in range(PLAN.instrument)),
    )

    assert await last_clock(own_kafka, config) == UNKNOWN


@pytest.mark.parametrize("live", [True, False])
async def test_a_life_that_told_no_clock_is_known_by_its_first_event(
    own_kafka: KafkaConnection, config: GatewayConfig, live: bool
) -> None:
    async with Publisher(own_kafka) as publisher:
        for nth, moment in enumerate((NOON, NOON + 5)):
            event = FeedEvent(
                id=derive("feed", config.gateway, nth),
                event_time=UtcNs(moment),
                gateway=config.gateway,
                state=FeedState.CONNECTED,
            )
            await publisher.send(message_output(FEED, event, str(config.gateway)))

    assert await last_clock(own_kafka, replace(config, live=live)) == (NOON if live else UNKNOWN)


MINUTE = 60 * NS_PER_SECOND


@pytest.mark.parametrize(
    ("previous", "started", "gap"),
    [
        (NOON - 30 * MINUTE, NOON, (NOON - 30 * MINUTE, NOON + 1 * NS_PER_SECOND)),
        (at("15:31:00", date(2023, 12, 29)), at("09:00:00", date(2024, 1, 1)), None),
        (
            at("15:31:00", date(2023, 12, 29)),
            NOON,
            (at("15:31:00", date(2023, 12, 29)), NOON + 1 * NS_PER_SECOND),
        ),
        (UNKNOWN, NOON, (at("00:00:00", trading_day(NOON)), NOON + 1 * NS_PER_SECOND)),
    ],
    ids=["half an hour away", "a weekend", "a weekend and a morning", "nobody knows since when"],
)
async def test_live_the_gap_ends_with_a_trade_after_the_subscription_and_a_rest_is_none(
    own_kafka: KafkaConnection, previous: UtcNs, started: UtcNs, gap: tuple[int, int] | None
) -> None:
    async def speak(socket: ServerConnection) -> None:
        await socket.recv()
        # the last trade of a quiet share, sent again
        await socket.send(quote(when=ltt(started - 20 * MINUTE)))
        await asyncio.sleep(0.1)  # each packet in a batch of its own
        await socket.send(quote(when=ltt(started + NS_PER_SECOND)))
        await socket.wait_closed()

    async with (
        a_server(speak) as url,
        a_gateway(
            own_kafka,
            url,
            tuple(SHARES),
            live=True,
            wall=lambda: started,
            previous=previous,
            calendar=WEEKDAYS,
        ) as gateway,
    ):
        await until(lambda: gateway.metrics.ticks == 2)
        await gateway.finish()

        gaps = [
            (event.gap_from, event.gap_to)
            for event in await gateway.events()
            if event.state is FeedState.GAP
        ]

    assert gaps == ([gap] if gap else [])

"""Measures the way from a topic to browsers through `ats gateway`.

Run: python -m benchmarks.viewers [--viewers 500] [--seconds 30]. One broker, one gateway process,
and the viewers: users with tokens of their own, each with an open stream and five instruments.
Beside prices and bars each second brings two decisions, which everybody is told, and an exit order
to each of twenty users. Each of both carries the moment at which it was handed to the producer; a
viewer subtracts it from the moment at which it has read the event and parsed it. Viewers, load and
gateway share the machine, so the figures are upper ones. Read them beside the load that is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import aiohttp
import jwt
import numpy as np
import orjson
import platformdirs
import psutil

from ats.embedded.kafka import EmbeddedKafka
from ats.runtime.child import Child
from ats.runtime.readiness import until_it_answers
from ats.settings import ENV_FILE
from benchmarks._load import Load
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output, message_output
from bus.topics import create_topics
from schemas import ticks
from schemas.ids import DecisionId, InstrumentId, Segment, SignalId, UserId
from schemas.market import Action, Timeframe
from schemas.messages import (
    Candle,
    Decision,
    ExitAction,
    ExitOrder,
    ExitReason,
    Message,
    Origin,
)
from schemas.topics import CANDLES, CATALOGUE, DECISIONS, EXITS, TICKS, PartitionPlan, Topic
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from simulator.market.session import market_session

DAY: Final = date(2026, 11, 20)
SESSION: Final = market_session(DAY)
SECRET: Final = "a secret of a benchmark, which guards nothing"  # noqa: S105
INSTRUMENTS: Final = 200
WANTED: Final = 5  # instruments of each viewer
TICKS_A_SECOND: Final = 2_000
OWN_A_SECOND: Final = 20  # users who are told something of their own
PLAN: Final = PartitionPlan(4, 4)


@dataclass
class Heard:
    """Milliseconds from producer to viewer."""

    public: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    events: int = 0
    snapshots: int = 0


def instrument(number: int) -> InstrumentId:
    return InstrumentId(Segment.NSE_EQ, number + 1)


def a_decision() -> Decision:
    signal = SignalId(uuid4())
    return Decision(
        id=DecisionId(uuid4()),
        event_time=SESSION.open,
        signal_id=signal,
        scan_id=None,
        instrument=instrument(0),
        symbol="SHARE",
        action=Action.HOLD,
        reasoning=str(time.time_ns()),
        confidence=50,
        origin=Origin.RULES,
        reason_code="bench",
        reference_price=Price(100_000),
        valid_until=SESSION.close,
    )


def an_exit(user: UserId) -> ExitOrder:
    return ExitOrder(
        id=uuid4(),
        event_time=SESSION.open,
        user_id=user,
        trading_date=DAY,
        action=ExitAction.PLACE_STOP,
        reason_code=ExitReason.STOP_LOST,
        instrument=instrument(0),
        outcome="accepted",
        reason=str(time.time_ns()),
    )


def a_candle(number: int, minute: int) -> Candle:
    start = UtcNs(SESSION.open + minute * 60 * NS_PER_SECOND)
    price = Price(100_000)
    return Candle(
        id=uuid4(),
        event_time=UtcNs(start + 60 * NS_PER_SECOND),
        instrument=instrument(number),
        timeframe=Timeframe.M1,
        start=start,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Quantity(10),
        ticks=1,
        complete=True,
    )


async def view(http: aiohttp.ClientSession, url: str, user: UserId, heard: Heard) -> None:
    """One viewer, for ever."""
    claims = {"sub": str(user), "aud": "authenticated", "role": "authenticated"}
    token = jwt.encode(claims | {"exp": time.time() + 3_600}, SECRET, "HS256")
    wanted = [("instrument", str(instrument((user.int + n) % INSTRUMENTS))) for n in range(WANTED)]
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(f"{url}/v1/stream", params=wanted, headers=headers) as response:
        response.raise_for_status()
        name = b""
        async for line in response.content:
            if line.startswith(b"event: "):
                name = line[7:-1]
                heard.events += 1
            elif line.startswith(b"data: ") and name in {b"decision", b"exit"}:
                said = orjson.loads(line[6:])
                sent = said["reasoning"] if name == b"decision" else said["reason"]
                latency = (time.time_ns() - int(sent)) / 1e6
                (heard.public if name == b"decision" else heard.own).append(latency)
            elif line.startswith(b"data: ") and name == b"snapshot":
                heard.snapshots += 1


async def load(publisher: Publisher, users: list[UserId], seconds: float) -> None:
    """The same work each tenth of a second."""
    market, began, step = Load(SESSION, INSTRUMENTS), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        second = step // 10
        await publisher.send(ticks_output(market, second))
        for number in range(step % 10, INSTRUMENTS, 10):  # all 1-minute bars once a second
            await send(publisher, CANDLES, a_candle(number, second % 370), instrument(number))
        if step % 5 == 0:
            await send(publisher, DECISIONS, a_decision(), instrument(0))
        for turn in range(OWN_A_SECOND // 10):
            user = users[(step * OWN_A_SECOND // 10 + turn) % len(users)]
            await send(publisher, EXITS, an_exit(user), user)
        step += 1
        await asyncio.sleep(max(0.0, began + step / 10 - time.monotonic()))
    await publisher.flush()


def ticks_output(market: Load, second: int) -> Output:
    rows = market.take(TICKS_A_SECOND // 10, second)
    clock = SESSION.open + second * NS_PER_SECOND
    rows["clock"], rows["exchange_time"] = clock, clock
    batch = ticks.Batch(UtcNs(clock), UtcNs(time.time_ns()), 1, rows)
    return Output(TICKS, b"0", ticks.encode(batch), 0)


async def send(publisher: Publisher, topic: Topic, message: Message, key: object) -> None:
    await publisher.send(message_output(topic, message, str(key)))


@asynccontextmanager
async def gateway(home: Path, kafka: str, viewers: int) -> AsyncIterator[tuple[str, int]]:
    """A gateway process: its address and its process id."""
    port, metrics = 18_792, 18_793
    env: Mapping[str, str] = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "SUPABASE_JWT_SECRET": SECRET,
        "ATS_GATEWAY_PORT": str(port),
        "ATS_GATEWAY_MAX_VIEWERS": str(viewers),
        ENV_FILE: os.devnull,
    }
    words = [sys.executable, "-m", "ats", "gateway", "--metrics-port", str(metrics)]
    child = Child("gateway", words, log=home / "gateway.log", env=env)
    child.start()
    try:
        await until_it_answers(child, f"http://127.0.0.1:{metrics}/health")
        assert child.pid
        yield f"http://127.0.0.1:{port}", child.pid
    finally:
        await child.stop(5)


async def measure(home: Path, viewers: int, seconds: float) -> None:
    users, heard = [UserId(UUID(int=n + 1)) for n in range(viewers)], Heard()
    async with AsyncExitStack() as stack:
        cache = Path(platformdirs.user_cache_dir("ats"))
        broker = EmbeddedKafka(home / "kafka", cache=cache, port=19_292, controller_port=19_293)
        await broker.start()
        stack.push_async_callback(broker.stop)
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN, topics=CATALOGUE)
        url, pid = await stack.enter_async_context(gateway(home, broker.bootstrap_servers, viewers))
        publisher = await stack.enter_async_context(Publisher(connection))
        await load(publisher, users, 3)  # users, bars and prices get known
        process = psutil.Process(pid)
        empty = process.memory_info().rss
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
            )
        )
        viewing = [asyncio.create_task(view(http, url, user, heard)) for user in users]
        while heard.snapshots < viewers:
            await asyncio.sleep(0.1)
            for each in viewing:
                if each.done():
                    each.result()
        heard.public.clear()
        heard.own.clear()
        heard.events, snapshots = 0, heard.snapshots
        process.cpu_percent()
        await load(publisher, users, seconds)
        cpu, full = process.cpu_percent(), process.memory_info().rss
        await asyncio.sleep(2)
        lost = heard.snapshots - snapshots
        show(heard, viewers, seconds, rss=(empty, full), cpu=cpu, lost=lost)
        for each in viewing:
            each.cancel()
        await asyncio.gather(*viewing, return_exceptions=True)


def show(
    heard: Heard, viewers: int, seconds: float, *, rss: tuple[int, int], cpu: float, lost: int
) -> None:
    print(f"{viewers} viewers, {seconds:.0f} s, load average {os.getloadavg()[0]:.1f}")
    print(f"{heard.events / seconds:,.0f} events/s delivered, {lost} viewers fell behind")
    for name, found in (("to everybody", heard.public), ("to one user", heard.own)):
        p50, p99, most = np.percentile(found, [50, 99, 100])
        print(f"{name:13} p50 {p50:5.0f}, p99 {p99:5.0f}, most {most:5.0f} ms of {len(found):,}")
    print(
        f"gateway: {rss[0] / 1e6:.0f} MB without viewers, {rss[1] / 1e6:.0f} MB with them, "
        f"{(rss[1] - rss[0]) / viewers / 1e3:.0f} kB each; {cpu:.0f} % of one core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ats-viewers-") as home:
        asyncio.run(measure(Path(home), given.viewers, given.seconds))


if __name__ == "__main__":
    main()

"""Counts the simulator's packets a second: served, decoded by the gateway, read by dhanhq.

Then it plays 5,000 instruments for long.

python -m benchmarks.simulator

The simulator runs in a process of its own, on a core of its own where there are two. First it plays
as fast as one reader takes it: a bare WebSocket reader, one that decodes as the gateway does, and
the unmodified `dhanhq` MarketFeed. The SDK reads only the first packet of a frame, so all three are
compared on a stream of one packet per frame; ours also on one of 64. Then it plays 5,000
instruments at a fixed rate to the real gateway, which writes to a real Kafka; the lag is how far
the gateway's market clock is behind the simulator's. Read the ratios; absolute figures are of the
machine and of what else runs on it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import numpy as np
import platformdirs
import psutil
import structlog
from dhanhq import DhanContext, MarketFeed
from websockets.asyncio.client import connect

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.topics import create_topics
from schemas.calendar import EVERY_DAY
from schemas.market import Instrument
from schemas.topics import PartitionPlan
from schemas.units import NS_PER_SECOND
from simulator.config import GENERATED_DAY, SimulatedUser, SimulatorConfig
from simulator.market.generator import generate
from simulator.server import Simulator
from simulator.streaming.packets import full
from streams.feed.config import GatewayConfig, GatewayMetrics, Mode
from streams.feed.decode import Decoder, ReceivedFrame
from streams.feed.gateway import run_gateway
from streams.feed.handshake import Request, requests
from tests.conftest import unused_port

USER: Final = SimulatedUser("1100000001", "a-token")
SESSION: Final = 22_500  # seconds from 09:15 to 15:30
PLAN: Final = PartitionPlan(instrument=4, user=1)
FULL_BYTES: Final = 162
QUERY: Final = f"version=2&token={USER.token}&clientId={USER.client_id}&authType=2"


@dataclass(frozen=True)
class Served:
    """A simulator in its own process."""

    url: str
    instruments: tuple[Instrument, ...]
    speed: float | None
    process: int

    @property
    def feed(self) -> str:
        return self.url.replace("http", "ws", 1) + "/feed"


def _serve(pipe: Connection, config: SimulatorConfig, rate: float | None) -> None:
    """The other process: a simulator until the pipe says stop.

    With `rate` it plays that many prints a second.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    _pin(0)

    async def run() -> None:
        simulator = Simulator(config)
        await simulator.start()
        speed = None if rate is None else rate * SESSION / simulator.market.source.total
        simulator.exchange.speed = speed
        listed = tuple(listing.instrument for listing in simulator.market.listings)
        pipe.send(Served(simulator.url, listed, speed, os.getpid()))
        await asyncio.to_thread(pipe.recv)
        await simulator.stop()

    asyncio.run(run())


@contextmanager
def a_simulator(shares: int, per_frame: int, rate: float | None = None) -> Iterator[Served]:
    here, there = multiprocessing.Pipe()
    config = SimulatorConfig(users=(USER,), shares=shares, packets_per_frame=per_frame)
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(there, config, rate)
    )
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join(20)
        process.kill()


def _pin(core: int) -> None:
    """Keep this process to one core, where there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


async def _control(url: str, method: str, path: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}/control/{path}") as reply,
    ):
        return await reply.json()


async def read(served: Served, seconds: float, take: Callable[[bytes], object]) -> float:
    """Packets a second that a reader with `take` for each frame gets."""
    async with connect(f"{served.feed}?{QUERY}", compression=None, max_size=1 << 24) as socket:
        for message in requests(Request.SUBSCRIBE, served.instruments, Mode.FULL):
            await socket.send(message)
        await _subscribed(served)
        await _control(served.url, "POST", "start")
        while len(await socket.recv()) < FULL_BYTES:
            pass  # previous closes and the market's status
        started, packets = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            take(frame)
            packets += len(frame) // FULL_BYTES
            if len(frame) % FULL_BYTES:
                break  # the market's status: the session is over
        return packets / (time.perf_counter() - started)


async def _subscribed(served: Served) -> None:
    while (await _control(served.url, "GET", "state"))["subscriptions"] < len(served.instruments):  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # another process: there is no event to wait for


async def bare(served: Served, seconds: float) -> float:
    return await read(served, seconds, len)


async def decoded(served: Served, seconds: float) -> float:
    """As the gateway: one task reads, another decodes all that has come meanwhile."""
    decoder, arrivals, wake = Decoder(served.instruments), list[ReceivedFrame](), asyncio.Event()

    def take(frame: bytes) -> None:
        arrivals.append(ReceivedFrame(frame, 0))
        wake.set()

    async def pump() -> None:
        while True:
            await wake.wait()
            wake.clear()
            decoder.decode(arrivals)
            arrivals.clear()

    pumping = asyncio.create_task(pump())
    try:
        return await read(served, seconds, take)
    finally:
        pumping.cancel()


async def by_dhanhq(served: Served, seconds: float) -> float:
    """The SDK's own loop in a thread, with a callback that counts."""
    MarketFeed.market_feed_wss = served.feed
    ticks, ended = [0, 0.0], threading.Event()  # how many, and when the first came

    def on_message(feed: Any, message: Any) -> None:
        if isinstance(message, dict) and message.get("type") == "Full Data":
            ticks[1] = ticks[1] or time.perf_counter()
            ticks[0] += 1
            if time.perf_counter() - ticks[1] > seconds:
                feed._running = False  # noqa: SLF001 (it has no way to be told from a callback)

    def run() -> None:
        listed = [
            (each.id.segment.code, str(each.id.security_id), MarketFeed.Full)
            for each in served.instruments
        ]
        feed = MarketFeed(DhanContext(USER.client_id, USER.token), listed, on_message=on_message)
        feed.run()
        feed.loop.run_until_complete(_end(feed.ws))
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    await _subscribed(served)
    await _control(served.url, "POST", "start")
    await asyncio.to_thread(ended.wait, seconds + 60)
    return ticks[0] / (time.perf_counter() - ticks[1])


async def _end(socket: Any) -> None:
    """Without the closing handshake, which would wait for all that was not read."""
    socket.transport.abort()
    await socket.wait_closed()


def alone(seconds: float) -> None:
    """Both decoders on the same bytes in memory."""
    market = generate(1, GENERATED_DAY)
    wire = full(market.prints[:4_096])
    frames = {
        count: [wire[at : at + count].tobytes() for at in range(0, len(wire), count)]
        for count in (1, 64)
    }
    # without the event loop that its constructor installs
    sdk: Any = MarketFeed.__new__(MarketFeed)
    decoder = Decoder([listing.instrument for listing in market.listings])

    def ours(per_frame: int) -> None:
        # what websockets holds ready for the reader
        for first in range(0, len(frames[per_frame]), 16):
            decoder.decode(
                [ReceivedFrame(frame, 0) for frame in frames[per_frame][first : first + 16]]
            )

    def theirs() -> None:
        for frame in frames[1]:
            sdk.process_data(frame)

    base = _rate(theirs, len(wire), seconds)
    print("\nFull packets decoded from memory")
    print(f"{'packets per frame':>18} {'decoder':<18} {'packets/s':>12} {'× dhanhq':>9}")
    print(f"{1:>18} {'dhanhq 2.3.0':<18} {base:>12,.0f} {1.0:>9.1f}")
    for per_frame in (1, 64):
        rate = _rate(partial(ours, per_frame), len(wire), seconds)
        print(f"{per_frame:>18} {'gateway':<18} {rate:>12,.0f} {rate / base:>9.1f}")


def _rate(work: Callable[[], None], packets: int, seconds: float) -> float:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work()
        done += packets
    return done / (time.perf_counter() - started)


async def fast(seconds: float, shares: int, rounds: int) -> None:
    readers: dict[str, Callable[[Served, float], Awaitable[float]]] = {
        "bare reader": bare,
        "gateway's decoder": decoded,
        "dhanhq 2.3.0": by_dhanhq,
    }
    # the SDK would read one packet of 64
    runs = [
        (count, name)
        for count in (1, 64)
        for name in readers
        if count == 1 or readers[name] is not by_dhanhq
    ]
    best = dict.fromkeys(runs, 0.0)
    for nth in range(rounds):
        for per_frame, name in runs:
            say(f"  round {nth + 1} of {rounds}: {name}, {per_frame} packets per frame …")
            with a_simulator(shares, per_frame) as served:
                best[per_frame, name] = max(
                    best[per_frame, name], await readers[name](served, seconds)
                )
    base = best[1, "dhanhq 2.3.0"]
    print(
        f"\nFull packets, {shares + 1} instruments, as fast as the reader takes them, best of "
        f"{rounds}"
    )
    print(f"{'packets per frame':>18} {'reader':<18} {'packets/s':>12} {'× dhanhq':>9}")
    for (per_frame, name), rate in best.items():
        print(f"{per_frame:>18} {name:<18} {rate:>12,.0f} {rate / base:>9.1f}")


async def steady(instruments: int, rate: float, seconds: float) -> None:
    """The real gateway over a real Kafka at a fixed rate."""
    say(
        f"  {instruments:,} instruments at {rate:,.0f} packets/s to the gateway for {seconds:.0f} "
        "s …"
    )
    broker = EmbeddedKafka(
        Path(tempfile.mkdtemp(prefix="ats-benchmark-")),
        cache=Path(platformdirs.user_cache_dir("ats")),
        port=unused_port(),
        controller_port=unused_port(),
    )
    await broker.start()
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        with a_simulator(instruments - 1, 64, rate) as served:
            await _gateway(connection, served, rate, seconds)
    finally:
        await broker.stop()


async def _gateway(
    connection: KafkaConnection, served: Served, rate: float, seconds: float
) -> None:
    assert served.speed is not None
    config = GatewayConfig(
        served.feed,
        USER.client_id,
        served.instruments,
        PLAN.instrument,
        EVERY_DAY,
        mode=Mode.FULL,
        live=False,
    )
    metrics, stop = GatewayMetrics(), asyncio.Event()

    async def token() -> str:
        return USER.token

    async with Publisher(connection) as publisher:
        task = asyncio.create_task(
            run_gateway(config, publisher, token, stop, metrics, random=Random(1))
        )
        await _subscribed(served)
        await _control(served.url, "POST", "start")
        await asyncio.sleep(3.0)  # until both run evenly
        ticks, started, lags = metrics.ticks, time.perf_counter(), []
        simulator = psutil.Process(served.process)
        simulator.cpu_percent()
        cpu = time.process_time()
        while (elapsed := time.perf_counter() - started) < seconds:
            await asyncio.sleep(0.25)
            heard = metrics.clock  # before the question: what passes meanwhile counts as lag
            state = await _control(served.url, "GET", "state")
            lags.append((state["market_time_ns"] - heard) / NS_PER_SECOND / served.speed * 1_000)
        achieved, busy = (metrics.ticks - ticks) / elapsed, (time.process_time() - cpu) / elapsed
        serving = simulator.cpu_percent() / 100
        stop.set()
        await task
    (p50, p99), step = np.percentile(lags, [50, 99]), 1_000 / served.speed
    print(
        f"\n{len(served.instruments):,} instruments, {rate:,.0f} packets/s asked for, "
        f"{served.speed:.1f} market seconds a second"
    )
    print(f"{achieved:>12,.0f} ticks/s through the gateway into Kafka ({achieved / rate:.0%})")
    print(f"{busy:>12.0%} of a core for the gateway, {serving:.0%} for the simulator")
    print(
        f"{p50:>12,.0f} ms behind the simulator's clock in the middle, {p99:,.0f} ms at worst "
        f"(steps of {step:.0f} ms)"
    )
    print(f"{metrics.malformed:>12} malformed packets, {metrics.connections} connection")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def run(options: argparse.Namespace) -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.1f}"
    )
    _pin(1)
    if not options.only_steady:
        alone(1.0)
        await fast(options.seconds, options.shares, options.rounds)
    if not options.only_fast:
        await steady(options.instruments, options.rate, options.steady_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each reader (default 3)")
    parser.add_argument(
        "--rounds", type=int, default=2, help="of which the best counts (default 2)"
    )
    parser.add_argument(
        "--shares", type=int, default=50, help="of the market played at full speed (default 50)"
    )
    parser.add_argument(
        "--instruments", type=int, default=5_000, help="of the steady market (default 5,000)"
    )
    parser.add_argument(
        "--rate", type=float, default=20_000, help="packets a second of it (default 20,000)"
    )
    parser.add_argument("--steady-seconds", type=float, default=20.0, help="how long (default 20)")
    parser.add_argument("--only-fast", action="store_true", help="leave the steady market out")
    parser.add_argument("--only-steady", action="store_true", help="nothing but the steady market")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(run(options))


if __name__ == "__main__":
    main()

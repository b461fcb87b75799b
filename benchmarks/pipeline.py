"""Measures the way of a tick through Kafka, from the gateway's receipt to `ats.signals`.

Prints latencies, and how many ticks a second pass.

python -m benchmarks.pipeline

One broker, one engine process, 5,000 instruments. A load process stamps each tick with the moment
it was due, batches them as the gateway does and sends them; a reader takes the signals off their
topic. Market time skips from ten seconds after each minute's turn to ten before the next, so that
one second in twenty holds the turn, with every instrument's bar closing. A rule that speaks on half
of all 1-minute bars makes the signals; they come of the turns alone, so the percentiles are those
of the burst. Latency counts from the first tick of the record that closed the bar to the signal in
the reader's hands.

Beside the service stand a bare aiokafka loop and Quix Streams with the same engine, on the same
broker, one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import platformdirs
import psutil
import structlog

from ats.embedded.kafka import EmbeddedKafka
from benchmarks._contenders import speaks
from benchmarks._load import Load
from bus.connection import KafkaConnection, administrator
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output
from bus.topics import create_topics
from schemas.lineage import HEADER, Cause
from schemas.ticks import HEADER as BATCH_HEADER
from schemas.ticks import TICK, encode
from schemas.topics import CANDLES, CATALOGUE, SIGNALS, TICKS, PartitionPlan
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.market.session import market_session
from streams.engine.compiled import IntArray
from streams.engine.machine import warm_up
from streams.feed.batcher import Batcher, FinishedBatch
from streams.feed.gateway import FLUSH_INTERVAL

ROOT = Path(__file__).parents[1]
SESSION = market_session(date(2024, 1, 2))
EVERY = 0.001  # seconds between two looks at whether ticks are due
PEERS_FOLDER = Path(sys.prefix) / "peers"
READY_WITHIN = 60.0
SATURATED_WITHIN = 300.0
DRAIN_WITHIN = 20.0
LATE = 1.0  # seconds: a p99 above it means that the rate is not sustained
PEERS = {"ats": "", "ats-aiokafka": "", "aiokafka": "", "quix": "quixstreams"}


@dataclass(frozen=True)
class Setup:
    """What all runs share."""

    connection: KafkaConnection
    plan: PartitionPlan
    instruments: int
    seconds: int
    peers: Path


@dataclass
class Result:
    """One contender at one rate."""

    contender: str
    rate: int
    reached: float
    latencies_ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    missing: int
    cpu: float  # cores, of the contender
    rss: int
    records: float  # a second

    @property
    def sustained(self) -> bool:
        return not self.missing and self.reached > 0.97 * self.rate and self.at(99) < LATE * 1_000

    def at(self, percentile: float) -> float:
        return (
            float(np.percentile(self.latencies_ms, percentile))
            if len(self.latencies_ms)
            else float("nan")
        )


# The broker and the contenders


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def a_broker() -> AsyncIterator[KafkaConnection]:
    with tempfile.TemporaryDirectory(prefix="ats-bench-") as home:
        broker = EmbeddedKafka(
            Path(home),
            cache=Path(platformdirs.user_cache_dir("ats")),
            port=unused_port(),
            controller_port=unused_port(),
        )
        await broker.start()
        try:
            yield KafkaConnection(broker.bootstrap_servers)
        finally:
            await broker.stop()


async def empty_topics(connection: KafkaConnection, plan: PartitionPlan) -> None:
    """Topics without records: what one contender wrote must not reach the next."""
    async with administrator(connection) as admin:
        if existing := set(await admin.list_topics()) & {topic.name for topic in CATALOGUE}:
            await admin.delete_topics(list(existing))
            async with asyncio.timeout(30):
                while set(await admin.list_topics()) & existing:  # noqa: ASYNC110  # a broker has no event to wait for
                    await asyncio.sleep(0.1)
    await create_topics(connection, plan)


@contextmanager
def running(setup: Setup, name: str) -> Iterator[psutil.Process]:
    """A contender at work."""
    environment = dict(os.environ)
    if PEERS[name]:
        environment["PYTHONPATH"] = str(setup.peers)
    command = [
        sys.executable,
        "-m",
        "benchmarks._contenders",
        name,
        setup.connection.bootstrap_servers,
    ]
    command += [str(setup.plan.instrument), f"bench-{time.time_ns()}"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)  # noqa: S603  our own
        try:
            yield psutil.Process(process.pid)
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(
                    f"{name} ended by itself:\n{log.read()[-3_000:].decode(errors='replace')}"
                )
        finally:
            process.kill()
            process.wait()


# Latency


@dataclass
class Sent:
    """When the first tick of each record was received, by partition.

    The index in a partition's list is the offset.
    """

    received: list[list[int]]

    def note(self, partition: int, received_at: int) -> None:
        self.received[partition].append(received_at)


@dataclass
class Sender:
    """Ticks at a rate, batched as the gateway does."""

    setup: Setup
    publisher: Publisher
    sent: Sent
    load: Load
    batcher: Batcher
    ticks: int = 0
    records: int = 0
    landed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, count: int, second: int, received_at: IntArray | int) -> bool:
        """Ticks received at given moments; whether a record left."""
        rows = self.load.take(count, second)
        rows["received_at"] = received_at
        self.batcher.add(rows)
        self.ticks += count
        return await self.flush()

    async def flush(self) -> bool:
        before = self.records
        for partition, batch in self.batcher.due(UtcNs(time.time_ns())):
            received = int(batch.rows["received_at"][0]) if len(batch.rows) else time.time_ns()
            self.sent.note(partition, received)
            future = await self.publisher.send(
                Output(TICKS, b"%d" % partition, encode(batch), partition)
            )
            future.add_done_callback(partial(self._landed, partition))
            self.records += 1
        return self.records > before

    def _landed(self, partition: int, _: object) -> None:
        self.batcher.acknowledged(partition)
        self.landed.set()

    async def idle(self) -> None:
        while not self.batcher.idle:
            self.landed.clear()
            await self.flush()
            if not self.batcher.idle:
                await self.landed.wait()


def market_second(elapsed: float, base: int) -> int:
    """Ten seconds of a minute's end, ten of the next one's beginning, and on to the end of that."""
    lap, within = divmod(elapsed, 20)
    return base + 50 + int(lap) * 60 + int(within)


async def at_rate(sender: Sender, rate: int, seconds: float, base: int) -> float:
    """Send for `seconds`; the rate that was reached."""
    before, step = sender.ticks, NS_PER_SECOND / rate
    began = time.time_ns()
    while (elapsed := (time.time_ns() - began) / NS_PER_SECOND) < seconds:
        done = sender.ticks - before
        due = min(int(rate * elapsed) - done, 65_536)
        moments = began + (np.arange(done, done + due) * step).astype(np.int64)
        left = (
            await sender.send(due, market_second(elapsed, base), moments)
            if due
            else await sender.flush()
        )
        if left:
            await asyncio.sleep(FLUSH_INTERVAL)
        else:
            sender.landed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await sender.landed.wait()
        if sender.batcher.waiting > rate:  # a second behind: this rate cannot be had
            break
    await sender.idle()
    return (sender.ticks - before) / ((time.time_ns() - began) / NS_PER_SECOND)


async def read_signals(connection: KafkaConnection, found: list[tuple[int, int, int]]) -> None:
    async with aclosing(read_topics(connection, [SIGNALS], since="start")) as records:
        async for record in records:
            cause = Cause.decode(record.headers[HEADER])
            found.append((record.partition, cause.offset, time.time_ns()))


async def measure(setup: Setup, contender: str, rate: int, seconds: float) -> Result:
    await empty_topics(setup.connection, setup.plan)
    found: list[tuple[int, int, int]] = []
    with running(setup, contender) as process:
        async with Publisher(setup.connection) as publisher:
            partitions = TICKS.partitions(setup.plan)
            sent = Sent([[] for _ in range(partitions)])
            sender = Sender(
                setup, publisher, sent, Load(SESSION, setup.instruments), Batcher(partitions, 1)
            )
            reading = asyncio.create_task(read_signals(setup.connection, found))
            await _first_minute(setup, sender, found)
            first = [len(offsets) for offsets in sent.received]
            process.cpu_percent()
            records = sender.records
            reached = await at_rate(sender, rate, seconds, 60)
            cpu, records = process.cpu_percent() / 100, sender.records - records
            rss = process.memory_info().rss
            expected = await _all_signals(setup, found)
            reading.cancel()
    wanted = [
        (now - sent.received[partition][offset]) / 1e6
        for partition, offset, now in found
        if offset >= first[partition]
    ]
    return Result(
        contender,
        rate,
        reached,
        np.array(wanted),
        expected - len(found),
        cpu,
        rss,
        records / max(seconds, 1e-9),
    )


async def _first_minute(setup: Setup, sender: Sender, found: list[tuple[int, int, int]]) -> None:
    """Every instrument gets known, its first bar closes, and the contender shows that it reads."""
    for second in (0, 30, 60):
        await sender.send(setup.instruments, second, time.time_ns())
        await sender.idle()
    async with asyncio.timeout(READY_WITHIN):
        while len(found) < 0.4 * setup.instruments:  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)


async def _all_signals(setup: Setup, found: list[tuple[int, int, int]]) -> int:
    """Wait until no more signals come, and count how many should have.

    That is the number of 1-minute candles that the rule speaks about.
    """
    before, until = -1, time.monotonic() + DRAIN_WITHIN
    while len(found) != before and time.monotonic() < until:
        before = len(found)
        await asyncio.sleep(1.5)
    candles = [
        orjson.loads(r.value or b"")
        async for r in read_topics(setup.connection, [CANDLES], since="start", until_end=True)
    ]
    return len({c["id"] for c in candles if c["timeframe"] == "1m" and speaks(c["close"])})


# Throughput


@dataclass(frozen=True)
class Saturated:
    """One contender with all ticks waiting in the topic."""

    ticks_per_second: float
    peak: int  # bytes resident
    cores: float


async def saturate(setup: Setup, contender: str, ticks: int) -> Saturated:
    """Ticks a second between the first and the last minute's turn."""
    await empty_topics(setup.connection, setup.plan)
    lengths = await _preload(setup, ticks)
    marks: dict[int, list[tuple[int, int]]] = {number: [] for number in range(len(lengths))}
    with running(setup, contender) as process:
        usage: list[tuple[float, float, int]] = []
        watching = asyncio.create_task(_watch(process, usage))
        try:
            async with asyncio.timeout(SATURATED_WITHIN):
                await _until_last_signal(setup, lengths, marks)
        finally:
            watching.cancel()
    rows = sum(
        sum(lengths[number][seen[0][0] + 1 : seen[-1][0] + 1]) for number, seen in marks.items()
    )
    seconds = (
        max(seen[-1][1] for seen in marks.values()) - min(seen[0][1] for seen in marks.values())
    ) / NS_PER_SECOND
    busy = [sample for sample in usage if sample[0] > usage[-1][0] - seconds]
    cores = (
        (busy[-1][1] - busy[0][1]) / (busy[-1][0] - busy[0][0]) if len(busy) > 1 else float("nan")
    )
    return Saturated(rows / seconds, max(sample[2] for sample in usage), cores)


async def _preload(setup: Setup, ticks: int) -> list[list[int]]:
    """Two ticks a second of each instrument, in as large records as a gateway under load makes.

    Rows per record. At the end each partition hears that the day is over, which closes every bar.
    """
    partitions, per_second = TICKS.partitions(setup.plan), 2 * setup.instruments
    load, batcher = Load(SESSION, setup.instruments), Batcher(partitions, 1)
    lengths: list[list[int]] = [[] for _ in range(partitions)]

    async def write(closed: Iterable[FinishedBatch]) -> None:
        for partition, batch in closed:
            await publisher.send(Output(TICKS, b"%d" % partition, encode(batch), partition))
            batcher.acknowledged(partition)
            lengths[partition].append(len(batch.rows))

    async with Publisher(setup.connection) as publisher:
        for first in range(0, ticks // per_second, 4):
            for second in range(first, first + 4):
                batcher.add(load.take(per_second, second))
            while batcher.waiting:
                await write(list(batcher.due(UtcNs(0))))
        batcher.move_clock(SESSION.close + 3_600 * NS_PER_SECOND)
        await write(list(batcher.heartbeats(UtcNs(0))))
    return lengths


async def _watch(process: psutil.Process, usage: list[tuple[float, float, int]]) -> None:
    while process.is_running():
        times = process.cpu_times()
        usage.append((time.monotonic(), times.user + times.system, process.memory_info().rss))
        await asyncio.sleep(0.2)


async def _until_last_signal(
    setup: Setup, lengths: list[list[int]], marks: dict[int, list[tuple[int, int]]]
) -> None:
    """Note which record caused each signal and when it was written, until each partition's last
    record has caused one.
    """
    missing = set(marks)
    async with aclosing(read_topics(setup.connection, [SIGNALS], since="start")) as records:
        async for record in records:
            offset = Cause.decode(record.headers[HEADER]).offset
            if offset == len(lengths[record.partition]) - 1:
                missing.discard(record.partition)
            else:
                marks[record.partition].append((offset, int(record.published_at)))
            if not missing:
                return


# The report


def machine() -> str:
    return (
        f"{platform.machine()}, {os.cpu_count()} cores shared by broker, load, reader and engine; "
        f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}; Apache Kafka 4.3.1, "
        f"one node, acks=all, idempotent; {TICK.itemsize} bytes a tick, {BATCH_HEADER.itemsize} a "
        "record"
    )


def show(result: Result) -> None:
    print(
        f"{result.contender:<12} {result.rate:>9,} {result.reached:>10,.0f} "
        f"{result.records:>9,.0f} "
        f"{result.at(50):>8.1f} {result.at(99):>8.1f} {result.at(99.9):>8.1f} "
        f"{len(result.latencies_ms):>8,} {result.cpu:>6.2f} {result.rss / 1e6:>6.0f}  "
        f"{'' if result.sustained else 'not sustained'}",
        flush=True,
    )


HEAD = (
    f"{'':<12} {'ticks/s':>9} {'reached':>10} {'records/s':>9} {'p50 ms':>8} {'p99':>8} "
    f"{'p99.9':>8} {'signals':>8} {'cores':>6} {'MB':>6}"
)


async def run(options: argparse.Namespace) -> None:
    contenders = [name for name in options.contenders.split(",") if _present(name, options.peers)]
    plan = PartitionPlan(options.partitions, 1)
    print(machine())
    async with a_broker() as connection:
        setup = Setup(connection, plan, options.instruments, options.seconds, options.peers)
        print(
            f"\n{options.instruments:,} instruments in {plan.instrument} partitions, a minute's "
            f"turn every 20 s\n{HEAD}"
        )
        best: dict[str, Result] = {}
        for rate in options.rates:
            for name in contenders:
                show(await measure(setup, name, rate, options.seconds))
        for name in contenders if options.search else ():
            best[name] = await highest(setup, name, max(options.rates))
        if best:
            print(
                "\nhighest sustained:",
                ", ".join(f"{name} {best[name].rate:,} ticks/s" for name in best),
            )
        if options.ticks:
            await show_saturated(setup, contenders, options.ticks)


async def show_saturated(setup: Setup, contenders: list[str], ticks: int) -> None:
    print(f"\nsaturated: {ticks:,} ticks waiting in the topic, two a second of each instrument")
    print(f"{'':<12} {'ticks/s':>11} {'ratio':>6} {'cores':>6} {'peak MB':>8}")
    base = 0.0
    for name in contenders:
        result = await saturate(setup, name, ticks)
        base = base or result.ticks_per_second
        print(
            f"{name:<12} {result.ticks_per_second:>11,.0f} {result.ticks_per_second / base:>6.2f} "
            f"{result.cores:>6.2f} {result.peak / 1e6:>8.0f}",
            flush=True,
        )


async def highest(setup: Setup, name: str, start: int) -> Result:
    """Twice the rate as long as it is sustained."""
    rate, best = 2 * start, None
    while True:
        show(result := await measure(setup, name, rate, 20))
        if not result.sustained:
            return best or result
        best, rate = result, 2 * rate


def _present(name: str, peers: Path) -> bool:
    library = PEERS[name]
    if not library or (peers / library).is_dir():
        return True
    print(f"without {name}: install it with `make bench-peers`")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--contenders", default=",".join(PEERS))
    parser.add_argument(
        "--rates",
        type=lambda text: [int(rate) for rate in text.split(",") if rate],
        default=[1_000, 10_000],
    )
    parser.add_argument(
        "--seconds", type=int, default=40, help="of each rate (default 40: two turns of a minute)"
    )
    parser.add_argument("--instruments", type=int, default=5_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument(
        "--ticks", type=int, default=6_000_000, help="of the saturated run; 0: none"
    )
    parser.add_argument(
        "--no-search", dest="search", action="store_false", help="do not look for the highest rate"
    )
    parser.add_argument(
        "--peers", type=Path, default=PEERS_FOLDER, help="where `make bench-peers` put Quix Streams"
    )
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    warm_up()  # into the disk cache, so that no contender compiles
    asyncio.run(run(options))


if __name__ == "__main__":
    main()

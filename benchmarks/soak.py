"""A whole simulated day through the real `ats streams` over Kafka, as fast as it goes: does memory
stay flat?

    python -m benchmarks.soak

5,000 instruments, twelve ticks a minute each, 09:15 to 15:30. Prints the resident memory of the
engine's process through the day, then kills it (kill -9) at the day's end, starts it again and
prints how long it takes to be ready: in its group, with nothing waiting. Ends with 1 when more than
500 MB were resident, memory grew, or it was not ready within 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import structlog
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ats.runtime.child import Child
from benchmarks._load import Load
from benchmarks._pipeline_stage import ROOT, SESSION, a_broker, machine, unused_port
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output
from bus.topics import create_topics
from schemas.ticks import encode
from schemas.topics import TICKS, PartitionPlan
from schemas.units import NS_PER_SECOND, UtcNs
from streams.engine.machine import warm_up
from streams.feed.batcher import Batcher

MOST_MB = 500
READY_WITHIN = 10.0  # seconds
# of the second half's peak against the first half's, the first tenth left out: buffers fill there
GROWTH = 1.05
# ticks written and not yet applied: a backlog that never runs dry and is not the whole day
MOST_AHEAD = 1_000_000
CYCLE = 5  # market seconds in which every instrument ticks once
START_WITHIN = 90.0

Samples = dict[str, dict[str, float]]


@dataclass
class Engine:
    """The real service, and what it says of itself."""

    child: Child
    port: int
    rss: list[tuple[float, float]] = field(default_factory=list)  # share of the day, MB

    def start(self) -> None:
        self.child.start()

    async def metrics(self, http: httpx.AsyncClient) -> Samples:
        """Name -> key -> value; empty while it does not answer."""
        try:
            text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
        except httpx.HTTPError:
            return {}
        found: Samples = {}
        for name, key, value in re.findall(
            r'^ats_streams_(\w+)(?:\{key="(.*)"\})? ([-0-9.e+]+)$', text, re.MULTILINE
        ):
            found.setdefault(name, {})[key] = float(value)
        return found

    async def ready(self, http: httpx.AsyncClient) -> float:
        """Seconds from now until it is in its group and nothing waits."""
        began = time.monotonic()
        async with asyncio.timeout(START_WITHIN):
            while True:
                now = await self.metrics(http)
                if (
                    now.get("joined", {}).get("") == 1
                    and now.get("lag")
                    and not sum(now["lag"].values())
                ):
                    return time.monotonic() - began
                if self.child.exit_code is not None:
                    raise SystemExit(
                        f"ats streams ended with {self.child.exit_code}:\n{self.child.tail()}"
                    )
                await asyncio.sleep(0.05)

    def sample(self, share: float) -> float:
        assert self.child.pid is not None
        now = psutil.Process(self.child.pid).memory_info().rss / 1e6
        self.rss.append((share, now))
        return now


async def whole_day(
    options: argparse.Namespace, publisher: Publisher, engine: Engine, http: httpx.AsyncClient
) -> float:
    """Write the day, never far ahead of the engine; ticks a second."""
    load, batcher = Load(SESSION, options.instruments), Batcher(options.partitions, 1)
    total: int = options.minutes * 60 // CYCLE * options.instruments
    applied = written = 0
    began, told = time.monotonic(), -1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("ticks applied", total=total)
        while applied < total:
            while written < total and written - applied < MOST_AHEAD:
                await write(
                    publisher,
                    batcher,
                    load.take(options.instruments, written // options.instruments * CYCLE),
                )
                written += options.instruments
                if batcher.clock % (60 * NS_PER_SECOND) < CYCLE * NS_PER_SECOND:
                    break
            applied = int(sum((await engine.metrics(http)).get("ticks_total", {}).values()))
            rss = engine.sample(applied / total)
            bar.update(task, completed=applied, description=f"ticks applied, {rss:.0f} MB resident")
            if (tenth := 10 * applied // total) > told:
                told = tenth
                print(
                    f"{tenth * 10:>4} % of the day {applied:>12,} ticks {rss:>6.0f} MB", flush=True
                )
            if written - applied >= MOST_AHEAD or written == total:
                await asyncio.sleep(0.1)
    return total / (time.monotonic() - began)


async def write(publisher: Publisher, batcher: Batcher, rows: object) -> None:
    batcher.add(rows)  # type: ignore[arg-type]
    while batcher.waiting:
        for partition, batch in list(batcher.due(UtcNs(time.time_ns()))):
            await publisher.send(Output(TICKS, b"%d" % partition, encode(batch), partition))
            batcher.acknowledged(partition)


async def run(options: argparse.Namespace) -> int:
    print(machine())
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(a_broker())
        await create_topics(connection, PartitionPlan(options.partitions, 1))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ats-soak-")))
        http = await stack.enter_async_context(httpx.AsyncClient())
        engine = service(connection, options, home)
        stack.push_async_callback(engine.child.stop, 5)
        engine.start()
        publisher = await stack.enter_async_context(Publisher(connection))
        await write(
            publisher, Batcher(options.partitions, 1), Load(SESSION, options.instruments).take(1, 0)
        )
        await engine.ready(http)
        rate = await whole_day(options, publisher, engine, http)
        engine.child.signal(signal.SIGKILL)
        await engine.child.ended(10)
        engine.start()
        ready = await engine.ready(http)
        again = engine.sample(1.0)
        log = engine.child.log.read_text()
    return verdict(engine, rate, ready, again, log)


def service(connection: KafkaConnection, options: argparse.Namespace, home: Path) -> Engine:
    port = unused_port()
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("ATS_", "KAFKA_"))
    }
    settings = {
        "ATS_ENV_FILE": "",
        "ATS_LOG_FORMAT": "json",
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "ATS_INSTRUMENT_PARTITIONS": str(options.partitions),
    }
    command = [sys.executable, "-m", "ats", "streams", "--metrics-port", str(port)]
    return Engine(
        Child("streams", command, log=home / "streams.log", env=plain | settings, cwd=ROOT), port
    )


def verdict(engine: Engine, rate: float, ready: float, again: float, log: str) -> int:
    day = engine.rss[:-1]
    peak = max(mb for _, mb in engine.rss)
    halves = [
        max(mb for share, mb in day if low <= share < high)
        for low, high in ((0.1, 0.55), (0.55, 1.1))
    ]
    flat = halves[1] <= GROWTH * halves[0]
    print(f"\n{rate:,.0f} ticks/s through the real service, all messages written")
    print(
        f"resident at most {peak:.0f} MB (allowed {MOST_MB}); first half {halves[0]:.0f}, second "
        f"half {halves[1]:.0f} MB"
    )
    print(
        f"ready {ready:.1f} s after kill -9 at the end of the day (allowed {READY_WITHIN:.0f}), "
        f"then {again:.0f} MB resident"
    )
    if "process_ends" in log:
        print("the engine ended by itself: " + re.findall(r".*process_ends.*", log)[-1])
    fine = peak <= MOST_MB and flat and ready <= READY_WITHIN and "process_ends" not in log
    print("as promised" if fine else "NOT as promised")
    return 0 if fine else 1


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--instruments", type=int, default=5_000)
    parser.add_argument(
        "--minutes", type=int, default=375, help="of the session (default 375, a whole one)"
    )
    parser.add_argument("--partitions", type=int, default=4)
    options = parser.parse_args()
    for name in ("aiokafka", "httpx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    warm_up()  # into the disk cache: compiling belongs to the installation
    sys.exit(asyncio.run(run(options)))


if __name__ == "__main__":
    main()

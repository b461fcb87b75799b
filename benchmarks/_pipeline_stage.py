"""What the runs of `benchmarks.pipeline` share: a broker, empty topics, a contender's process."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import platformdirs
import psutil

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection, administrator
from bus.topics import create_topics
from schemas.topics import CATALOGUE, PartitionPlan
from simulator.market.session import market_session

ROOT = Path(__file__).parents[1]
SESSION = market_session(date(2024, 1, 2))
PEERS_FOLDER = Path(sys.prefix) / "peers"  # of `make bench-peers`
QUIX: Final = "quixstreams"
# The bare clients first: all others are measured by them.
CONTENDERS: Final = ("floor", "ats", "ats-aiokafka", "aiokafka", "quix")


@dataclass(frozen=True)
class Setup:
    """What all runs share.

    Attributes:
        seconds: Of each rate.
        pause: Seconds between two rounds of records, as the gateway's.
        peers: Where Quix Streams is.
    """

    connection: KafkaConnection
    plan: PartitionPlan
    instruments: int
    seconds: int
    pause: float
    peers: Path


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
    if name == "quix":
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


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"

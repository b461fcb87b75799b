"""Ticks a second of a replay, beside the live engine and a reader that only reads.

Run: python -m benchmarks.replay [--ticks 2250000] Ticks of 250 instruments stand on a real broker
in records of 1,024, on four partitions; the live engine reads them and writes its messages; the
replay derives the same and compares them. A day of 22.5 million ticks is ten times the default; the
last column says how long it would take at this rate. Read the ratios: figures are of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import structlog

from ats.services.streams import service_of
from ats.settings import Settings
from audit.replay.day import Cores, Replay
from audit.replay.folds import Fold
from audit.replay.recorded import span_of
from benchmarks.engine import market
from bus.connection import KafkaConnection
from bus.group_offsets import lag
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output
from bus.stateful import StatefulService, run_stateful
from bus.topics import create_topics
from schemas.calendar import EVERY_DAY
from schemas.ids import InstrumentId, Segment
from schemas.market import trading_day
from schemas.ticks import Batch, encode, partition_of
from schemas.topics import TICKS, PartitionPlan
from schemas.units import UtcNs
from streams.engine.machine import warm_up
from tests.conftest import started_broker

DAY = 22_500_000  # ticks; here two sessions of 250 instruments, two ticks a second each
INSTRUMENTS = 250
ROWS = 1_024  # of one record
PLAN = PartitionPlan(4, 1)


def records(count: int) -> Iterator[Output]:
    """As a gateway writes them, partition by partition in turn."""
    rows = market(count, INSTRUMENTS)
    home = np.array(
        [
            partition_of(InstrumentId(Segment.NSE_EQ, 1 + n), PLAN.instrument)
            for n in range(INSTRUMENTS)
        ]
    )
    of = home[rows["security_id"] - 1]
    for partition in range(PLAN.instrument):
        mine = rows[of == partition]
        for first in range(0, len(mine), ROWS):
            piece = mine[first : first + ROWS]
            clock = UtcNs(piece["clock"][-1])
            yield Output(TICKS, b"%d" % partition, encode(Batch(clock, clock, 0, piece)), partition)


async def only_read(connection: KafkaConnection) -> None:
    async for _ in read_topics(connection, [TICKS], since="start", until_end=True):
        pass


async def only_derive(connection: KafkaConnection, service: StatefulService) -> None:
    fold = Fold(service, PLAN)
    async for record in read_topics(connection, [TICKS], since="start", until_end=True):
        for _ in fold.apply(record):
            pass


async def live(connection: KafkaConnection, service: StatefulService) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(
        run_stateful(service, connection, PLAN, instance="benchmark", stop=stop)
    )
    while await lag(connection, service.group, (TICKS,), PLAN):
        if running.done():
            break
        await asyncio.sleep(0.2)
    stop.set()
    await running


async def timed(what: str, count: int, work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    rate = count / seconds
    print(f"{what:<44} {rate:>12,.0f} ticks/s   a day in {DAY / rate:>6.0f} s")
    return seconds


async def main(count: int) -> None:
    service = service_of(Settings(_env_file=None), calendar=EVERY_DAY)
    warm_up()
    first = trading_day(market(1, INSTRUMENTS)["clock"][0])
    span = span_of(first, trading_day(market(count, INSTRUMENTS)["clock"][-1]))
    home = Path(tempfile.mkdtemp(prefix="ats-bench-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        broker = await started_broker(home)
        stack.push_async_callback(broker.stop)
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        async with Publisher(connection) as publisher:
            for output in records(count):
                await publisher.send(output)
            await publisher.flush()
        await timed("read the ticks, and nothing else", count, lambda: only_read(connection))
        await timed(
            "the live engine, its messages written", count, lambda: live(connection, service)
        )
        derive = timed("derive all messages", count, lambda: only_derive(connection, service))
        await derive
        replay = Replay(connection, span, Cores(service), verify=True)
        await timed("replay, every message compared", count, replay.run)


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--ticks", type=int, default=DAY // 10)
    asyncio.run(main(parser.parse_args().ticks))

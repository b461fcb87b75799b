"""Throughput of `benchmarks.pipeline`: all ticks wait in the topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import aclosing

import psutil

from benchmarks._load import Load
from benchmarks._pipeline_report import Backlog
from benchmarks._pipeline_stage import SESSION, Setup, empty_topics, running
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output
from schemas.lineage import HEADER, Cause
from schemas.ticks import encode
from schemas.topics import SIGNALS, TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from streams.feed.batcher import Batcher, FinishedBatch

SATURATED_WITHIN = 300.0


async def saturate(setup: Setup, contender: str, ticks: int, round_: int) -> Backlog:
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
    return Backlog(contender, round_, rows / seconds, cores, max(sample[2] for sample in usage))


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

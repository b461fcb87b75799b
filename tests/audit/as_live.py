"""Republishes a recorded day, reads it with a plain Kafka consumer, and compares both.

    python -m tests.audit.as_live --demo ./demo --speed 60

The consumer subscribes to the new names before anything is written, as any consumer of a live day
does. Records must come with the same keys, bytes and headers, in the same
order on each partition. Spacing is judged by when Kafka's stamps say they were written: how far
each record is from where the recorded pauses, divided by the speed, put it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer
from rich.console import Console

from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from audit.replay.publish import REPUBLISHED, Pace, into, made, market_time, republish
from audit.replay.recorded import span_of
from bus.connection import KafkaConnection
from bus.reader import read_in_order, there
from schemas.market import trading_day
from schemas.topics import TICKS

Seen: TypeAlias = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
Partitions: TypeAlias = Mapping[tuple[str, int], list[tuple[int, Seen]]]
QUIET = 5.0  # seconds without a record, once all are written, after which none is expected


async def recorded(connection: KafkaConnection) -> tuple[Partitions, Any]:
    """The records that have a market time, by topic and partition, with their stamps (ms)."""
    found: dict[tuple[str, int], list[tuple[int, Seen]]] = defaultdict(list)
    days = set()
    topics = await there(connection, REPUBLISHED)
    async with aclosing(read_in_order(connection, topics)) as records:
        async for each in records:
            if (moment := market_time(each)) is None:
                continue
            if each.topic == TICKS.name:
                days.add(trading_day(moment))
            seen = each.key or b"", each.value or b"", tuple(each.headers.items())
            found[each.topic, each.partition].append((each.published_at // 1_000_000, seen))
    return found, max(days)


async def consumed(
    connection: KafkaConnection, names: Sequence[str], ready: asyncio.Event, over: asyncio.Event
) -> Partitions:
    """What a plain consumer of `names` sees until all is written and nothing comes any more."""
    found: dict[tuple[str, int], list[tuple[int, Seen]]] = defaultdict(list)
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=connection.bootstrap_servers,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    ready.set()
    try:
        while True:
            batch = await consumer.getmany(timeout_ms=int(QUIET * 1_000))
            if over.is_set() and not batch:
                return found
            for partition, rows in batch.items():
                for row in rows:
                    seen = row.key or b"", row.value or b"", tuple(row.headers)
                    found[partition.topic, partition.partition].append((row.timestamp, seen))
    finally:
        await consumer.stop()


def told(live: Partitions, again: Partitions, prefix: str, speed: float) -> tuple[int, list[float]]:
    """How many partitions differ, and of each record how many ms it is from its place."""
    differing, away = 0, list[float]()
    begin = min(rows[0][0] for rows in live.values())
    began = min(rows[0][0] for rows in again.values()) if again else 0
    for (topic, number), rows in live.items():
        ours = again.get((f"{prefix}{topic}", number), [])
        if [seen for _, seen in rows] != [seen for _, seen in ours]:
            differing += 1
            sys.stdout.write(f"{topic}-{number}: {len(rows):,} live, {len(ours):,} again\n")
            continue
        pairs = zip(rows, ours, strict=True)
        away += [(now - began) - (then - begin) / speed for (then, _), (now, _) in pairs]
    return differing, sorted(away)


async def run(demo: Path | None, speed: float) -> int:
    prefix = f"live{uuid.uuid4().hex[:8]}."
    async with recorded_by(demo, Console(stderr=True)) as source:
        live, day = await recorded(source.kafka)
        topics = [into(topic, prefix) for topic in await there(source.kafka, REPUBLISHED)]
        await made(source.kafka, source.kafka, topics)
        ready, over = asyncio.Event(), asyncio.Event()
        names = [topic.name for topic in topics]
        reading = asyncio.create_task(consumed(source.kafka, names, ready, over))
        await ready.wait()
        await republish(source.kafka, span_of(day, day), prefix=prefix, pace=Pace(speed))
        over.set()
        again = await reading
    live = {place: rows for place, rows in live.items() if rows}
    differing, away = told(live, again, prefix, speed)
    count = sum(map(len, live.values()))
    sys.stdout.write(f"{count:,} records on {len(live)} partitions; {differing} differ\n")
    if away:
        marks = {"median": 0.5, "99 of 100": 0.99, "all": 1.0}
        late = {name: away[min(len(away) - 1, int(len(away) * at))] for name, at in marks.items()}
        words = ", ".join(f"{name} within {ms:.0f} ms" for name, ms in late.items())
        sys.stdout.write(f"later than the recorded pauses at {speed:g}x: {words}\n")
    return exit_codes.BROKEN if differing or not away else exit_codes.DONE


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit.as_live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", type=Path, help="a folder of `ats demo --keep`; else as ats why")
    parser.add_argument("--speed", type=float, default=60.0)
    given = parser.parse_args(words)
    return asyncio.run(run(given.demo, given.speed))


if __name__ == "__main__":
    sys.exit(main())

"""Latency of `benchmarks.pipeline`: ticks at a rate, an open loop, and what each signal took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import orjson

from benchmarks._load import Load, speaks
from benchmarks._pipeline_report import Latency
from benchmarks._pipeline_stage import SESSION, Setup, empty_topics, running
from benchmarks._waits import Signal, waits_of
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record
from schemas.ids import InstrumentId
from schemas.lineage import HEADER, Cause
from schemas.ticks import decode, encode
from schemas.topics import CANDLES, SIGNALS, TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from streams.engine.compiled import IntArray
from streams.feed.batcher import Batcher

EVERY = 0.001  # seconds between two looks at whether ticks are due
READY_WITHIN = 240.0
DRAIN_WITHIN = 60.0
LAP = 10  # seconds: five of a minute's end, five of the next one's beginning


@dataclass
class Sender:
    """Ticks at a rate, batched as the gateway does."""

    setup: Setup
    publisher: Publisher
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
    """The end of a minute, the beginning of the next one, and on to the end of that."""
    lap, within = divmod(elapsed, LAP)
    return base + 60 - LAP // 2 + int(lap) * 60 + int(within)


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
            await asyncio.sleep(sender.setup.pause)
        else:
            sender.landed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await sender.landed.wait()
        if sender.batcher.waiting > rate:  # a second behind: this rate cannot be had
            break
    await sender.idle()
    return (sender.ticks - before) / ((time.time_ns() - began) / NS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record in the reader's hands."""

    record: Record
    at: int

    def signal(self) -> Signal:
        cause = Cause.decode(self.record.headers[HEADER])
        said = orjson.loads(self.record.value or b"")
        instrument = InstrumentId.parse(said["instrument"])
        return Signal(
            self.record.partition,
            cause.offset,
            instrument.security_id,
            UtcNs(said["event_time"]),
            self.at,
        )


async def read_signals(connection: KafkaConnection, seen: list[Seen]) -> None:
    async with aclosing(read_topics(connection, [SIGNALS], since="start")) as records:
        async for record in records:
            seen.append(Seen(record, time.time_ns()))  # noqa: PERF401  # read while it grows


async def measure(setup: Setup, contender: str, rate: int, round_: int) -> Latency:
    """One contender at one rate."""
    await empty_topics(setup.connection, setup.plan)
    seen: list[Seen] = []
    with running(setup, contender) as process:
        async with Publisher(setup.connection) as publisher:
            batcher = Batcher(TICKS.partitions(setup.plan), 1)
            sender = Sender(setup, publisher, Load(SESSION, setup.instruments), batcher)
            reading = asyncio.create_task(read_signals(setup.connection, seen))
            await _first_minute(setup, sender, seen)
            began, records, before = time.time_ns(), sender.records, process.cpu_times()
            reached = await at_rate(sender, rate, setup.seconds, 60)
            after, records = process.cpu_times(), sender.records - records
            expected = await _all_signals(setup, seen)
            reading.cancel()
    causes = {
        (record.partition, record.offset): batch
        async for record in _all_of_ticks(setup)
        if (batch := decode(record.value or b"")).sent_at >= began
    }
    return Latency(
        contender,
        rate,
        round_,
        reached,
        expected - len(seen),
        records,
        (after.user + after.system) - (before.user + before.system),
        setup.seconds,
        waits_of((each.signal() for each in seen), causes),
    )


async def _first_minute(setup: Setup, sender: Sender, seen: list[Seen]) -> None:
    """Every instrument gets known, its first bar closes, and the contender shows that it reads."""
    for second in (0, 30, 60):
        await sender.send(setup.instruments, second, time.time_ns())
        await sender.idle()
    async with asyncio.timeout(READY_WITHIN):
        while len(seen) < 0.4 * setup.instruments:  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)


def _all_of_ticks(setup: Setup) -> AsyncIterator[Record]:
    return read_topics(setup.connection, [TICKS], since="start", until_end=True)


async def _all_signals(setup: Setup, seen: list[Seen]) -> int:
    """Wait until no more signals come, and count how many should have.

    That is the number of 1-minute candles that the rule speaks about.
    """
    before, until = -1, time.monotonic() + DRAIN_WITHIN
    while len(seen) != before and time.monotonic() < until:
        before = len(seen)
        await asyncio.sleep(1.5)
    candles = [
        orjson.loads(r.value or b"")
        async for r in read_topics(setup.connection, [CANDLES], since="start", until_end=True)
    ]
    return len({c["id"] for c in candles if c["timeframe"] == "1m" and speaks(c["close"])})

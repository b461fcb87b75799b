"""Writes recorded days once more, under other names: any consumer runs on the past as if live.

The same bytes, keys, headers and partitions, in the order in which they were written, with the same
pauses between them or shorter ones. Kafka's own stamps are new, as they are the moment of writing.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from audit.replay.reading import TELL_EVERY, Progress
from audit.replay.recorded import Span
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import extents_of, read_in_order, there
from bus.records import Output, Record
from bus.topics import create_topics
from schemas import ticks
from schemas.codec import head_of
from schemas.errors import Misconfigured
from schemas.topics import (
    CATALOGUE,
    CHECKPOINTS,
    FEED,
    LEDGER,
    ORDER_EVENTS,
    SESSIONS,
    SESSIONS_LATEST,
    TICKS,
    PartitionPlan,
    Topic,
)
from schemas.units import NS_PER_SECOND, UtcNs

# what happened, without services' states and without what was signed of other topics; at one moment
# causes come first
REPUBLISHED: Final = tuple(
    topic for topic in CATALOGUE if not topic.holds_snapshots and topic not in (LEDGER, CHECKPOINTS)
)
_OF_MACHINES: Final = frozenset({FEED.name, SESSIONS.name, SESSIONS_LATEST.name})
NEAR: Final = UtcNs.minutes(60)  # a service starts so long before the market at most
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True, slots=True)
class Pace:
    """How the pauses of the record are kept.

    Attributes:
        speed: Seconds of the record per second of now; None keeps no pause.
        clock: Monotonic seconds.
    """

    speed: float | None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def until(self, began: float, passed: int) -> None:
        """Return when what was written `passed` nanoseconds after the first record is due."""
        if self.speed is None:
            return
        wait = began + passed / NS_PER_SECOND / self.speed - self.clock()
        if wait > 0:
            await self.sleep(wait)


def into(topic: Topic, prefix: str) -> Topic:
    """The topic of the same kind under another name.

    Raises:
        Misconfigured: a prefix that makes no name of a topic, or the platform's own.
    """
    if not _PREFIX.fullmatch(prefix):
        raise Misconfigured(
            f"--into {prefix!r} is not usable: give what topics' names shall begin with, "
            "such as replay."
        )
    return replace(topic, name=f"{prefix}{topic.name}")


def market_time(record: Record) -> UtcNs | None:
    """The moment that a record is about; None of what is no message of ours."""
    value = record.value or b""
    if record.topic != TICKS.name:
        head = head_of(value)
        return head.event_time if head else None
    if len(value) < ticks.HEADER.itemsize:
        return None
    return UtcNs(np.frombuffer(value, ticks.HEADER, 1)["clock"][0])


async def republish(
    connection: KafkaConnection,
    span: Span,
    *,
    prefix: str,
    pace: Pace,
    tell: Progress = lambda *_: None,
) -> Counter[str]:
    """Write what is recorded of `span` to topics whose names begin with `prefix`.

    Returns how many records went to each. What `OfSpan` leaves out stays out.

    Raises:
        Misconfigured: a prefix that cannot be used, topics of these names that are not empty, or
            nothing is recorded of `span`: then no topic is made.
        TryLater: no broker answers.
    """
    named = {topic.name: into(topic, prefix) for topic in await there(connection, REPUBLISHED)}
    written = Counter[str]()
    async with (
        Publisher(connection, verbatim=True) as publisher,
        aclosing(_of(connection, span, tell)) as records,
    ):
        began: tuple[float, UtcNs] | None = None
        async for record in records:
            if began is None:
                await made(connection, connection, list(named.values()))
                began = pace.clock(), record.published_at
            await pace.until(began[0], record.published_at - began[1])
            await publisher.send(as_output(record, named[record.topic]))
            written[named[record.topic].name] += 1
        await publisher.flush()
    if not written:
        raise Misconfigured(
            "nothing is recorded of what was asked for, so no topic was made: is it another day? "
            "`ats tail ats.candles --last 1` shows one that is there"
        )
    return written


class OfSpan:
    """Picks the records of a span out of all, which come in the order in which they were written.

    A record is of the day that it is about. What tells of the machine's time (who is active, what
    became of a connection) is of the day on which it was written, and in a replay of an old market,
    where both differ, of the day of the record written next. A record without a time, and the
    history before a day, are of none.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._held: list[Record] = []
        self._within = False

    def take(self, record: Record) -> list[Record]:
        """The records of the span that are known to be, now that `record` came."""
        moment = market_time(record)
        if moment is None:
            return []
        of_machines = record.topic in _OF_MACHINES
        of_span = (record.published_at if of_machines else moment) in self._span
        if of_machines and not of_span:
            self._held.append(record)
            return []
        held, self._held, self._within = self._held, [], of_span
        near = [each for each in held if record.published_at - each.published_at <= NEAR]
        return [*near, record] if of_span else []

    def rest(self) -> list[Record]:
        """What nothing was written after: of the day of the record before."""
        return self._held if self._within else []


def as_output(record: Record, topic: Topic) -> Output:
    """The same record for `topic`: partition, key, bytes and headers."""
    headers = tuple(record.headers.items())
    return Output(topic, record.key or b"", record.value or b"", record.partition, headers)


async def _of(
    connection: KafkaConnection, span: Span, tell: Progress
) -> AsyncGenerator[Record, None]:
    topics = await there(connection, REPUBLISHED)
    extents = await extents_of(connection, *topics)
    total, done = sum(end - begin for begin, end in extents.values()), 0
    chosen = OfSpan(span)
    async with aclosing(read_in_order(connection, topics)) as records:
        async for record in records:
            done += 1
            if done % TELL_EVERY == 0:
                tell("writing the day again", done, total)
            for each in chosen.take(record):
                yield each
    for each in chosen.rest():
        yield each


async def made(connection: KafkaConnection, target: KafkaConnection, wanted: list[Topic]) -> None:
    """Empty topics with as many partitions as the recorded ones."""
    plan = PartitionPlan(
        len(await extents_of(connection, TICKS)), len(await extents_of(connection, ORDER_EVENTS))
    )
    await create_topics(target, plan, topics=wanted)
    for place, (begin, end) in (await extents_of(target, *wanted)).items():
        if end > begin:
            raise Misconfigured(
                f"{place.topic} holds records already: name another --into, or delete the topic"
            )

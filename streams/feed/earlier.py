"""What an earlier life of this gateway told last, so that a new one can tell the gap between them.

A killed gateway says no goodbye. Its records say how far it came: every partition was told a market clock, and no tick of that
partition was lost before it. The least of these clocks is where ticks may begin to be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from bus.connection import KafkaConnection, reader
from bus.reader import LARGEST_FETCH, POLL_MS
from schemas import history, ticks
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.messages import FeedEvent
from schemas.topics import FEED, TICKS, Topic
from schemas.units import UtcNs
from streams.feed.config import GatewayConfig

UNKNOWN: Final = UtcNs(0)  # there was an earlier life, but not how far it came: the whole day may lack ticks
FIRST_LOOK: Final = 64  # records from a partition's end; each further look goes twice as far back
LOOK_WITHIN: Final = 10.0  # seconds: a topic full of other writers' records must not keep the feed waiting
EVENTS: Final = 1_000  # of `ats.feed`, looked at from its end

log = structlog.get_logger(__name__)


async def last_told(connection: KafkaConnection, config: GatewayConfig) -> UtcNs | None:
    """The market clock (UTC ns) up to which an earlier life of `config.gateway` lost nothing; None: there was none.

    `UNKNOWN` when there was one and its records do not say. Ask before the new life publishes anything.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    async with reader(connection, auto_offset_reset="earliest", max_partition_fetch_bytes=LARGEST_FETCH) as client:
        partitions = [*await _partitions(client, TICKS), *await _partitions(client, FEED)]
        # asked before assign(): behind a fetch that waits for records each question takes half a second
        begins, ends = await client.beginning_offsets(partitions), await client.end_offsets(partitions)
        client.assign(partitions)
        client.pause(*partitions)
        feed = [partition for partition in partitions if partition.topic == FEED.name]
        spans = {each: _Span(begins[each], ends[each]) for each in partitions if each not in feed}
        try:
            async with asyncio.timeout(LOOK_WITHIN):
                clocks = await _last_clocks(client, spans, config.gateway)
                if not clocks:
                    events = {each: _Span(max(begins[each], ends[each] - EVENTS), ends[each]) for each in feed}
                    return await _began(client, events, config)
        except TimeoutError:
            log.warning("earlier_life_not_found", looked_for=LOOK_WITHIN)
            return UNKNOWN
    return min(clocks.values()) if len(clocks) == len(spans) else UNKNOWN


class _Span(NamedTuple):
    """Offsets from `start` up to, without, `stop`."""

    start: int
    stop: int


_Spans = Mapping[TopicPartition, _Span]


async def _partitions(client: AIOKafkaConsumer, topic: Topic) -> list[TopicPartition]:
    cluster = await client._client.fetch_all_metadata()  # noqa: SLF001  # as in bus.reader
    if not (numbers := cluster.partitions_for_topic(topic.name)):
        raise Misconfigured(f"topic missing: {topic.name}; run `ats topics create`")
    return [TopicPartition(topic.name, number) for number in sorted(numbers)]


async def _last_clocks(client: AIOKafkaConsumer, left: _Spans, gateway: int) -> dict[TopicPartition, UtcNs]:
    """The clock of this gateway's last record in each partition that has one, looked for from the ends on backwards."""
    found: dict[TopicPartition, UtcNs] = {}
    look = FIRST_LOOK
    while left := {at: span for at, span in left.items() if at not in found and span.start < span.stop}:
        window = {at: _Span(max(span.start, span.stop - look), span.stop) for at, span in left.items()}
        async for at, value in _values(client, window):
            if (clock := _clock_of(value, gateway)) is not None:
                found[at] = clock
        left = {at: _Span(span.start, window[at].start) for at, span in left.items()}
        look *= 2
    return found


def _clock_of(value: bytes, gateway: int) -> UtcNs | None:
    """None for the records of others and those that nobody can read."""
    if history.is_history(value):
        return None
    try:
        batch = ticks.decode(value)
    except Unreadable:
        return None
    return batch.clock if batch.gateway == gateway else None


async def _began(client: AIOKafkaConsumer, spans: _Spans, config: GatewayConfig) -> UtcNs | None:
    """When the first of the lives began that came to tell no clock; None when there was none."""
    numbers = range(config.gateway, config.gateway + config.connections)
    since: UtcNs | None = None
    async for _, value in _values(client, spans):
        try:
            event = decode(FeedEvent, value)
        except Unreadable:
            continue
        if event.gateway in numbers:
            since = since or event.event_time
    # in a replay such a life knew no market time, and stamped its events with the wall's
    return UNKNOWN if since and not config.live else since


async def _values(client: AIOKafkaConsumer, spans: _Spans) -> AsyncIterator[tuple[TopicPartition, bytes]]:
    """What stands at `spans`, each partition in its order."""
    left = {at: span.stop for at, span in spans.items() if span.start < span.stop}
    for at in left:
        client.seek(at, spans[at].start)
    client.resume(*left)
    while left:
        for at, rows in (await client.getmany(*left, timeout_ms=POLL_MS)).items():
            for row in rows:
                if row.offset < left[at]:
                    yield at, row.value or b""
        for at in [at for at, stop in left.items() if await client.position(at) >= stop]:
            del left[at]
            client.pause(at)

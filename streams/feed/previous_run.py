"""How far the previous run of this gateway came: a new run publishes the gap between them.

A killed gateway publishes no end. Its records say how far it came: each holds a market clock, and
no tick of that record's partition was lost before it. The least of the partitions' last clocks is
where ticks may begin to be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias

import structlog

from bus.connection import KafkaConnection
from bus.records import TopicPartition
from bus.tail import Span, TopicTail, open_tail
from schemas import history, ticks
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.messages import FeedEvent
from schemas.topics import FEED, TICKS
from schemas.units import UtcNs
from streams.feed.config import GatewayConfig

# there was a previous run, but not how far it came: the whole day may lack ticks
UNKNOWN: Final = UtcNs(0)
FIRST_LOOKBACK: Final = (
    64  # records from a partition's end; each further look goes twice as far back
)
# seconds: a topic full of other writers' records must not keep the feed waiting
LOOKUP_TIMEOUT: Final = 10.0
MAX_EVENTS: Final = 1_000  # of `ats.feed`, looked at from its end

log = structlog.get_logger(__name__)

_Spans: TypeAlias = Mapping[TopicPartition, Span]


async def last_clock(connection: KafkaConnection, config: GatewayConfig) -> UtcNs | None:
    """The market clock (UTC ns) up to which the previous run of `config.gateway` lost nothing.

    None when there was no such run; `UNKNOWN` when there was one and its records do not say. Call
    it before the new run publishes anything.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    async with open_tail(connection, [TICKS, FEED]) as tail:
        spans = {each: span for each, span in tail.spans.items() if each.topic == TICKS.name}
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                clocks = await _last_clocks(tail, spans, config.gateway)
                return _least(clocks, spans) if clocks else await _began(tail, config)
        except TimeoutError:
            log.warning("previous_run_not_found", looked_for=LOOKUP_TIMEOUT)
            return UNKNOWN


def _least(clocks: Mapping[TopicPartition, UtcNs], spans: _Spans) -> UtcNs:
    return min(clocks.values()) if len(clocks) == len(spans) else UNKNOWN


async def _last_clocks(tail: TopicTail, left: _Spans, gateway: int) -> dict[TopicPartition, UtcNs]:
    """The clock of this gateway's last record by partition, read backwards from the ends."""
    found: dict[TopicPartition, UtcNs] = {}
    look = FIRST_LOOKBACK
    while left := {
        at: span for at, span in left.items() if at not in found and span.start < span.stop
    }:
        window = {
            at: Span(max(span.start, span.stop - look), span.stop) for at, span in left.items()
        }
        async for record in tail.read(window):
            if (clock := _clock_of(record.value or b"", gateway)) is not None:
                found[record.topic_partition] = clock
        left = {at: Span(span.start, window[at].start) for at, span in left.items()}
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


async def _began(tail: TopicTail, config: GatewayConfig) -> UtcNs | None:
    """When the first of the runs began that published no clock; None when there was none."""
    numbers = range(config.gateway, config.gateway + config.connections)
    since: UtcNs | None = None
    events = {each: span for each, span in tail.spans.items() if each.topic == FEED.name}
    newest = {
        at: Span(max(span.start, span.stop - MAX_EVENTS), span.stop) for at, span in events.items()
    }
    async for record in tail.read(newest):
        try:
            event = decode(FeedEvent, record.value)
        except Unreadable:
            continue
        if event.gateway in numbers:
            since = since or event.event_time
    # in a replay such a run knew no market time, and stamped its events with the wall's
    return UNKNOWN if since and not config.live else since

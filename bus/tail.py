"""Reads topics from their ends backwards, to find what was written last.

It joins no consumer group.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition  # what `pause` and `resume` insist on

from bus.connection import KafkaConnection, reader
from bus.patience import Silence
from bus.reader import LARGEST_FETCH, POLL_MS, partitions_of, record_of
from bus.records import Record, TopicPartition
from schemas.topics import Topic


class Span(NamedTuple):
    """Offsets from `start` up to, without, `stop`."""

    start: int
    stop: int


class TopicTail:
    """The records that stood in some topics when they were opened.

    Attributes:
        spans: What each partition held then; empty partitions have equal offsets.
    """

    def __init__(self, client: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span]) -> None:
        self._client = client
        self.spans = spans

    async def read(self, spans: Mapping[TopicPartition, Span]) -> AsyncIterator[Record]:
        """The records of `spans`, each partition in its order. One call at a time.

        Raises:
            TryLater: no broker answers for a minute.
        """
        left = {
            ClientPartition(*each): span.stop
            for each, span in spans.items()
            if span.start < span.stop
        }
        for partition in left:
            self._client.seek(partition, spans[TopicPartition(*partition)].start)
        self._client.resume(*left)
        silence = Silence()
        while left:
            found = await self._client.getmany(*left, timeout_ms=POLL_MS)
            for partition, rows in found.items():
                for row in rows:
                    if row.offset < left[partition]:
                        yield record_of(row)
            for partition in [
                at for at, stop in left.items() if await self._client.position(at) >= stop
            ]:
                del left[partition]
                self._client.pause(partition)
            if left:
                silence.note(TopicPartition(*min(left)), heard=bool(found))


@asynccontextmanager
async def open_tail(
    connection: KafkaConnection, topics: Sequence[Topic]
) -> AsyncIterator[TopicTail]:
    """The tail of `topics` as they are now.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    async with reader(
        connection, auto_offset_reset="earliest", max_partition_fetch_bytes=LARGEST_FETCH
    ) as client:
        partitions = [ClientPartition(*each) for each in await partitions_of(client, topics)]
        # asked before assign(): behind a fetch that waits for records each question takes half a
        # second
        begins, ends = (
            await client.beginning_offsets(partitions),
            await client.end_offsets(partitions),
        )
        client.assign(partitions)
        client.pause(*partitions)
        yield TopicTail(
            client, {TopicPartition(*each): Span(begins[each], ends[each]) for each in partitions}
        )

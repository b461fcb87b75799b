"""Snapshots of engine state: one key per source partition, each holding the next offset and the state at it.

A cache, never a source: an old snapshot is as true as a new one, only further back. Layout: next offset (little-endian
int64), then whatever the machine dumped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from bus.connection import KafkaConnection, reader
from bus.publisher import LARGEST_REQUEST, Publisher
from bus.records import Output
from schemas.errors import Misconfigured
from schemas.topics import Topic

log = structlog.get_logger(__name__)

_NEXT: Final = struct.Struct("<q")
TAIL: Final = 4  # records looked at from the end; skips what a zombie wrote late
OVERHEAD: Final = 1024  # bytes a record batch adds, generously
FETCH_WAIT_MS: Final = 20  # 0.2 s instead of 2 s for six partitions (faust.md, 14)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of one partition.

    Attributes:
        next: Offset of the first record that is not in the state.
        state: What the machine dumped; None when the partition never had a snapshot.
    """

    next: int
    state: bytes | None


class Snapshots:
    """Loads and saves the snapshots of one service. The topic belongs to that service alone."""

    def __init__(self, connection: KafkaConnection, source: Topic, topic: Topic, publisher: Publisher) -> None:
        """Give it a `publisher` of its own: large snapshots delay what shares their producer (perf.md, 4)."""
        self._connection = connection
        self._source = source
        self._topic = topic
        self._publisher = publisher

    async def save(self, partition: int, snapshot: Snapshot) -> bool:
        """Write and wait for the acknowledgement; False when it is too large, which costs replay but no truth."""
        blob = _NEXT.pack(snapshot.next) + (snapshot.state or b"")
        if len(blob) + OVERHEAD > self._topic.max_message_bytes:
            log.error("snapshot_too_large", partition=partition, bytes=len(blob), limit=self._topic.max_message_bytes)
            return False
        await self._publisher.send_and_wait(Output(self._topic, b"%d" % partition, blob, partition))
        return True

    async def load(self, partitions: Iterable[int]) -> dict[int, Snapshot]:
        """The furthest snapshot of each partition; without any, the start of the source.

        Raises:
            Misconfigured: the source does not reach the snapshot, so neither can be trusted. Never start empty then.
            TryLater: no broker answers.
        """
        limits = {"max_partition_fetch_bytes": LARGEST_REQUEST, "fetch_max_wait_ms": FETCH_WAIT_MS}
        async with reader(self._connection, **limits) as client:
            return await self._load(client, sorted(partitions))

    async def _load(self, client: AIOKafkaConsumer, partitions: list[int]) -> dict[int, Snapshot]:
        sources = {number: TopicPartition(self._source.name, number) for number in partitions}
        # asked before any assign(): behind a fetch that waits for records each question takes half a second
        first = await client.beginning_offsets(sources.values())
        best = await self._furthest(client, [TopicPartition(self._topic.name, number) for number in partitions])
        last = await client.end_offsets(sources.values())  # after the snapshots were read: none may be ahead of it
        found = {}
        for number, source in sources.items():
            snapshot = found[number] = best.get(number) or Snapshot(first[source], None)
            if not first[source] <= snapshot.next <= last[source]:
                raise Misconfigured(
                    f"{source.topic}-{number} holds offsets {first[source]} to {last[source]}, but its snapshot in "
                    f"{self._topic.name} needs {snapshot.next}; restore the topic, or delete {self._topic.name} to start afresh"
                )
        return found

    async def _furthest(self, client: AIOKafkaConsumer, shelves: list[TopicPartition]) -> dict[int, Snapshot]:
        begins, ends = await client.beginning_offsets(shelves), await client.end_offsets(shelves)
        client.assign(shelves)
        for shelf in shelves:
            client.seek(shelf, max(begins[shelf], ends[shelf] - TAIL))
        best: dict[int, Snapshot] = {}
        while [shelf for shelf in shelves if await client.position(shelf) < ends[shelf]]:
            for shelf, rows in (await client.getmany(timeout_ms=200)).items():
                found = [*filter(None, [best.get(shelf.partition)]), *map(_snapshot_of, rows)]
                best[shelf.partition] = max(found, key=lambda snapshot: snapshot.next)
        return best


def _snapshot_of(row: Any) -> Snapshot:
    if row.value is None or len(row.value) < _NEXT.size:
        raise Misconfigured(
            f"not a snapshot: {row.topic}-{row.partition}@{row.offset}; delete the topic to start afresh"
        )
    return Snapshot(_NEXT.unpack_from(row.value)[0], row.value[_NEXT.size :])

"""Keeps snapshots of processor state in Kafka, in chunks.

Writing a small record holds nobody up, and no record limit bounds the state. A snapshot is a cache,
never a source: an old one is as true as a new one, only further back. Each chunk is a record that
says which snapshot it is part of. A partition has two slots, written in turn. While the chunks in
one slot replace each other, and compaction removes what they replaced, the snapshot in the other
slot stays complete.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer

from bus.connection import KafkaConnection, reader
from bus.patience import Silence
from bus.publisher import LARGEST_REQUEST, Publisher
from bus.records import Output, TopicPartition
from schemas.errors import Misconfigured
from schemas.topics import Topic

log = structlog.get_logger(__name__)

# one takes the event loop about 2 ms, a header snapshot of 12 MB took 100 ms
CHUNK_BYTES: Final = 256 * 1024
MAGIC: Final = b"ATSP"
FETCH_WAIT_MS: Final = 20  # 0.2 s instead of 2 s for six partitions (docs/facts/faust.md)
# magic, next offset, checksum of the state, which chunk, of how many
_LAYOUT: Final = struct.Struct("<4sqIII")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of one partition.

    Attributes:
        next_offset: Offset of the first record that is not in the state.
        state: What the machine dumped; None when the partition never had a snapshot.
    """

    next_offset: int
    state: bytes | None


class _Header(NamedTuple):
    """What the chunks of one snapshot have in common."""

    next_offset: int
    checksum: int
    chunks: int


class _Chunk(NamedTuple):
    """One record of the topic: the `nth` chunk of the snapshot that `header` names."""

    slot: int
    header: _Header
    nth: int
    value: bytes


class Snapshots:
    """Loads and saves the snapshots of one service. The topic belongs to that service alone."""

    def __init__(
        self, connection: KafkaConnection, source: Topic, topic: Topic, publisher: Publisher
    ) -> None:
        self._connection = connection
        self._source = source
        self._topic = topic
        self._publisher = publisher
        self._slot: dict[int, int] = {}  # the one to be written next, by partition

    async def save(self, partition: int, next_: int, state: bytes) -> None:
        """Write and wait for the acknowledgement. One call at a time for each partition."""
        view, slot = memoryview(state), self._slot.get(partition, 0)
        header = _Header(
            next_, await asyncio.to_thread(crc32, state), max(1, -(-len(state) // CHUNK_BYTES))
        )
        before = None
        for nth in range(header.chunks):
            packed = _LAYOUT.pack(MAGIC, header.next_offset, header.checksum, nth, header.chunks)
            value = b"".join((packed, view[nth * CHUNK_BYTES : (nth + 1) * CHUNK_BYTES]))
            sent = await self._publisher.send(
                Output(self._topic, _key(partition, slot, nth), value, partition)
            )
            if before:
                await asyncio.shield(before)  # cancelling us must not cancel the record
            before = sent
        if before:
            await asyncio.shield(before)
        self._slot[partition] = 1 - slot

    async def load(self, partitions: Iterable[int]) -> dict[int, Snapshot]:
        """The latest complete snapshot of each partition; without any, the start of the source.

        Raises:
            Misconfigured: the source does not reach the snapshot, so neither can be trusted. Never
                start empty then.
            TryLater: no broker answers, or none for a minute before the snapshot is read.
        """
        limits = {"max_partition_fetch_bytes": LARGEST_REQUEST, "fetch_max_wait_ms": FETCH_WAIT_MS}
        async with reader(self._connection, **limits) as client:
            return await self._load(client, sorted(partitions))

    async def _load(self, client: AIOKafkaConsumer, partitions: list[int]) -> dict[int, Snapshot]:
        sources = {number: TopicPartition(self._source.name, number) for number in partitions}
        places = {number: TopicPartition(self._topic.name, number) for number in partitions}
        # asked before any assign(): behind a fetch that waits for records each question takes half
        # a second
        first = await client.beginning_offsets(sources.values())
        begins, ends = (
            await client.beginning_offsets(places.values()),
            await client.end_offsets(places.values()),
        )
        best = {
            number: await self._latest(client, place, begins[place], ends[place])
            for number, place in places.items()
        }
        # after the snapshots were read: none may be ahead of it
        last = await client.end_offsets(sources.values())
        found = {}
        for number, source in sources.items():
            snapshot = found[number] = best[number] or Snapshot(first[source], None)
            if not first[source] <= snapshot.next_offset <= last[source]:
                raise Misconfigured(
                    f"{source.topic}-{number} holds offsets {first[source]} to {last[source]}, but "
                    f"its snapshot in {self._topic.name} needs {snapshot.next_offset}; restore the "
                    f"topic, or delete {self._topic.name} to start afresh"
                )
        return found

    async def _latest(
        self, client: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int
    ) -> Snapshot | None:
        """Look back from the end, further and further, until a snapshot is complete."""
        start = end
        back = 1  # the last chunk says how many there are
        while start > begin:
            start = max(begin, end - back)
            rows = await _read(client, place, start, end)
            chunks = [_chunk_of(row) for row in rows]
            if found := _latest_complete(chunks):
                slot, snapshot = found
                self._slot[place.partition] = 1 - slot
                return snapshot
            back = max(2 * back, chunks[-1].header.chunks if chunks else 0)
        return None


def _key(partition: int, slot: int, nth: int) -> bytes:
    return b"%d/%d/%d" % (partition, slot, nth)


async def _read(client: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> list[Any]:
    client.assign([place])
    client.seek(place, start)
    rows, silence = list[Any](), Silence()
    while await client.position(place) < end:
        answer = await client.getmany(timeout_ms=200)
        for found in answer.values():
            rows += found
        silence.note(place, heard=bool(answer))
    return rows


def _chunk_of(row: Any) -> _Chunk:
    try:
        magic, next_, checksum, nth, chunks = _LAYOUT.unpack_from(row.value or b"")
        slot = int((row.key or b"").split(b"/")[1])
    except (struct.error, IndexError, ValueError):
        magic = b""
    if magic != MAGIC:
        raise Misconfigured(
            f"not a chunk of a snapshot: {row.topic}-{row.partition}@{row.offset}; delete the "
            "topic to start afresh"
        )
    return _Chunk(slot, _Header(next_, checksum, chunks), nth, row.value[_LAYOUT.size :])


def _latest_complete(chunks: list[_Chunk]) -> tuple[int, Snapshot] | None:
    """The complete snapshot that is furthest on, and its slot."""
    found: dict[tuple[_Header, int], dict[int, bytes]] = {}
    for chunk in chunks:
        found.setdefault((chunk.header, chunk.slot), {})[chunk.nth] = chunk.value
    complete = [each for each, parts in found.items() if len(parts) == each[0].chunks]
    for header, slot in sorted(complete, reverse=True):
        parts = found[header, slot]
        state = b"".join(parts[nth] for nth in range(header.chunks))
        if crc32(state) == header.checksum:
            return slot, Snapshot(header.next_offset, state)
        log.error("snapshot_damaged", next_offset=header.next_offset, chunks=header.chunks)
    return None

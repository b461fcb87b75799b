"""Snapshots of engine state, in pieces: writing a small one holds nobody up, and no record limit bounds the state.

A cache, never a source: an old snapshot is as true as a new one, only further back. Each piece is a record that says which
snapshot it is of. A partition has two shelves, written in turn: while the pieces on one replace each other, and compaction
removes what they replaced, the snapshot on the other is whole.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from zlib import crc32

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from bus.connection import KafkaConnection, reader
from bus.publisher import LARGEST_REQUEST, Publisher
from bus.records import Output
from schemas.errors import Misconfigured
from schemas.topics import Topic

log = structlog.get_logger(__name__)

PIECE: Final = 256 * 1024  # bytes; one takes the event loop about 2 ms, a whole snapshot of 12 MB took 100 ms
MAGIC: Final = b"ATSP"
FETCH_WAIT_MS: Final = 20  # 0.2 s instead of 2 s for six partitions (docs/facts/faust.md)
_HEADER: Final = struct.Struct("<4sqIII")  # magic, next offset, checksum of the whole, which piece, of how many


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of one partition.

    Attributes:
        next: Offset of the first record that is not in the state.
        state: What the machine dumped; None when the partition never had a snapshot.
    """

    next: int
    state: bytes | None


class _Whole(NamedTuple):
    """What the pieces of one snapshot have in common."""

    next: int
    checksum: int
    pieces: int


class _Piece(NamedTuple):
    """One record of the topic: the `nth` piece of `whole`."""

    shelf: int
    whole: _Whole
    nth: int
    value: bytes


class Snapshots:
    """Loads and saves the snapshots of one service. The topic belongs to that service alone."""

    def __init__(self, connection: KafkaConnection, source: Topic, topic: Topic, publisher: Publisher) -> None:
        self._connection = connection
        self._source = source
        self._topic = topic
        self._publisher = publisher
        self._shelf: dict[int, int] = {}  # the one to be written next, by partition

    async def save(self, partition: int, next_: int, state: bytes) -> None:
        """Write and wait for the acknowledgement. One call at a time for each partition."""
        view, shelf = memoryview(state), self._shelf.get(partition, 0)
        whole = _Whole(next_, await asyncio.to_thread(crc32, state), max(1, -(-len(state) // PIECE)))
        before = None
        for nth in range(whole.pieces):
            header = _HEADER.pack(MAGIC, whole.next, whole.checksum, nth, whole.pieces)
            value = b"".join((header, view[nth * PIECE : (nth + 1) * PIECE]))
            sent = await self._publisher.send(Output(self._topic, _key(partition, shelf, nth), value, partition))
            if before:
                await asyncio.shield(before)  # cancelling us must not cancel the record
            before = sent
        if before:
            await asyncio.shield(before)
        self._shelf[partition] = 1 - shelf

    async def load(self, partitions: Iterable[int]) -> dict[int, Snapshot]:
        """The latest whole snapshot of each partition; without any, the start of the source.

        Raises:
            Misconfigured: the source does not reach the snapshot, so neither can be trusted. Never start empty then.
            TryLater: no broker answers.
        """
        limits = {"max_partition_fetch_bytes": LARGEST_REQUEST, "fetch_max_wait_ms": FETCH_WAIT_MS}
        async with reader(self._connection, **limits) as client:
            return await self._load(client, sorted(partitions))

    async def _load(self, client: AIOKafkaConsumer, partitions: list[int]) -> dict[int, Snapshot]:
        sources = {number: TopicPartition(self._source.name, number) for number in partitions}
        places = {number: TopicPartition(self._topic.name, number) for number in partitions}
        # asked before any assign(): behind a fetch that waits for records each question takes half a second
        first = await client.beginning_offsets(sources.values())
        begins, ends = await client.beginning_offsets(places.values()), await client.end_offsets(places.values())
        best = {
            number: await self._latest(client, place, begins[place], ends[place]) for number, place in places.items()
        }
        last = await client.end_offsets(sources.values())  # after the snapshots were read: none may be ahead of it
        found = {}
        for number, source in sources.items():
            snapshot = found[number] = best[number] or Snapshot(first[source], None)
            if not first[source] <= snapshot.next <= last[source]:
                raise Misconfigured(
                    f"{source.topic}-{number} holds offsets {first[source]} to {last[source]}, but its snapshot in "
                    f"{self._topic.name} needs {snapshot.next}; restore the topic, or delete {self._topic.name} to start afresh"
                )
        return found

    async def _latest(self, client: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int) -> Snapshot | None:
        """Look back from the end, further and further, until a snapshot is whole."""
        start = end
        back = 1  # the last piece says how many there are
        while start > begin:
            start = max(begin, end - back)
            rows = await _read(client, place, start, end)
            pieces = [_piece_of(row) for row in rows]
            if found := _furthest(pieces):
                shelf, snapshot = found
                self._shelf[place.partition] = 1 - shelf
                return snapshot
            back = max(2 * back, pieces[-1].whole.pieces if pieces else 0)
        return None


def _key(partition: int, shelf: int, nth: int) -> bytes:
    return b"%d/%d/%d" % (partition, shelf, nth)


async def _read(client: AIOKafkaConsumer, place: TopicPartition, start: int, end: int) -> list[Any]:
    client.assign([place])
    client.seek(place, start)
    rows: list[Any] = []
    while await client.position(place) < end:
        for found in (await client.getmany(timeout_ms=200)).values():
            rows += found
    return rows


def _piece_of(row: Any) -> _Piece:
    try:
        magic, next_, checksum, nth, pieces = _HEADER.unpack_from(row.value or b"")
        shelf = int((row.key or b"").split(b"/")[1])
    except (struct.error, IndexError, ValueError):
        magic = b""
    if magic != MAGIC:
        raise Misconfigured(
            f"not a piece of a snapshot: {row.topic}-{row.partition}@{row.offset}; delete the topic to start afresh"
        )
    return _Piece(shelf, _Whole(next_, checksum, pieces), nth, row.value[_HEADER.size :])


def _furthest(pieces: list[_Piece]) -> tuple[int, Snapshot] | None:
    """Of the snapshots that are whole the one that is furthest, and its shelf."""
    found: dict[tuple[_Whole, int], dict[int, bytes]] = {}
    for piece in pieces:
        found.setdefault((piece.whole, piece.shelf), {})[piece.nth] = piece.value
    complete = [each for each, parts in found.items() if len(parts) == each[0].pieces]
    for whole, shelf in sorted(complete, reverse=True):
        parts = found[whole, shelf]
        state = b"".join(parts[nth] for nth in range(whole.pieces))
        if crc32(state) == whole.checksum:
            return shelf, Snapshot(whole.next, state)
        log.error("snapshot_damaged", next=whole.next, pieces=whole.pieces)
    return None

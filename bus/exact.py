"""Reads and writes records with nothing left out, for copies of topics.

`bus.records.Record` keeps the last of repeated headers, and an output has neither a stamp of its
own nor a tombstone. Here a record is what Kafka holds: stamp, missing key or value, headers in
their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from bus.connection import KafkaConnection, administrator, reader
from bus.patience import Silence
from bus.publisher import durable_producer, start
from bus.reader import LARGEST_FETCH, POLL_MS, partitions_of
from bus.records import NS_PER_MS, Record, TopicPartition
from bus.tail import Span
from schemas.errors import Misconfigured, TryLater
from schemas.topics import Topic
from schemas.units import UtcNs

IN_FLIGHT: Final = 8  # batches: 4 MiB, so that writing waits for neither memory nor the network

Headers = tuple[tuple[str, bytes | None], ...]


class ExactRecord(NamedTuple):
    """One record as Kafka holds it. A tuple, because thousands are made at once.

    Attributes:
        stamp_ms: When it was written, by the writer's clock, POSIX milliseconds.
        headers: In their order; a name may stand twice, a value may be missing.
    """

    topic: str
    partition: int
    offset: int
    stamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"

    @property
    def record(self) -> Record:
        """What every other reader sees of it."""
        place = self.topic, self.partition, self.offset
        stamp = UtcNs(self.stamp_ms * NS_PER_MS)
        headers: dict[str, Any] = dict(self.headers)
        return Record(*place, self.key, self.value, stamp, headers)


async def read_exactly(
    connection: KafkaConnection, topic: Topic, spans: Mapping[int, Span]
) -> AsyncGenerator[ExactRecord, None]:
    """Yield the records of `spans`, one partition of `topic` after the other.

    Raises:
        Misconfigured: the topic does not exist.
        TryLater: no broker answers, at the start or for a minute.
    """
    options = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": LARGEST_FETCH}
    async with reader(connection, **options) as client:
        for place in await partitions_of(client, [topic]):
            span = spans.get(place.partition, Span(0, 0))
            if span.start >= span.stop:
                continue
            client.assign([place])
            client.seek(place, span.start)
            silence = Silence()
            while await client.position(place) < span.stop:
                found = await client.getmany(timeout_ms=POLL_MS)
                for row in found.get(place, ()):
                    if row.offset < span.stop:
                        yield exact(row)
                silence.note(place, heard=bool(found))


def exact(row: Any) -> ExactRecord:
    """What aiokafka read, in our terms."""
    place = row.topic, row.partition, row.offset
    return ExactRecord(*place, row.timestamp, row.key, row.value, tuple(row.headers))


async def exact_record_at(
    connection: KafkaConnection, topic: Topic, partition: int, offset: int
) -> ExactRecord | None:
    """The record at `offset`; None where none stands there. Raises as `read_exactly`."""
    found = read_exactly(connection, topic, {partition: Span(offset, offset + 1)})
    async with aclosing(found) as records:
        async for record in records:
            return record
    return None


class ExactWriter:
    """Appends records as they are, stamps included. An async context manager.

    Each partition grows in the order of `write`; a process that is killed leaves a begin of what
    was written, never a gap.
    """

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._batches: dict[TopicPartition, Any] = {}
        self._sent: list[asyncio.Future[Any]] = []
        self._producer = durable_producer(connection)

    async def __aenter__(self) -> Self:
        """Connect. Raises as `bus.publisher.start`."""
        await start(self._producer, self._connection)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.stop()

    async def write(self, record: ExactRecord) -> None:
        """Append `record` to its partition, wherever it stood before.

        Raises:
            Misconfigured: Kafka refuses the record for good.
            TryLater: Kafka takes no record now.
        """
        place = TopicPartition(record.topic, record.partition)
        batch = self._batches.get(place)
        if batch is not None and not _append(batch, record):
            await self._send(place)
            batch = None
        if batch is None:
            batch = self._batches[place] = self._producer.create_batch()
            if not _append(batch, record):
                raise Misconfigured(f"{record} does not fit into a batch of its own")

    async def flush(self) -> None:
        """Return when all that was written is acknowledged. Raises as `write`."""
        for place in list(self._batches):
            await self._send(place)
        await self._acknowledged(0)

    async def _send(self, place: TopicPartition) -> None:
        batch = self._batches.pop(place)
        batch.close()
        try:
            sent = await self._producer.send_batch(batch, place.topic, partition=place.partition)
        except KafkaError as error:
            raise _refused(error) from None
        self._sent.append(sent)
        await self._acknowledged(IN_FLIGHT)

    async def _acknowledged(self, but: int) -> None:
        """Wait until no more than `but` batches are under way."""
        while len(self._sent) > but:
            try:
                await self._sent.pop(0)
            except KafkaError as error:
                raise _refused(error) from None


def _append(batch: Any, record: ExactRecord) -> bool:
    """Whether `batch` had room."""
    appended = batch.append(
        timestamp=record.stamp_ms, key=record.key, value=record.value, headers=list(record.headers)
    )
    return appended is not None


def _refused(error: KafkaError) -> Misconfigured | TryLater:
    if getattr(error, "retriable", False):
        return TryLater(f"Kafka takes no record now ({error!r}); start it again to go on")
    return Misconfigured(f"Kafka refuses a record: {error!r}")


async def delete_before(connection: KafkaConnection, offsets: Mapping[TopicPartition, int]) -> None:
    """Let each partition begin at its offset.

    Raises:
        TryLater: no broker answers.
    """
    async with administrator(connection) as admin:
        await admin.delete_records(
            {place: RecordsToDelete(before) for place, before in offsets.items()}
        )

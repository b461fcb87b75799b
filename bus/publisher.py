"""One idempotent producer: every write is acknowledged by all replicas, or the caller learns that
it was not.

A record joins the batch that waits for its partition; while a request is on its way the next batch
grows, so a burst needs few requests. `aiokafka`'s own `send` makes a future for each record and
looks up what never changes: three quarters of its time. The private names of aiokafka's producer
stand here and nowhere else; each upgrade reruns tests/bus.

Where the guarantee stops: within one `Publisher`, records of a partition arrive in the order of
`send`, once each. A process that starts again may repeat what it sent before; readers drop repeats
(`schemas.lineage`, or by id).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
)

from bus.connection import KafkaConnection, unreachable
from bus.patience import until_known
from bus.records import Output, TopicPartition, partition_for
from schemas import cloud_events
from schemas.errors import Misconfigured, TryLater
from schemas.topics import MIB, Topic

log = structlog.get_logger(__name__)

# The largest record of the catalogue is a dead letter; the broker checks each topic's own limit.
LARGEST_REQUEST: Final = 4 * MIB
# One request takes one batch of each partition; a topic's smallest limit, of a whole batch, is 1
# MiB.
BATCH: Final = MIB // 2
# a broker restart takes 6 to 9 s (docs/facts/faust.md); longer is an outage
REQUEST_TIMEOUT_MS: Final = 30_000


def durable_producer(connection: KafkaConnection, *, linger: float = 0.0) -> AIOKafkaProducer:
    """Idempotent, acknowledged by all replicas; `linger` is seconds. Not started."""
    return AIOKafkaProducer(
        **connection.client_options(),
        enable_idempotence=True,
        acks="all",
        linger_ms=int(linger * 1000),
        max_batch_size=BATCH,
        max_request_size=LARGEST_REQUEST,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )


async def start(producer: AIOKafkaProducer, connection: KafkaConnection) -> None:
    """Connect it.

    Raises:
        Misconfigured: a broker refuses us, or we its certificate.
        TryLater: no broker answers.
    """
    try:
        await producer.start()
    except KafkaConnectionError as error:
        await producer.stop()
        raise await unreachable(connection, error) from None


class Publisher:
    """Writes outputs. An async context manager; leaving it waits for what is in flight.

    A send that fails for good cannot be made good, because later records may have arrived: the
    error is raised by the next call of any method and on leaving, and told to `on_failure` at once.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        on_failure: Callable[[BaseException], None] | None = None,
        *,
        linger: float = 0.0,
        verbatim: bool = False,
    ) -> None:
        """`linger` is the shortest time between two requests, in seconds.

        With a long one, outputs that nobody waits for travel in few large requests. `verbatim`
        writes the headers of each output and no others: for who copies records.
        """
        self._connection = connection
        self._stamp = connection.stamp
        self._verbatim = verbatim
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._known: dict[str, int] = {}  # partitions of each topic: never changed in place
        self._watched: dict[TopicPartition, asyncio.Future[Any]] = {}
        self._producer = durable_producer(connection, linger=linger)

    async def __aenter__(self) -> Self:
        """Connect. Raises as `start`."""
        await start(self._producer, self._connection)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.stop()
        if error is None:
            self._raise_failure()

    async def send(self, output: Output) -> asyncio.Future[Any]:
        """Queue `output`; the future resolves when it is acknowledged, perhaps together with
        others. Do not cancel it.

        Waits while the partition's batch is full: that is how a slow broker slows its writers down.

        Raises:
            TryLater: an earlier send failed, or there is no room for as long as a request may take.
            Misconfigured: the topic, or the partition asked for, does not exist.
        """
        if self._failure is not None:
            self._raise_failure()
        topic, count = output.topic, self._known.get(output.topic.name)
        if count is None:
            count = self._known[topic.name] = await self._partitions(topic)
        partition = partition_for(output, count) if output.partition is None else output.partition
        if partition >= count:
            raise Misconfigured(
                f"{topic.name} has {count} partitions, so none of number {partition}"
            )
        place = TopicPartition(topic.name, partition)
        headers = self._headers(output)
        future = self._append(place, output, headers)
        if future is None:  # no room: the public way waits for it
            try:
                future = await self._producer.send(
                    topic.name,
                    output.value,
                    key=output.key,
                    partition=partition,
                    headers=headers,
                )
            except KafkaTimeoutError as error:  # the batch before was not taken for so long
                raise _not_accepted(error) from None
            future.add_done_callback(self._note)
        return future

    def _headers(self, output: Output) -> list[tuple[str, bytes]]:
        """Its own, the manifest's, and those that make it a CloudEvent."""
        if self._verbatim:
            return [*output.headers]
        event = cloud_events.headers_of(output.topic, output.key, output.value)
        return [*output.headers, *self._stamp.headers, *event]

    def _append(
        self, place: TopicPartition, output: Output, headers: list[tuple[str, bytes]]
    ) -> asyncio.Future[Any] | None:
        """Put `output` into the batch that waits for `place`; None when it is full.

        What aiokafka does in `add_message`.
        """
        waiting = self._producer._message_accumulator  # noqa: SLF001
        if waiting._closed or waiting._exception is not None:  # noqa: SLF001
            return None
        batches = waiting._batches.get(place)  # noqa: SLF001
        # a batch that has been taken for a request must not grow: its sequence numbers are given
        batch = batches[-1] if batches else waiting._append_batch(waiting.create_builder(), place)  # noqa: SLF001
        row = batch._builder.append(  # noqa: SLF001
            timestamp=None,
            key=output.key,
            value=output.value,
            headers=headers,
        )
        if row is None:
            return None
        future: asyncio.Future[Any] = batch.future
        if self._watched.get(place) is not future:
            self._watched[place] = future
            future.add_done_callback(self._note)
        return future

    async def send_and_wait(self, output: Output) -> None:
        """As `send_all` of one output."""
        await self.send_all((output,))

    async def send_all(self, outputs: Sequence[Output]) -> None:
        """Send `outputs` and return when the broker has acknowledged all of them.

        A caller that is cancelled stops waiting; the records are sent all the same.

        Raises:
            TryLater: the broker did not take one of them, or an earlier one.
            Misconfigured: as `send`.
        """
        waiting = [await self.send(output) for output in outputs]
        try:
            for sent in waiting:
                await asyncio.shield(sent)  # cancelling a wait must not cancel the record
        except KafkaError as error:
            self._failure = self._failure or error
            self._raise_failure()

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged."""
        await self._producer.flush()
        self._raise_failure()

    async def _partitions(self, topic: Topic) -> int:
        async def look() -> int | None:
            try:
                return len(await self._producer.partitions_for(topic.name))
            except UnknownTopicOrPartitionError:
                return None

        if (count := await until_known(look)) is None:
            raise Misconfigured(f"topic missing: {topic.name}; run `ats topics create`")
        return count

    def _note(self, future: asyncio.Future[Any]) -> None:
        failure = asyncio.CancelledError() if future.cancelled() else future.exception()
        if failure is None or self._failure is not None:
            return
        self._failure = failure
        log.error("send_failed", error=repr(failure))
        if self._on_failure:
            self._on_failure(failure)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise _not_accepted(self._failure)


def _not_accepted(failure: BaseException) -> TryLater:
    return TryLater(f"an output was not accepted by Kafka ({failure!r}); start the process again")

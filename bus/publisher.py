"""One idempotent producer: every write is acknowledged by all replicas, or the caller learns that it was not.

Where the guarantee stops: within one `Publisher`, records of a partition arrive in the order of `send`, once each. A
process that starts again may repeat what it sent before; readers drop repeats (`schemas.lineage`, or by id).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from bus.connection import KafkaConnection, unreachable
from bus.records import Output, partition_for
from schemas.errors import Misconfigured, TryLater
from schemas.topics import MIB, Topic

log = structlog.get_logger(__name__)

LARGEST_REQUEST: Final = (
    16 * MIB
)  # the largest record of the catalogue is a snapshot; the broker checks each topic's own limit
GIVE_UP_MS: Final = 30_000  # a broker restart takes 6 to 9 s (reference/faust.md, 12); longer is an outage


class Publisher:
    """Writes outputs. An async context manager; leaving it waits for what is in flight.

    A send that fails for good cannot be made good, because later records may have arrived: the error is raised by the
    next call of any method and on leaving, and told to `on_failure` at once.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._connection = connection
        self._on_failure = on_failure
        self._failure: BaseException | None = None
        self._producer = AIOKafkaProducer(
            **connection.client_options(),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_request_size=LARGEST_REQUEST,
            request_timeout_ms=GIVE_UP_MS,
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            TryLater: no broker answers.
        """
        try:
            await self._producer.start()
        except KafkaConnectionError as error:
            await self._producer.stop()
            raise unreachable(self._connection, error) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
        if error is None:
            self._raise_failure()

    async def send(self, output: Output) -> asyncio.Future[Any]:
        """Queue `output`; the future resolves when it is acknowledged.

        Raises:
            TryLater: an earlier send failed.
            Misconfigured: the topic does not exist.
        """
        self._raise_failure()
        partition = output.partition
        if partition is None:
            partition = partition_for(output, await self._partitions(output.topic))
        future: asyncio.Future[Any] = await self._producer.send(
            output.topic.name,
            output.value,
            key=output.key,
            partition=partition,
            headers=list(output.headers),
        )
        future.add_done_callback(self._note)
        return future

    async def send_and_wait(self, output: Output) -> None:
        # cancelling a wait must not cancel the record
        await asyncio.shield(await self.send(output))

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged."""
        await self._producer.flush()
        self._raise_failure()

    async def _partitions(self, topic: Topic) -> int:
        try:
            return len(await self._producer.partitions_for(topic.name))
        except UnknownTopicOrPartitionError:
            raise Misconfigured(f"topic missing: {topic.name}; run `ats topics create`") from None

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
            raise TryLater(f"an output was not accepted by Kafka ({self._failure!r}); start the process again")

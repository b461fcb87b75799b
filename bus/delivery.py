"""Hands fetched records to the shell, in order, and drops what a rebalance made stale.

Whichever client fetches: `bus.faust_app` or `bus.librdkafka`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from bus import librdkafka
from bus.connection import KafkaConnection
from bus.exit import terminate_on
from bus.metrics import ShellMetrics
from bus.records import Record, TopicPartition

TURN: Final = 0.002  # seconds of taking records before the event loop gets its turn


class Shell(Protocol):
    """What a member of the group does with its partitions. All calls come from one event loop."""

    async def on_assigned(self, owned: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Own exactly these from now on; return where to read each.

        May be called again with the same set.
        """

    async def process(self, record: Record) -> None:
        """The next record; the one after it waits until this returns."""

    async def on_revoked(self) -> None:
        """Partitions may leave in a moment: make durable what is quickly done."""


class Buffer:
    """What is between fetching and the shell's taking.

    Counts its bytes, and holds fetching up while they are too many: Faust itself counts records
    only, and a few thousand of a backlog's large ones would be a gigabyte. Knows which of it is
    stale: partitions have been given out anew since it was fetched, so it is read again from where
    their state stands.

    Attributes:
        limit: Bytes.
        generation: How often partitions have been given out.
        rebalancing: They are being given out just now.
    """

    def __init__(self, limit: int, metrics: ShellMetrics) -> None:
        self.limit = limit
        self._metrics = metrics
        self._room = asyncio.Event()
        self._room.set()
        self.generation = 0
        self.rebalancing = False

    async def room(self, seconds: float) -> bool:
        """Wait until there is room, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    def change(self, by: int) -> None:
        """Count `by` bytes more, or less when negative; open or close the room for reading on."""
        # a rebalance drops what Faust holds: counting begins anew, and what is still delivered was
        # counted before
        self._metrics.buffered_bytes = max(0, self._metrics.buffered_bytes + by)
        if self.has_room:
            self._room.set()
        else:
            self._room.clear()

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched."""
        return self._metrics.buffered_bytes <= self.limit

    def is_stale(self, generation: int) -> bool:
        """Whether what was fetched in `generation` is not to be taken any more."""
        return self.rebalancing or generation != self.generation

    def begin_rebalance(self) -> None:
        """Note that a rebalance has begun: Faust drops what it holds, so counting begins anew."""
        self.rebalancing = True
        self.change(-self._metrics.buffered_bytes)

    def end_rebalance(self) -> None:
        """Note that partitions are assigned again, in a new generation."""
        self.generation += 1
        self.rebalancing = False


async def take(shell: Shell, buffer: Buffer, generation: int, records: Iterable[Record]) -> None:
    """Hand the records of one fetch to the shell, as far as they are not stale."""
    loop = asyncio.get_running_loop()
    turn = loop.time()
    for record in records:
        if buffer.is_stale(generation):
            return
        await shell.process(record)
        buffer.change(-len(record.value or b""))
        if loop.time() - turn > TURN:
            await asyncio.sleep(0)
            turn = loop.time()


class FetchedRecords:
    """Records on their way from the client in C to the shell."""

    def __init__(
        self, connection: KafkaConnection, group: str, shell: Shell, buffer: Buffer
    ) -> None:
        self._shell = shell
        self._buffer = buffer
        self._fetcher = librdkafka.Fetcher(
            connection, group, max_bytes=buffer.limit, deliver=self._arrived
        )
        self._batches: asyncio.Queue[tuple[int, Sequence[Any]]] = asyncio.Queue()
        self._delivering: asyncio.Future[None] | None = None

    @property
    def failure(self) -> str:
        """Why nothing will be fetched any more, `""` while something may."""
        return self._fetcher.failure

    def read_from(self, places: Mapping[TopicPartition, int]) -> None:
        """Read these from the generation on that is about to begin."""
        self._delivering = self._delivering or asyncio.ensure_future(self._deliver())
        self._fetcher.has_room(True)
        self._fetcher.assign(self._buffer.generation + 1, places)

    def hold(self) -> None:
        """Read nothing until `read_from`, and drop what was read."""
        self._buffer.begin_rebalance()
        if self._delivering:
            self._fetcher.has_room(True)
            self._fetcher.assign(self._buffer.generation, {})

    def stop(self) -> None:
        """Fetch and deliver nothing any more."""
        self._fetcher.stop()
        if self._delivering:
            self._delivering.cancel()

    def _arrived(self, generation: int, messages: Sequence[Any]) -> None:
        if self._buffer.is_stale(generation):
            return
        self._buffer.change(sum(map(librdkafka.size_of, messages)))
        self._fetcher.has_room(self._buffer.has_room)
        self._batches.put_nowait((generation, messages))

    async def _deliver(self) -> None:
        try:
            while True:
                generation, messages = await self._batches.get()
                records = map(librdkafka.record_from, messages)
                await take(self._shell, self._buffer, generation, records)
                self._fetcher.has_room(self._buffer.has_room)
        except Exception as error:  # noqa: BLE001  # nothing would be taken any more
            terminate_on(error, "taking records")

"""Holds back outputs that are not urgent.

They are sent a few at a time between records, so that no record waits behind them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bus.exit import terminate_on
from bus.partition_state import PartitionState
from bus.records import Output, Record
from schemas.errors import Misconfigured
from schemas.topics import Topic

# Bytes of records whose outputs are deferred: all records of a minute's turn when they are small,
# or a few of a backlog's large ones.
MAX_DEFERRED_BYTES: Final = 1024 * 1024
DEFERRED_LINGER: Final = 0.05  # seconds between two requests of outputs that are not urgent
# outputs between two looks at whether a record has come, half a millisecond
DEFERRED_BATCH: Final = 50
# while records come, a pause so many times as long as a batch took: the cores are theirs
BACKOFF_FACTOR: Final = 10

Post: TypeAlias = Callable[[PartitionState, Output], Awaitable[asyncio.Future[Any]]]
OnComplete: TypeAlias = Callable[[Record, asyncio.Future[Any]], None]


@dataclass(slots=True)
class _Deferred:
    """The deferred outputs of one record.

    Attributes:
        pending: What came from `outputs` and is not sent yet: sending waits for room, and may be
            cancelled while it waits.
        last: The last that was sent.
    """

    state: PartitionState
    record: Record
    outputs: Iterator[Output]
    pending: Output | None = None
    last: asyncio.Future[Any] | None = None

    @property
    def size(self) -> int:
        return len(self.record.value or b"")


class DeferredOutputs:
    """A queue of outputs in the order of their records."""

    def __init__(
        self, urgent: Topic, post: Post, on_complete: OnComplete, yield_every: int
    ) -> None:
        """`on_complete` is told each record with its last output, once all its outputs are sent."""
        self._urgent = urgent
        self._post = post
        self._on_complete = on_complete
        self._yield_every = yield_every
        self._queue: deque[_Deferred] = deque()
        self._bytes = 0
        self._record_arrived = False  # since the last batch was sent
        self._available = asyncio.Event()
        self._flush_lock = asyncio.Lock()

    def __len__(self) -> int:
        """How many records have outputs here."""
        return len(self._queue)

    def record_arrived(self) -> None:
        """Let the background sender step aside: a record needs the processor."""
        self._record_arrived = True

    async def defer(self, state: PartitionState, record: Record, outputs: Iterator[Output]) -> None:
        """Queue `outputs`.

        Sends the oldest at once while more than `MAX_DEFERRED_BYTES` are queued.
        """
        deferred = _Deferred(state, record, outputs)
        self._queue.append(deferred)
        self._bytes += deferred.size
        self._available.set()
        if self._bytes > MAX_DEFERRED_BYTES:
            await self.flush(keep_bytes=MAX_DEFERRED_BYTES)

    async def run(self) -> None:
        """Send in the background, for ever."""
        while True:
            await self._available.wait()
            began, self._record_arrived = time.monotonic(), False
            try:
                await self.flush(DEFERRED_BATCH)
            except Exception as error:  # noqa: BLE001  # an output is lost
                terminate_on(error, "deferred outputs")
            await asyncio.sleep(0)
            if self._record_arrived:
                # at most the linger: a batch that waited for the broker was long for another reason
                await asyncio.sleep(
                    min(DEFERRED_LINGER, BACKOFF_FACTOR * (time.monotonic() - began))
                )

    async def flush(self, limit: int | None = None, *, keep_bytes: int = 0) -> None:
        """Send deferred outputs: at most `limit`, and keep those of the newest `keep_bytes` of
        records.

        Raises:
            Misconfigured: a machine returned an urgent output after others.
        """
        async with self._flush_lock:
            count = 0
            while self._queue and self._bytes >= keep_bytes and count != limit:
                deferred, began = self._queue[0], time.monotonic()
                deferred.pending = output = deferred.pending or next(deferred.outputs, None)
                if output is None:
                    self._complete(deferred)
                    continue
                if output.topic is self._urgent:
                    raise Misconfigured(
                        f"{deferred.record} caused the urgent {output.topic.name} after others; "
                        "return it first"
                    )
                deferred.last = await self._post(deferred.state, output)
                deferred.pending = None
                deferred.state.work += time.monotonic() - began
                count += 1
                if limit is None and count % self._yield_every == 0:
                    await asyncio.sleep(0)

    def _complete(self, deferred: _Deferred) -> None:
        self._queue.popleft()
        self._bytes -= deferred.size
        if deferred.last:
            self._on_complete(deferred.record, deferred.last)
        if not self._queue:
            self._available.clear()

"""Groups ticks by partition into records, and keeps the market clock.

Pure: the gateway says what time it is. The window adapts: while a record of a partition is on its
way, its next rows gather; alone on an idle line a tick leaves at once. The gateway rests for a few
milliseconds after each round besides, because an acknowledgement that comes quickly would make
records tiny, and floods of them are slower for everyone (docs/streams.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from schemas.binary import Rows
from schemas.ticks import TICK, Batch
from schemas.units import NS_PER_SECOND, UtcNs
from streams.feed.decode import keys_of

# 0.2 MB: large enough to be cheap, small enough not to keep other partitions waiting
MAX_ROWS: Final = 4_096
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class FinishedBatch(NamedTuple):
    """A record ready to be sent."""

    partition: int
    batch: Batch


@dataclass(slots=True)
class _PartitionBuffer:
    """One partition: what waits, whether a record is in flight, and the clock last published.

    A moment among the waiting rows is the start of a trading day: it leaves as a record without
    rows.
    """

    waiting: deque[Rows | UtcNs] = field(default_factory=deque)
    in_flight: bool = False
    published: int = 0

    @property
    def rows(self) -> int:
        return sum(len(part) for part in self.waiting if not isinstance(part, UtcNs))

    def take(self) -> Rows | UtcNs:
        """The next day's start, or as many rows as one record may hold."""
        parts: list[Rows] = []
        room = MAX_ROWS
        while self.waiting and room:
            part = self.waiting.popleft()
            if isinstance(part, UtcNs):
                if not parts:
                    return part
                self.waiting.appendleft(part)
                break
            parts.append(part[:room])
            if len(part) > room:
                self.waiting.appendleft(part[room:])
            room -= len(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class Batcher:
    """Rows in, records out.

    Attributes:
        clock: Largest exchange time seen on any instrument, UTC ns; never falls, whatever happens
            to connections.
    """

    def __init__(self, partitions: int, gateway: int) -> None:
        self.clock = UtcNs(0)
        self._gateway = gateway
        self._buffers = [_PartitionBuffer() for _ in range(partitions)]

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self._buffers)

    @property
    def waiting(self) -> int:
        """Rows not yet in a record."""
        return sum(buffer.rows for buffer in self._buffers)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and everything sent is acknowledged."""
        return not any(buffer.in_flight or buffer.waiting for buffer in self._buffers)

    def add(self, rows: Rows) -> None:
        """Stamp rows with the running clock and sort them into their partitions.

        The rows are writable and in order of arrival.

        Every partition hears when a trading day starts, in its place among the rows: whether an
        engine was there from the open must depend neither on partitions nor on how fast a market is
        replayed.
        """
        if not len(rows):
            return
        rows["clock"] = np.maximum(np.maximum.accumulate(rows["exchange_time"]), self.clock)
        days = (np.concatenate([[self.clock], rows["clock"]]) + _IST) // _DAY
        starts = np.flatnonzero(np.diff(days)).tolist()
        for first, last in pairwise(sorted({0, *starts, len(rows)})):
            if first in starts:
                self._start_day(UtcNs(rows["clock"][first]))
            self._sort_in(rows[first:last])
        self.clock = UtcNs(rows["clock"][-1])

    def _start_day(self, moment: UtcNs) -> None:
        for buffer in self._buffers:
            buffer.waiting.append(moment)

    def _sort_in(self, rows: Rows) -> None:
        partitions = partitions_of(rows, self.partitions)
        for partition in np.unique(partitions):
            self._buffers[partition].waiting.append(rows[partitions == partition])

    def move_clock(self, to: int) -> None:
        """Let market time pass without a tick; a time already passed changes nothing."""
        self.clock = UtcNs(max(self.clock, to))

    def acknowledged(self, partition: int) -> None:
        """The record of `partition` that was in flight has ended; the next may leave."""
        self._buffers[partition].in_flight = False

    def due(self, sent_at: UtcNs) -> Iterator[FinishedBatch]:
        """A record of each partition that has something waiting and nothing on its way."""
        for partition, buffer in enumerate(self._buffers):
            if buffer.waiting and not buffer.in_flight:
                taken = buffer.take()
                if isinstance(taken, UtcNs):
                    yield self._finish(partition, _NO_ROWS, taken, sent_at)
                    continue
                # what still waits came before the present clock, so a record that leaves it behind
                # must not publish the clock
                clock = UtcNs(taken["clock"][-1]) if buffer.waiting else self.clock
                yield self._finish(partition, taken, clock, sent_at)

    def heartbeats(self, sent_at: UtcNs) -> Iterator[FinishedBatch]:
        """A record without rows for each idle partition whose last clock is not the present one."""
        for partition, buffer in enumerate(self._buffers):
            if buffer.published < self.clock and not buffer.waiting and not buffer.in_flight:
                yield self._finish(partition, _NO_ROWS, self.clock, sent_at)

    def _finish(self, partition: int, rows: Rows, clock: UtcNs, sent_at: UtcNs) -> FinishedBatch:
        buffer = self._buffers[partition]
        buffer.in_flight, buffer.published = True, clock
        return FinishedBatch(partition, Batch(clock, sent_at, self._gateway, rows))


_NO_ROWS: Final = np.zeros(0, TICK)
_IST: Final = 19_800 * NS_PER_SECOND
_DAY: Final = 86_400 * NS_PER_SECOND


def partitions_of(rows: Rows, partitions: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """`schemas.ticks.partition_of` of every row."""
    mixed = keys_of(rows).astype(np.uint64) * _GOLDEN  # wraps at 64 bits, as it shall
    spread: np.ndarray[tuple[int], np.dtype[np.intp]] = (
        (mixed >> np.uint64(32)) % np.uint64(partitions)
    ).astype(np.intp)
    return spread

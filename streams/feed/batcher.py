"""Groups ticks by partition into records, and keeps the market clock. Pure: the gateway says what time it is.

The window adapts: while a record of a partition is on its way, its next rows gather; alone on an idle line a tick leaves at
once. Fixed short windows flood the broker with tiny records and are slower (docs/streams.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from schemas.ticks import TICK, Batch, Rows
from schemas.units import UtcNs
from streams.feed.decode import keys_of

MAX_ROWS: Final = 4_096  # 0.2 MB: large enough to be cheap, small enough not to keep other partitions waiting
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class Closed(NamedTuple):
    """A record ready to be sent."""

    partition: int
    batch: Batch


@dataclass(slots=True)
class _Lane:
    """One partition: what waits, whether a record is on its way, and the clock its last record told."""

    waiting: Rows
    in_flight: bool = False
    told: int = 0


class Batcher:
    """Rows in, records out.

    Attributes:
        clock: Largest exchange time seen on any instrument, UTC ns; never falls, whatever happens to connections.
    """

    def __init__(self, partitions: int, gateway: int) -> None:
        self.clock = UtcNs(0)
        self._gateway = gateway
        self._lanes = [_Lane(np.zeros(0, TICK)) for _ in range(partitions)]

    @property
    def waiting(self) -> int:
        """Rows not yet in a record."""
        return sum(len(lane.waiting) for lane in self._lanes)

    @property
    def idle(self) -> bool:
        return not any(lane.in_flight or len(lane.waiting) for lane in self._lanes)

    def add(self, rows: Rows) -> None:
        """Stamp rows (writable, in order of arrival) with the running clock and sort them into their partitions."""
        if not len(rows):
            return
        rows["clock"] = np.maximum(np.maximum.accumulate(rows["exchange_time"]), self.clock)
        self.clock = UtcNs(rows["clock"][-1])
        partitions = partitions_of(rows, len(self._lanes))
        for partition in np.unique(partitions):
            lane = self._lanes[partition]
            mine = rows[partitions == partition]
            lane.waiting = np.concatenate([lane.waiting, mine]) if len(lane.waiting) else mine

    def move_clock(self, to: int) -> None:
        """Let market time pass without a tick; a time already passed changes nothing."""
        self.clock = UtcNs(max(self.clock, to))

    def acknowledged(self, partition: int) -> None:
        self._lanes[partition].in_flight = False

    def due(self, sent_at: UtcNs) -> Iterator[Closed]:
        """A record of each partition that has rows and none on its way."""
        for partition, lane in enumerate(self._lanes):
            if len(lane.waiting) and not lane.in_flight:
                yield Closed(partition, self._close(lane, sent_at))

    def heartbeats(self, sent_at: UtcNs) -> Iterator[Closed]:
        """A record without rows for each partition that has not been told the present clock and sends nothing anyway."""
        for partition, lane in enumerate(self._lanes):
            if lane.told < self.clock and not len(lane.waiting) and not lane.in_flight:
                yield Closed(partition, self._close(lane, sent_at))

    def _close(self, lane: _Lane, sent_at: UtcNs) -> Batch:
        rows, lane.waiting = lane.waiting[:MAX_ROWS], lane.waiting[MAX_ROWS:]
        # rows that wait came before the present clock, so a record that leaves some behind must not tell it
        clock = UtcNs(rows["clock"][-1]) if len(lane.waiting) else self.clock
        lane.in_flight, lane.told = True, clock
        return Batch(clock, sent_at, self._gateway, rows)


def partitions_of(rows: Rows, partitions: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """`schemas.ticks.partition_of` of every row."""
    mixed = keys_of(rows).astype(np.uint64) * _GOLDEN  # wraps at 64 bits, as it shall
    spread: np.ndarray[tuple[int], np.dtype[np.intp]] = ((mixed >> np.uint64(32)) % np.uint64(partitions)).astype(
        np.intp
    )
    return spread

"""When a partition needs a new snapshot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bus.partition_state import PartitionState


@dataclass(frozen=True, slots=True)
class SnapshotSchedule:
    """A snapshot is due after an interval, and when a restart would repeat too much work.

    Attributes:
        interval: Seconds between two snapshots of a partition at most.
        max_replay: Seconds of work that a restart may repeat, of all partitions together.
    """

    interval: float
    max_replay: float

    def due(
        self, partitions: Mapping[int, PartitionState], now: float, *, idle: bool
    ) -> int | None:
        """The partition that needs a snapshot most, or None.

        While nothing waits (`idle`), half the work is reason enough. `now` is the monotonic clock
        in seconds.
        """
        share = self.max_replay / max(1, len(partitions))
        if idle:
            share /= 2
        needs = {
            number: max(state.work / share, (now - state.saved_at) / self.interval)
            for number, state in partitions.items()
            if state.saved != state.next_offset
        }
        most = max(needs, key=needs.__getitem__, default=None)
        return most if most is not None and needs[most] >= 1 else None

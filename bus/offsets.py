"""Which offset of a partition may be committed while its records finish out of order. Pure."""

from __future__ import annotations

from bus.records import TopicPartition


class OffsetTracker:
    """The records of one partition between taken and finished.

    The offset to commit is that of the oldest unfinished record, so a restart begins at or before
    everything unfinished.
    """

    def __init__(self, next_: int) -> None:
        """`next_` is the offset of the first record to take."""
        self._next = next_
        # in order of offset, because records are taken in order
        self._unfinished: dict[int, None] = {}

    @property
    def next(self) -> int:
        """The offset after the last record taken."""
        return self._next

    @property
    def committable(self) -> int:
        """Every record below it is finished."""
        return next(iter(self._unfinished), self._next)

    def take(self, offset: int) -> None:
        """Note that work on `offset` begins.

        Compacted topics have holes, so it may lie beyond `next`, never before.
        """
        if offset < self._next:
            raise ValueError(f"offset {offset} was taken before; the next is {self._next}")
        self._unfinished[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """Note that `offset` and all it caused is durable."""
        del self._unfinished[offset]


class CommitLedger:
    """What each partition could commit against what it has committed."""

    def __init__(self) -> None:
        self._committed: dict[TopicPartition, int] = {}

    def due(self, trackers: dict[TopicPartition, OffsetTracker]) -> dict[TopicPartition, int]:
        """Offsets that moved on since they were last committed."""
        return {
            topic_partition: tracker.committable
            for topic_partition, tracker in trackers.items()
            if tracker.committable > self._committed.get(topic_partition, -1)
        }

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        """Note the `offsets` that Kafka has taken."""
        self._committed |= offsets

    def begin(self, topic_partition: TopicPartition, offset: int) -> None:
        """A partition came to us with `offset` as its start."""
        self._committed[topic_partition] = offset

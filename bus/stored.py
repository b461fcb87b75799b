"""Records that stand elsewhere than in Kafka: what a copy must answer to be read as topics are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from bus.connection import KafkaConnection
from bus.records import Record, TopicPartition
from schemas.topics import Topic
from schemas.units import UtcNs

Since: TypeAlias = Literal["start", "end"] | UtcNs | Mapping[TopicPartition, int]


class StoredTopics(Protocol):
    """A copy of topics that nobody writes to, such as an archive.

    Each method raises Misconfigured where a topic is no part of the copy, or cannot be read.
    """

    def read(self, topics: Sequence[Topic], since: Since) -> AsyncGenerator[Record, None]:
        """Yield the records of `topics` from `since` to their end, each partition in its order."""
        ...

    def read_in_order(self, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
        """Yield all records of `topics` in the order in which they were published."""
        ...

    def extents(self, topics: Sequence[Topic]) -> dict[TopicPartition, tuple[int, int]]:
        """Of each partition, the offset of its first record and the one behind its last."""
        ...


# What readers of topics read: a cluster, or a copy.
Topics: TypeAlias = KafkaConnection | StoredTopics

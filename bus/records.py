"""Records as read, outputs to be written, and the partition that an output goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from zlib import crc32

from schemas.codec import encode
from schemas.ids import InstrumentId
from schemas.messages import Message
from schemas.ticks import partition_of
from schemas.topics import Family, Topic, user_partition
from schemas.units import UtcNs

NS_PER_MS: Final = 1_000_000  # Kafka stamps records in milliseconds


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the broker holds it.

    Attributes:
        published_at: When it was written, by the writer's clock, in steps of a millisecond.
        headers: Of a repeated name the last value.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    published_at: UtcNs
    headers: Mapping[str, bytes] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"

    @property
    def topic_partition(self) -> TopicPartition:
        """The partition that this record was read from."""
        return TopicPartition(self.topic, self.partition)


class Output(NamedTuple):
    """One record to be written. A tuple, because thousands are made at once.

    Attributes:
        partition: None leaves the choice to `partition_for` or, in a shell, to the shell.
    """

    topic: Topic
    key: bytes
    value: bytes
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def message_output(
    topic: Topic,
    message: Message,
    key: str,
    partition: int | None = None,
    *,
    written: Mapping[str, Any] | None = None,
) -> Output:
    """Make `message` an output of `topic`, under `key`.

    Without a `partition` the key decides (`partition_for`). `written` as of `encode`.
    """
    return Output(topic, key.encode(), encode(message, written), partition)


def partition_for(output: Output, partitions: int) -> int:
    """Return which of the topic's `partitions` takes `output`.

    An output may name it; otherwise its key decides, the same way in every process. Instruments and
    users go where `schemas.ticks.partition_of` and `schemas.topics.user_partition` say; other keys
    (a request hash) are spread by CRC-32.

    Raises:
        ValueError: the key is not what the topic's family needs.
    """
    if output.partition is not None:
        return output.partition
    if partitions == 1:
        return 0
    if output.topic.family is Family.USER:
        return user_partition(output.key.decode(), partitions)
    if output.topic.key == "instrument":
        return partition_of(InstrumentId.parse(output.key.decode()), partitions)
    return crc32(output.key) % partitions

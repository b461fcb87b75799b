"""What a leaf says of one record of Kafka: canonical and unambiguous bytes. Pure.

A leaf is text, so that a person reads it in a proof:

    ats-ledger-entry/v1
    ats.orders 3 1042 1763612345678
    <base64 of the message's hash>
    <base64 of the headers' hash>

The second line is topic, partition, offset and the record's time in milliseconds. The third says
what was written: topic, partition, key and value. A replay of the day derives the same. The fourth
holds what depends on how often and under what a service was started: the record's headers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from audit.ledger.merkle import leaf_hash
from bus.records import NS_PER_MS, Record, TopicPartition

ENTRY: Final = "ats-ledger-entry/v1"
_MESSAGE: Final = b"ats-ledger-message/v1\n"
_HEADERS: Final = b"ats-ledger-headers/v1\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf.

    Attributes:
        published_ms: When the record was written, by its own stamp, POSIX milliseconds.
        message: `message_hash` of the record.
        headers: `headers_hash` of the record.
    """

    topic: str
    partition: int
    offset: int
    published_ms: int
    message: bytes
    headers: bytes

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"

    @classmethod
    def of(cls, record: Record) -> Self:
        """The leaf of `record`."""
        return cls(
            record.topic,
            record.partition,
            record.offset,
            record.published_at // NS_PER_MS,
            message_hash(record.topic, record.partition, record.key, record.value),
            headers_hash(record.headers),
        )

    @property
    def topic_partition(self) -> TopicPartition:
        """Where the record stands."""
        return TopicPartition(self.topic, self.partition)

    @property
    def encoded(self) -> bytes:
        """The bytes of the leaf."""
        place = f"{self.topic} {self.partition} {self.offset} {self.published_ms}"
        hashes = (base64.b64encode(each).decode() for each in (self.message, self.headers))
        return "\n".join([ENTRY, place, *hashes, ""]).encode()

    @property
    def leaf(self) -> bytes:
        """The hash of the leaf."""
        return leaf_hash(self.encoded)


def message_hash(topic: str, partition: int, key: bytes | None, value: bytes | None) -> bytes:
    """SHA-256 of what was written where; a missing key or value differs from an empty one."""
    place = framed(topic.encode()) + partition.to_bytes(4)
    return sha256(_MESSAGE + place + framed(key) + framed(value)).digest()


def headers_hash(headers: Mapping[str, bytes]) -> bytes:
    """SHA-256 of all headers, in the order of their names; of a repeated name the last counts."""
    pairs = (framed(name.encode()) + framed(headers[name]) for name in sorted(headers))
    return sha256(_HEADERS + b"".join(pairs)).digest()


def framed(raw: bytes | None) -> bytes:
    """`raw` behind its length, so that no two lists of fields are the same bytes."""
    return b"\x00" if raw is None else b"\x01" + len(raw).to_bytes(8) + raw

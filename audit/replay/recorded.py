"""What stands on one topic, by id: small enough to hold a whole day of every message. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from bus.records import Output, Record
from schemas.codec import head_of
from schemas.lineage import HEADER
from schemas.units import IST, UtcNs

DAY: Final = UtcNs.minutes(24 * 60)


class Stored(NamedTuple):
    """One message as it stands on a topic, or as it should stand there.

    Attributes:
        cause: The header that names its cause; empty where that is no function of the inputs.
    """

    partition: int
    key: bytes
    value: bytes
    cause: bytes = b""

    @classmethod
    def of_record(cls, record: Record, *, caused: bool) -> Self:
        """What `record` holds; with the header of its cause where that is compared too."""
        cause = record.headers.get(HEADER, b"") if caused else b""
        return cls(record.partition, record.key or b"", record.value or b"", cause)

    @classmethod
    def of_output(cls, output: Output, *, caused: bool) -> Self:
        """What `output`, whose partition is chosen, would be."""
        assert output.partition is not None, "outputs are routed before they are compared"
        cause = dict(output.headers).get(HEADER, b"") if caused else b""
        return cls(output.partition, output.key, output.value, cause)

    @property
    def digest(self) -> bytes:
        """16 bytes that differ where anything does."""
        place = b"%d|%d|%b|%b|" % (self.partition, len(self.key), self.key, self.cause)
        return blake2b(place + self.value, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Span:
    """Market time from `start` until before `end`."""

    start: UtcNs
    end: UtcNs

    def __contains__(self, moment: int) -> bool:
        return self.start <= moment < self.end


def span_of(first: date, last: date) -> Span:
    """From the first moment of `first` until `last` is over, on Indian clocks."""
    begins, ends = (
        UtcNs.from_datetime(datetime.combine(day, time(), tzinfo=IST)) for day in (first, last)
    )
    return Span(begins, UtcNs(ends + DAY))


class Entry(NamedTuple):
    """Where a message stands first, and what it is."""

    digest: bytes
    partition: int
    offset: int
    event_time: UtcNs


@dataclass(slots=True)
class RecordedTopic:
    """Every message of a span that stands on one topic.

    Attributes:
        caused: The header of the cause is compared too.
        entries: By id; of a message that was written again, its first record.
        repeats: Records that say again what stood there before, byte for byte.
        contradictions: Of one id with other bytes than before: where they stand, each with its id.
        unreadable: Records that are no message.
    """

    caused: bool
    entries: dict[bytes, Entry] = field(default_factory=dict)
    repeats: int = 0
    contradictions: list[tuple[bytes, Entry]] = field(default_factory=list)
    unreadable: list[tuple[int, int]] = field(default_factory=list)

    def add(self, record: Record, span: Span) -> bool:
        """Take one record in, in the order of its partition; whether it is of `span`."""
        head = head_of(record.value or b"")
        if head is None:
            self.unreadable.append((record.partition, record.offset))
            return False
        if head.event_time not in span:
            return False
        digest = Stored.of_record(record, caused=self.caused).digest
        entry = Entry(digest, record.partition, record.offset, head.event_time)
        before = self.entries.setdefault(head.id, entry)
        if before is entry:
            return True
        if before.digest == digest:
            self.repeats += 1
        else:
            self.contradictions.append((head.id, entry))
        return True


def all_of(records: Iterable[Record], span: Span, *, caused: bool = False) -> RecordedTopic:
    """What `records` of one topic hold."""
    topic = RecordedTopic(caused)
    for record in records:
        topic.add(record, span)
    return topic

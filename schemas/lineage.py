"""Where a message comes from, and how a reader drops repeats.

A derived message goes to the partition number of its cause and carries the cause's offset in the
record header `ats-cause`. After a crash the same outputs may be written again with the same ids and
bytes, in the same order. A reader that keeps the highest cause seen per partition and topic
therefore sees each once, in order, with two integers of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from schemas.errors import Unreadable

HEADER: Final = "ats-cause"


def header_value(offset: int, nth: int) -> bytes:
    """A cause as its record header has it. Thousands are written at once, without a `Cause`."""
    return b"%d:%d" % (offset, nth)


class Cause(NamedTuple):
    """`nth` counts the outputs that one record caused on one topic, from 0."""

    offset: int
    nth: int

    def encode(self) -> bytes:
        """The value of the record header, `OFFSET:NTH`."""
        return header_value(self.offset, self.nth)

    @classmethod
    def decode(cls, value: bytes) -> Cause:
        """Read the value of the record header.

        Raises:
            Unreadable: it is not `OFFSET:NTH`.
        """
        offset, colon, nth = value.partition(b":")
        if not (colon and offset.isdigit() and nth.isdigit()):
            raise Unreadable(f"not OFFSET:NTH: {value[:40]!r}", HEADER)
        return cls(int(offset), int(nth))


@dataclass(slots=True)
class Deduplicator:
    """Drops repeats of one topic. State is one `Cause` per partition."""

    _highest: dict[int, Cause] = field(default_factory=dict)

    def is_new(self, partition: int, cause: Cause) -> bool:
        """Whether a record is seen for the first time; remembers it."""
        if cause <= self._highest.get(partition, Cause(-1, -1)):
            return False
        self._highest[partition] = cause
        return True

"""What archived days take, and what five years of them will. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from audit.archive.manifest import ArchiveManifest

SESSIONS: Final = 5 * 250  # trading days of five years, as SEBI asks for
ALL: Final = "all"


class TopicSize(NamedTuple):
    """The mean day of one topic, or of all.

    Attributes:
        raw_bytes: Of keys, values and headers in Kafka.
        bytes: Of the file.
    """

    topic: str
    records: float
    raw_bytes: float
    bytes: float

    @property
    def five_years(self) -> float:
        """Bytes of as many such days as five years have."""
        return self.bytes * SESSIONS


def sizes_of(days: Sequence[ArchiveManifest]) -> list[TopicSize]:
    """Each topic, in the order of the first day, and all together at the end. `days` is not empty.

    The manifest itself, about 300 bytes for 20,000 records, is left out.
    """
    names = dict.fromkeys(name for day in days for name in day.topics)
    found = []
    for name in names:
        those = [day.topics[name] for day in days if name in day.topics]
        sums = (sum(each.rows for each in those), sum(each.raw_bytes for each in those))
        size = sum(each.bytes for each in those)
        found.append(TopicSize(name, sums[0] / len(days), sums[1] / len(days), size / len(days)))
    columns = list(zip(*found, strict=True))[1:]
    return [*found, TopicSize(ALL, *(sum(column) for column in columns))]

"""Which records belong to a day, and where they stand.

A record belongs to the day that it is about, and to the day on which it was written: whatever is
written is in the archive of its day, whenever that is made. Who is active is told again at each
start, under the time of its cause: that is of the day on which it was written. In a replay of an
old market both days differ. There, what tells of no market time (the warm-up's history, who is
active, what became of a connection, what nobody can read) belongs to the day whose ticks were
written at the same time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from pydantic import Field

from audit.manifest import named_by
from audit.replay.publish import market_time
from audit.replay.reading import TELL_EVERY, Progress
from audit.replay.recorded import span_of
from bus.connection import KafkaConnection
from bus.reader import extents_of, read_topics
from bus.records import NS_PER_MS, Record, TopicPartition
from bus.stored import Since
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.frozen import FrozenModel
from schemas.history import is_history
from schemas.ledger import LedgerBatch, LedgerCheckpoint
from schemas.manifest import Manifest
from schemas.topics import (
    CATALOGUE,
    CHECKPOINTS,
    DEAD_LETTER,
    FEED,
    LEDGER,
    MANIFEST,
    MANIFEST_CONTENTS,
    SESSIONS,
    SESSIONS_LATEST,
    TICKS,
)
from schemas.units import UtcNs

# services' states are made of the rest, and so is who is active now
ARCHIVED: Final = tuple(
    topic for topic in CATALOGUE if not topic.holds_snapshots and topic is not SESSIONS_LATEST
)
# read one behind the other: ticks say when the day was written, records name manifests, and
# manifests their contents
_STEPS: Final = (
    (TICKS,),
    tuple(each for each in ARCHIVED if each not in (TICKS, MANIFEST, MANIFEST_CONTENTS)),
    (MANIFEST,),
    (MANIFEST_CONTENTS,),
)
_OF_MACHINES: Final = frozenset({FEED.name, SESSIONS.name, DEAD_LETTER.name})
NEAR: Final = UtcNs.minutes(60)  # a service starts so long before the market at most
BEFORE: Final = UtcNs.minutes(24 * 60)  # the evening before, a scan of the day may be made


class PartitionSpans(FrozenModel):
    """Which records of a partition are wanted.

    Attributes:
        spans: Offsets from the first up to, without, the second, in their order.
        count: Records in them.
    """

    spans: tuple[tuple[int, int], ...] = ()
    count: int = 0


class Survey(FrozenModel):
    """Where the records of a day stand.

    Attributes:
        topics: By name, of each partition what is wanted.
        latest_ms: When the last record about the day was written, POSIX milliseconds; 0: none was.
    """

    topics: dict[str, tuple[PartitionSpans, ...]] = Field(default_factory=dict)
    latest_ms: int = 0

    @property
    def records(self) -> int:
        """How many are wanted."""
        return sum(each.count for those in self.topics.values() for each in those)


@dataclass(slots=True)
class _Spans:
    """Grows by one record of its partition after the other."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0
    _open: bool = False  # whether the record before was wanted

    def take(self, offset: int, *, wanted: bool) -> None:
        if wanted and self._open:
            self.spans[-1] = self.spans[-1][0], offset + 1
        elif wanted:
            self.spans.append((offset, offset + 1))
        self.count += wanted
        self._open = wanted

    def put_in(self, offset: int) -> None:
        insort(self.spans, (offset, offset + 1))
        self.count += 1

    @property
    def found(self) -> PartitionSpans:
        return PartitionSpans(spans=tuple(self.spans), count=self.count)


class Membership:
    """Says of each record whether it belongs to a day. Ask of ticks first, of manifests last.

    Attributes:
        latest: When the last record about the day was written.
    """

    def __init__(self, day: date) -> None:
        self.latest = UtcNs(0)
        self._day = day
        self._span = span_of(day, day)
        self._ticks: tuple[int, int] | None = None  # when the first and the last were written
        self._manifests = set[str]()
        self._contents = set[str]()
        self._asks: dict[str, Callable[[Record], bool]] = {
            LEDGER.name: self._batch,
            CHECKPOINTS.name: self._head,
            MANIFEST.name: self._manifest,
            MANIFEST_CONTENTS.name: self._content,
        }

    def wants(self, record: Record) -> bool:
        """Whether `record` belongs to the day."""
        wanted = self._asks.get(record.topic, self._other)(record)
        if wanted:
            with suppress(Unreadable):  # a header that names none
                self._manifests.add(str(named_by(record)))
        return wanted

    def wrote_with_ticks(self, moment: int) -> bool:
        """Whether something written at `moment` was written while the day's ticks were."""
        return self._ticks is not None and self._ticks[0] - NEAR <= moment <= self._ticks[1]

    def _other(self, record: Record) -> bool:
        timeless = is_history(record.value) or record.topic == SESSIONS.name
        about = None if timeless else market_time(record)
        if about is not None and about in self._span:
            self.latest = max(self.latest, record.published_at)
            if record.topic == TICKS.name:
                first, last = self._ticks or (record.published_at, record.published_at)
                self._ticks = min(first, record.published_at), max(last, record.published_at)
            return True
        if record.published_at in self._span:
            return True
        untimely = about is None or record.topic in _OF_MACHINES
        return untimely and self.wrote_with_ticks(record.published_at)

    def _batch(self, record: Record) -> bool:
        try:
            return decode(LedgerBatch, record.value).day == self._day
        except Unreadable:
            return self._other(record)

    def _head(self, record: Record) -> bool:
        try:
            return decode(LedgerCheckpoint, record.value).day == self._day
        except Unreadable:
            return self._other(record)

    def _manifest(self, record: Record) -> bool:
        try:
            manifest = decode(Manifest, record.value)
        except Unreadable:
            return self._other(record)
        wanted = str(manifest.id) in self._manifests or self._other(record)
        if wanted:
            self._contents |= {each.digest for each in manifest.inputs.values() if each.apart}
        return wanted

    def _content(self, record: Record) -> bool:
        return (record.key or b"").decode("utf-8", "replace") in self._contents


async def survey(
    connection: KafkaConnection, day: date, tell: Progress, *, from_start: bool
) -> Survey:
    """Find the records of `day`.

    `from_start` looks at all there is, as in a cluster that replays an old market; else at what was
    written since the evening before the day.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    membership, extents = Membership(day), await extents_of(connection, *ARCHIVED)
    spans = {place: _Spans() for place in extents}
    looked = _Looked(tell, sum(end - begin for begin, end in extents.values()))
    evening: Since = UtcNs(span_of(day, day).start - BEFORE)
    for topics in _STEPS:
        of_days_before = from_start or topics[0] in (MANIFEST, MANIFEST_CONTENTS)
        since = "start" if of_days_before else evening
        untimely: list[tuple[TopicPartition, int, UtcNs]] = []
        async with aclosing(read_topics(connection, topics, since=since, until_end=True)) as them:
            async for record in them:
                wanted, place = membership.wants(record), record.topic_partition
                spans[place].take(record.offset, wanted=wanted)
                if record.topic == TICKS.name and not wanted and is_history(record.value):
                    untimely.append((place, record.offset, record.published_at))
                looked.at(record)
        for place, offset, written in untimely:  # the day's first tick comes behind its history
            if membership.wrote_with_ticks(written):
                spans[place].put_in(offset)
    found = {
        topic.name: tuple(
            spans[place].found for place in sorted(spans) if place.topic == topic.name
        )
        for topic in ARCHIVED
    }
    return Survey(topics=found, latest_ms=membership.latest // NS_PER_MS)


@dataclass(slots=True)
class _Looked:
    """Tells how many records have been looked at."""

    tell: Progress
    total: int
    done: int = 0

    def at(self, record: Record) -> None:
        self.done += 1
        if self.done % TELL_EVERY == 0:
            self.tell(f"looking through {record.topic}", self.done, self.total)

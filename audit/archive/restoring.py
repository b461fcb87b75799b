"""Puts archived days back into a cluster, byte for byte.

The topics are made as copies to read: they keep everything, whatever its age, and compact nothing.
A partition that holds a begin of what is archived goes on from there; one that holds anything else
is refused. So a restore that was killed is started again.

Kafka gives offsets, nobody sets them. A partition that began at a later offset is filled up to it,
and what it was filled with is deleted. Gaps behind that, which compaction leaves, cannot be made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from audit.archive.stored import StoredDays, days_in, open_archive
from audit.archive.survey import ARCHIVED
from audit.archive.verification import verify_day
from audit.replay.reading import TELL_EVERY, Progress
from bus.connection import KafkaConnection
from bus.exact import ExactRecord, ExactWriter, delete_before, exact_record_at, read_exactly
from bus.reader import extents_of
from bus.records import TopicPartition
from bus.tail import Span
from bus.topics import create_topics, settings_of
from schemas.errors import Misconfigured
from schemas.topics import BY_NAME, ORDER_EVENTS, TICKS, PartitionPlan, Topic

FILLER: Final = b"ats-archive-filler"  # key of what stands where nothing is archived
MOST_FILLED: Final = 2_000_000  # records of a partition: about ten seconds


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore came to.

    Attributes:
        records: How many stand in the cluster now, by topic.
        resumed: How many of them stood there before.
        moved: Partitions in which some offsets are others than they were, each with the first.
    """

    records: dict[str, int]
    resumed: int
    moved: tuple[str, ...]


async def restore(
    connection: KafkaConnection, folder: Path, tell: Progress, replication_factor: int = 1
) -> Restored:
    """Write the archived days in `folder` to topics of their names.

    Raises:
        Misconfigured: there is no archive, it is not as it was made, or the cluster holds other
            records or topics of another kind.
        TryLater: no broker answers.
    """
    for each in days_in(folder):
        _, findings = verify_day(each, tell)
        if findings:
            raise Misconfigured(
                f"{each} is not as it was archived, nothing was restored: {findings[0]}"
                + (f", and {len(findings) - 1} more" if len(findings) > 1 else "")
            )
    stored = open_archive(folder)
    topics = [topic for topic in ARCHIVED if stored.holds(topic)]
    await _make_topics(connection, stored, topics, replication_factor)
    total = sum(day.manifest.rows for day in stored.days)
    restored, resumed, moved = dict[str, int](), 0, list[str]()
    there = await extents_of(connection, *topics)
    async with ExactWriter(connection) as writer:
        for topic in topics:
            restored[topic.name] = 0
            for partition in range(stored.partitions(topic)):
                place = TopicPartition(topic.name, partition)
                work = _Partition(connection, writer, stored, place, there=there[place])
                done = sum(restored.values())
                await work.restore(_telling(tell, topic, done, total))
                restored[topic.name] += work.count
                resumed += work.resumed
                moved += work.moved
    return Restored(restored, resumed, tuple(moved))


def _telling(tell: Progress, topic: Topic, done: int, total: int) -> Callable[[int], None]:
    return lambda count: tell(f"restoring {topic.name}", done + count, total)


async def _make_topics(
    connection: KafkaConnection,
    stored: StoredDays,
    topics: Sequence[Topic],
    replication_factor: int,
) -> None:
    """Topics that keep everything; those that exist have to be so already."""
    plan = PartitionPlan(stored.partitions(TICKS), stored.partitions(ORDER_EVENTS))
    wanted = [replace(topic, retention_days=None, compacted=False) for topic in topics]
    await create_topics(connection, plan, replication_factor, wanted)
    settings = await settings_of(connection, [topic.name for topic in wanted])
    for topic in wanted:
        for name, value in topic.config().items():
            there = settings[topic.name].get(name)
            if name in ("cleanup.policy", "retention.ms") and there != value:
                raise Misconfigured(
                    f"topic {topic.name} exists with {name}={there}, so what is restored could be "
                    "deleted: restore into an empty cluster, which makes its topics itself"
                )


class _Partition:
    """One partition under way.

    Attributes:
        count: Records that stand there.
        resumed: Those of them that stood there before.
        moved: The first of them that has another offset than it had, if any.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        writer: ExactWriter,
        stored: StoredDays,
        place: TopicPartition,
        *,
        there: tuple[int, int],
    ) -> None:
        """`there` are the offsets that the partition begins and ends at."""
        self.count = 0
        self.resumed = 0
        self.moved: list[str] = []
        self._connection = connection
        self._writer = writer
        self._topic = BY_NAME[place.topic]
        self._place = place
        self._begin, self._end = there
        self._records = stored.records(self._topic, place.partition)
        self._first = stored.extents([self._topic])[place][0]

    async def restore(self, tell: Callable[[int], None]) -> None:
        """Write what is not there yet."""
        await self._fill()
        await self._compare()
        for record in self._records:
            await self._writer.write(record)
            self._take(record)
            if self.count % TELL_EVERY == 0:
                tell(self.count)
        await self._writer.flush()
        tell(self.count)

    def _take(self, record: ExactRecord) -> None:
        offset = self._begin + self.count
        self.count += 1
        if record.offset != offset and not self.moved:
            self.moved.append(f"{record} stands at {offset}")

    async def _fill(self) -> None:
        """Let the partition begin where it began, unless that is too far."""
        if self._begin or not 0 < self._first <= MOST_FILLED:
            return
        if self._end:
            first = await exact_record_at(self._connection, self._topic, self._place.partition, 0)
            if first is None or first.key != FILLER:
                return  # it is compared as it is
        for offset in range(self._end, self._first):
            await self._writer.write(ExactRecord(*self._place, offset, 0, FILLER, None))
        await self._writer.flush()
        await delete_before(self._connection, {self._place: self._first})
        self._begin, self._end = self._first, max(self._first, self._end)

    async def _compare(self) -> None:
        """Pass over what stands there already, record by record."""
        spans = {self._place.partition: Span(self._begin, self._end)}
        if self._begin == self._end:
            return
        async with aclosing(read_exactly(self._connection, self._topic, spans)) as there:
            async for found in there:
                wanted = next(self._records, None)
                if wanted is None or wanted._replace(offset=found.offset) != found:
                    raise Misconfigured(
                        f"{found} holds a record that is not the archive's: restore into an empty "
                        "cluster, or delete the topic"
                    )
                self._take(wanted)
        self.resumed = self.count

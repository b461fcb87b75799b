"""Archived days read as topics are: the same readers, without Kafka."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from audit.archive.files import opened, records_of
from audit.archive.manifest import FILE, ArchivedTopic, ArchiveManifest, RowGroup, read_manifest
from bus.exact import ExactRecord
from bus.records import NS_PER_MS, Record, TopicPartition
from bus.stored import Since
from schemas.errors import Misconfigured
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class StoredDay:
    """One archived day in its folder."""

    folder: Path
    manifest: ArchiveManifest

    @classmethod
    def of(cls, folder: Path) -> StoredDay:
        """The day in `folder`, whose files are as long as they should be.

        Raises:
            Misconfigured: there is none, or a file is missing or cut off.
        """
        day = cls(folder, read_manifest(folder))
        for each in day.manifest.topics.values():
            path = folder / each.file
            try:
                size = path.stat().st_size
            except OSError as error:
                raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
            if size != each.bytes:
                raise Misconfigured(
                    f"{path} has {size:,} bytes, the manifest says {each.bytes:,}: "
                    "`ats archive verify` tells what is wrong"
                )
        return day

    def topic(self, topic: Topic) -> ArchivedTopic | None:
        """What is archived of `topic`; None of one that is younger than the archive."""
        return self.manifest.topics.get(topic.name)

    def groups(self, topic: Topic, partition: int) -> list[RowGroup]:
        """The row groups of a partition, in their order."""
        archived = self.topic(topic)
        return [each for each in archived.groups if each.partition == partition] if archived else []

    def records(self, topic: Topic, partition: int, begin: int = 0) -> Iterator[ExactRecord]:
        """The records of a partition from offset `begin` on, in their order.

        Raises:
            Misconfigured: the file cannot be read.
        """
        archived = self.topic(topic)
        groups = archived.groups if archived else ()
        wanted = [
            number
            for number, each in enumerate(groups)
            if each.partition == partition and each.last >= begin
        ]
        if archived is None or not wanted:
            return
        path = self.folder / archived.file
        with opened(path) as file:
            for number in wanted:
                for record in records_of(file, path, topic, number):
                    if record.offset >= begin:
                        yield record


def days_in(folder: Path) -> list[Path]:
    """The folder of each archived day: `folder` itself, or those in it, in their order.

    One that is called as a day and has lost its manifest is among them: nobody shall take what is
    left for all.

    Raises:
        Misconfigured: there is no archive.
    """
    if (folder / FILE).exists():
        return [folder]
    found = sorted(each for each in folder.glob("*") if each.is_dir() and _is_day(each.name))
    if not found:
        raise Misconfigured(f"{folder} is no archive: make one with `ats archive DATE`")
    return found


def open_archive(folder: Path) -> StoredDays:
    """The archived days in `folder`, to read.

    Raises:
        Misconfigured: there is no archive, its manifest was changed, or a file is cut off.
    """
    return StoredDays([StoredDay.of(each) for each in days_in(folder)])


class StoredDays:
    """Archived days, one behind the other, as the topics that they are of.

    What stands in two days, because it is about one and was written on the other, is read once.
    A topic that is younger than the archive is empty. Each method raises Misconfigured where a file
    cannot be read, or two days are of different clusters.
    """

    def __init__(self, days: Sequence[StoredDay]) -> None:
        self.days = tuple(days)

    @property
    def of_demo(self) -> bool:
        """Whether a demo recorded it."""
        return any(each.manifest.of_demo for each in self.days)

    def records(self, topic: Topic, partition: int, begin: int = 0) -> Iterator[ExactRecord]:
        """The records of a partition from offset `begin` on, in their order, each once."""
        parts = [day.records(topic, partition, begin) for day in self.days]
        before: ExactRecord | None = None
        for record in heapq.merge(*parts, key=lambda each: each.offset):
            if before is None or record.offset > before.offset:
                before = record
                yield record
            elif record != before:
                raise Misconfigured(
                    f"{record} is one record in one day and another in another day: the folder "
                    "mixes days of two clusters, so read each day by itself"
                )

    def partitions(self, topic: Topic) -> int:
        """How many partitions `topic` has; one that no day holds is empty, and has one."""
        found = (day.topic(topic) for day in self.days)
        return max((each.partitions for each in found if each), default=1)

    def holds(self, topic: Topic) -> bool:
        """Whether any day was archived with `topic`."""
        return any(day.topic(topic) for day in self.days)

    async def read(self, topics: Sequence[Topic], since: Since) -> AsyncGenerator[Record, None]:
        """See `bus.stored.StoredTopics`; one partition after the other."""
        for topic in topics:
            for partition in range(self.partitions(topic)):
                begin = self._begin(topic, partition, since)
                for each in self.records(topic, partition, begin) if begin is not None else ():
                    yield each.record

    async def read_in_order(self, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
        """See `bus.stored.StoredTopics`; at one moment an earlier topic comes first."""
        rank = {topic.name: number for number, topic in enumerate(topics)}
        parts = [
            self.records(topic, partition)
            for topic in topics
            for partition in range(self.partitions(topic))
        ]
        for each in heapq.merge(
            *parts, key=lambda each: (each.stamp_ms, rank[each.topic], each.partition)
        ):
            yield each.record

    def extents(self, topics: Sequence[Topic]) -> dict[TopicPartition, tuple[int, int]]:
        """See `bus.stored.StoredTopics`; an empty partition begins and ends at 0."""
        found = dict[TopicPartition, tuple[int, int]]()
        for topic in topics:
            for partition in range(self.partitions(topic)):
                groups = [group for day in self.days for group in day.groups(topic, partition)]
                begin = min((each.first for each in groups), default=0)
                end = max((each.last + 1 for each in groups), default=0)
                found[TopicPartition(topic.name, partition)] = begin, end
        return found

    def _begin(self, topic: Topic, partition: int, since: Since) -> int | None:
        """The offset to begin at; None is the end."""
        if since == "start":
            return 0
        if since == "end":
            return None
        if isinstance(since, Mapping):
            return since.get(TopicPartition(topic.name, partition), 0)
        moment = -(-int(since) // NS_PER_MS)
        begins = (self._begin_of(day, topic, partition, moment) for day in self.days)
        return min((each for each in begins if each is not None), default=None)

    def _begin_of(self, day: StoredDay, topic: Topic, partition: int, moment: int) -> int | None:
        """The offset of the first record of `day` that was written at `moment`, in ms, or later."""
        for group in day.groups(topic, partition):
            if group.latest_ms >= moment:
                records = day.records(topic, partition, group.first)
                return next(each.offset for each in records if each.stamp_ms >= moment)
        return None


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True

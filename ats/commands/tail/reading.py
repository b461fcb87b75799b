"""From which record on, and how far: entries of several topics, without a consumer group."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ats.commands.tail.entries import Entry, entries_of
from ats.commands.tail.where import Condition, match
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import TopicPartition
from bus.stored import Since
from bus.tail import Span, TopicTail, open_tail
from schemas.topics import Topic
from schemas.units import UtcNs

FIRST_WINDOW: Final = 64  # records of a partition that are read backwards at once, at least
WIDER: Final = 4  # times the window before: a rare match is found in few steps


@dataclass(frozen=True, slots=True)
class Last:
    """The newest entries that match, this many of all topics together."""

    entries: int


Start: TypeAlias = Literal["start"] | UtcNs | Last


@dataclass(slots=True)
class Reading:
    """What is read; `looked_at` counts the entries so far, with those that did not match."""

    connection: KafkaConnection
    topics: Sequence[Topic]
    conditions: Sequence[Condition] = ()
    looked_at: int = 0

    async def entries(self, start: Start, *, follow: bool) -> AsyncGenerator[Entry, None]:
        """From `start` to the end as it is now, or on and on with `follow`.

        The last entries come in order of time, all others in the order of each partition.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers at the start.
        """
        since: Since
        if isinstance(start, Last):
            newest, since = await self._last(start.entries)
            for entry in newest:
                yield entry
            if not follow:
                return
        else:
            since = start
        records = read_topics(self.connection, self.topics, since=since, until_end=not follow)
        by_name = {topic.name: topic for topic in self.topics}
        async with aclosing(records):
            async for record in records:
                for entry in entries_of(by_name[record.topic], record):
                    if self._wanted(entry):
                        yield entry

    async def _last(self, most: int) -> tuple[list[Entry], dict[TopicPartition, int]]:
        """The newest entries, and the offset of each partition that comes after them."""
        async with open_tail(self.connection, self.topics) as tail:
            found = [
                entry
                for partition, span in tail.spans.items()
                for entry in await self._last_of(tail, partition, span, most)
            ]
            after = {partition: span.stop for partition, span in tail.spans.items()}
        return sorted(found, key=lambda entry: entry.place)[-most:], after

    async def _last_of(
        self, tail: TopicTail, partition: TopicPartition, span: Span, most: int
    ) -> list[Entry]:
        """Looks backwards through one partition, in windows that grow."""
        topic = next(topic for topic in self.topics if topic.name == partition.topic)
        found: list[Entry] = []
        width, stop = max(most, FIRST_WINDOW), span.stop
        while stop > span.start and len(found) < most:
            window = Span(max(span.start, stop - width), stop)
            older: deque[Entry] = deque(maxlen=most - len(found))
            async for record in tail.read({partition: window}):
                older.extend(entry for entry in entries_of(topic, record) if self._wanted(entry))
            found = [*older, *found]
            stop, width = window.start, width * WIDER
        return found

    def _wanted(self, entry: Entry) -> bool:
        self.looked_at += 1
        return match(entry, self.conditions)

"""Reads topics into a fold: first what the last days hold, then whatever comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from ats.gateway.board import Audience
from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.reader import extents_of, read_topics
from bus.records import Record, TopicPartition
from schemas.errors import Unreadable
from schemas.topics import TICKS, Topic
from schemas.units import UtcNs

log = structlog.get_logger(__name__)


class TopicsReader:
    """Keeps one fold up to date."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[Topic],
        apply: Callable[[Record], Audience],
        metrics: ShellMetrics,
        live: Sequence[Topic] = (TICKS,),
    ) -> None:
        """`apply` takes in a record of `topics`, or of `live`, of which only what comes is read.

        It raises Unreadable.
        """
        self._connection = connection
        self._live = tuple(live)
        self._topics = topics
        self._apply = apply
        self._metrics = metrics
        self._next: dict[TopicPartition, int] = {}

    async def catch_up(self, since: UtcNs) -> None:
        """Take in what was published since then, but for what is read live only.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers.
        """
        extents = await extents_of(self._connection, *self._live, *self._topics)
        self._next = {each: end for each, (_, end) in extents.items()}
        records = read_topics(self._connection, self._topics, since=since, until_end=True)
        async with aclosing(records):
            async for record in records:
                self.take(record)

    async def run(self, told: Callable[[Audience], None]) -> None:
        """Take in what comes, for ever; `told` hears of each record that tells something."""
        topics = [*self._live, *self._topics]
        records = read_topics(self._connection, topics, since=dict(self._next))
        async with aclosing(records):
            async for record in records:
                told(self.take(record))

    def take(self, record: Record) -> Audience:
        """Take in one record; what cannot be read is counted and passed over."""
        after = record.offset + 1
        self._next[record.topic_partition] = max(after, self._next.get(record.topic_partition, 0))
        self._metrics.records += 1
        try:
            return self._apply(record)
        except Unreadable as error:
            # whoever works on the topic writes the dead letter
            self._metrics.dead_letters += 1
            log.warning("record_unreadable", record=str(record), reason=error.reason)
            return Audience()

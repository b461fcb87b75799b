"""Reads the topics into the board: first what the last days hold, then whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from ats.gateway.board import FOLLOWED, Audience, Board
from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.reader import extents_of, read_topics
from bus.records import Record, TopicPartition
from schemas.errors import Unreadable
from schemas.topics import TICKS
from schemas.units import UtcNs

# A long weekend: on its last day the bars of the session before it are still there.
LOOK_BACK: Final = UtcNs.minutes(4 * 24 * 60)

log = structlog.get_logger(__name__)


class TopicsReader:
    """Keeps one board up to date."""

    def __init__(self, connection: KafkaConnection, board: Board, metrics: ShellMetrics) -> None:
        self._connection = connection
        self._board = board
        self._metrics = metrics
        self._next: dict[TopicPartition, int] = {}

    async def catch_up(self, now: UtcNs) -> None:
        """Take in what was published in the last days.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers.
        """
        extents = await extents_of(self._connection, TICKS, *FOLLOWED)
        self._next = {each: end for each, (_, end) in extents.items()}
        since = UtcNs(now - LOOK_BACK)
        records = read_topics(self._connection, FOLLOWED, since=since, until_end=True)
        async with aclosing(records):
            async for record in records:
                self._take(record)

    async def run(self, told: Callable[[Audience], None]) -> None:
        """Take in what comes, for ever; `told` hears of each record that tells something."""
        topics = [TICKS, *FOLLOWED]
        records = read_topics(self._connection, topics, since=dict(self._next))
        async with aclosing(records):
            async for record in records:
                told(self._take(record))

    def _take(self, record: Record) -> Audience:
        after = record.offset + 1
        self._next[record.topic_partition] = max(after, self._next.get(record.topic_partition, 0))
        self._metrics.records += 1
        try:
            return self._board.apply(record)
        except Unreadable as error:
            # whoever works on the topic writes the dead letter
            self._metrics.dead_letters += 1
            log.warning("record_unreadable", record=str(record), reason=error.reason)
            return Audience()

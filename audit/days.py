"""Reads messages of whole days from their topics. Joins no consumer group and writes nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from audit.replay.reading import Progress, whole
from audit.replay.recorded import Span
from audit.story import Recorded
from bus.stored import Topics
from schemas.codec import decode, head_of
from schemas.errors import Unreadable
from schemas.messages import Message
from schemas.topics import Topic

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class DayReader:
    """Of the market time of `span`; `tell` is told how far it is."""

    connection: Topics
    span: Span
    tell: Progress

    async def of(
        self, topic: Topic, holds: Callable[[bytes], bool] = lambda _: True
    ) -> list[Recorded]:
        """All that `each` yields."""
        return [each async for each in self.each(topic, holds)]

    async def each(
        self, topic: Topic, holds: Callable[[bytes], bool] = lambda _: True
    ) -> AsyncGenerator[Recorded, None]:
        """Each message that can be read and whose bytes are such that `holds`, in its partition's
        order. What cannot be read stands in the dead letters.

        Raises:
            Misconfigured: the topic does not exist.
            TryLater: no broker answers.
        """
        assert topic.message is not None, "a binary topic has no messages"
        records = whole(self.connection, [topic], f"reading {topic.name}", self.tell)
        async with aclosing(records):
            async for record in records:
                value = record.value or b""
                head = head_of(value)
                if head is None or head.event_time not in self.span or not holds(value):
                    continue
                try:
                    message = decode(topic.message, value)
                except Unreadable:
                    continue
                place = (record.topic, record.partition, record.offset, record.published_at)
                yield Recorded(*place, message, record.headers)


def messages(kind: type[M], records: Iterable[Recorded]) -> tuple[M, ...]:
    """The messages of one kind, each once by its id: the first counts."""
    once: dict[UUID, M] = {}
    for each in records:
        if isinstance(each.message, kind):
            once.setdefault(each.message.id, each.message)
    return tuple(once.values())

"""Reads messages of whole days from their topics. Joins no consumer group and writes nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
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
    """Of the market time of `span`; `tell` is told how far it is.

    Attributes:
        unreadable: What was asked for and is no message, each with its place and why. One that has
            no market time is of the day on which it was written.
    """

    connection: Topics
    span: Span
    tell: Progress
    unreadable: list[str] = field(default_factory=list)

    async def of(
        self, topic: Topic, holds: Callable[[bytes], bool] = lambda _: True
    ) -> list[Recorded]:
        """All that `each` yields."""
        return [each async for each in self.each(topic, holds)]

    async def each(
        self, topic: Topic, holds: Callable[[bytes], bool] = lambda _: True
    ) -> AsyncGenerator[Recorded, None]:
        """Each message that can be read and whose bytes are such that `holds`, in its partition's
        order. What cannot be read is left out, and named in `unreadable`.

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
                moment = head.event_time if head else record.published_at
                if moment not in self.span or not holds(value):
                    continue
                try:
                    message = decode(topic.message, record.value)
                except Unreadable as error:
                    self.unreadable.append(f"{record} cannot be read: {error}")
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

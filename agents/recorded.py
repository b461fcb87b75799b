"""What is recorded, read back: messages of one topic, and the first of each signal."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Generic, Protocol, TypeVar

import structlog

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.stored import Since
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import SignalId
from schemas.messages import Message
from schemas.topics import Topic

log = structlog.get_logger(__name__)

REMEMBERED: Final = 20_000  # signals of several days

M = TypeVar("M", bound=Message)


class OfSignal(Protocol):
    """Something that was known when a signal was judged."""

    @property
    def signal_id(self) -> SignalId: ...


S = TypeVar("S", bound=OfSignal)


class SignalCache(Generic[S]):
    """What was known by signal. The first of a signal stands."""

    def __init__(self, limit: int | None = REMEMBERED) -> None:
        self._limit = limit
        self._known: dict[SignalId, S] = {}

    def add(self, message: S) -> S:
        """Keep `message`, unless its signal has one; return the one that stands."""
        stands = self._known.setdefault(message.signal_id, message)
        if self._limit is not None and len(self._known) > self._limit:
            self._known.pop(next(iter(self._known)))
        return stands

    def of(self, signal: SignalId) -> S | None:
        """What stands of a signal, if anything does."""
        return self._known.get(signal)


async def messages_on(
    connection: KafkaConnection,
    topic: Topic,
    kind: type[M],
    since: Since,
    *,
    until_end: bool = False,
) -> AsyncGenerator[M, None]:
    """The messages of `topic`, endless unless `until_end`. One that cannot be read is logged."""
    records = read_topics(connection, [topic], since=since, until_end=until_end)
    async with aclosing(records):
        async for record in records:
            try:
                message = decode(kind, record.value)
            except Unreadable as error:
                log.error("record_unreadable", at=str(record), reason=str(error))
                continue
            yield message

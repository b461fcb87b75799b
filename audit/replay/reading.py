"""Reads whole topics for a replay, and says how far it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

from audit.replay.recorded import RecordedTopic, Span
from bus.reader import extents_of, read_topics, there
from bus.records import Record
from bus.stored import Topics
from schemas.topics import Topic

TELL_EVERY: Final = 500  # records

# what is being done, how much of it is done, and of how much
Progress: TypeAlias = Callable[[str, int, int], None]


async def whole(
    connection: Topics, topics: Sequence[Topic], what: str, tell: Progress
) -> AsyncGenerator[Record, None]:
    """Every record of `topics` as they stand now, each partition in its order.

    Of a topic that came later than the record there is none.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    topics = await there(connection, topics)
    extents = await extents_of(connection, *topics)
    total, done = sum(end - begin for begin, end in extents.values()), 0
    records = read_topics(connection, topics, since="start", until_end=True)
    async with aclosing(records):
        async for record in records:
            yield record
            done += 1
            if done % TELL_EVERY == 0:
                tell(what, done, total)
    tell(what, total, total)


async def recorded(
    connection: Topics, topic: Topic, span: Span, tell: Progress, *, caused: bool
) -> RecordedTopic:
    """What stands on `topic` of `span`. Raises as `whole`."""
    found = RecordedTopic(caused)
    async with aclosing(whole(connection, [topic], f"reading {topic.name}", tell)) as records:
        async for record in records:
            found.add(record, span)
    return found

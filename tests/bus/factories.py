"""What several tests of the bus read with."""

from __future__ import annotations

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from schemas.codec import decode
from schemas.messages import DeadLetter
from schemas.topics import DEAD_LETTER, Topic


async def read(connection: KafkaConnection, topic: Topic) -> list[Record]:
    """Everything that `topic` holds now."""
    return [
        record async for record in read_topics(connection, [topic], since="start", until_end=True)
    ]


async def letters_from(connection: KafkaConnection, topic: Topic) -> list[DeadLetter]:
    letters = [decode(DeadLetter, record.value) for record in await read(connection, DEAD_LETTER)]
    return [letter for letter in letters if letter.topic == topic.name]

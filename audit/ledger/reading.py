"""Reads the ledger's topics and the records that its leaves are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import date
from typing import Final, NamedTuple

from audit.ledger.entries import Entry
from audit.ledger.log import LOGGED, day_of
from audit.ledger.verification import DayLog
from bus.connection import KafkaConnection
from bus.reader import extents_of, read_topics
from bus.records import Record, TopicPartition
from bus.stored import Topics
from bus.tail import Span, open_tail
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ledger import LedgerBatch, LedgerCheckpoint
from schemas.topics import CHECKPOINTS, LEDGER

_BY_NAME: Final = {topic.name: topic for topic in LOGGED}


class Ledgers(NamedTuple):
    """What stands on the ledger's topics; what cannot be read is left out."""

    batches: list[LedgerBatch]
    heads: list[LedgerCheckpoint]


async def read_ledger(connection: Topics) -> Ledgers:
    """Both topics as they are now.

    Raises:
        Misconfigured: a topic is missing.
        TryLater: no broker answers.
    """
    found = Ledgers([], [])
    records = read_topics(connection, [LEDGER, CHECKPOINTS], since="start", until_end=True)
    async with aclosing(records):
        async for record in records:
            try:
                if record.topic == LEDGER.name:
                    found.batches.append(decode(LedgerBatch, record.value))
                else:
                    found.heads.append(decode(LedgerCheckpoint, record.value))
            except Unreadable:  # what is lost by it shows as leaves that are gone
                continue
    return found


async def day_records(
    connection: Topics, day: date, log: DayLog
) -> dict[TopicPartition, list[Record]]:
    """The records of `day`: those with a leaf in its log, and those that tell of the day.

    Raises: as `read_ledger`.
    """
    first = dict[TopicPartition, int]()
    for each in log.entries:
        place = each.topic_partition
        first[place] = min(each.offset, first.get(place, each.offset))
    extents = await extents_of(connection, *LOGGED)
    starts = {
        place: max(begin, first.get(place, log.positions.get(place, 0)))
        for place, (begin, _) in extents.items()
    }
    found = dict[TopicPartition, list[Record]]()
    others = {(each.topic_partition, each.offset) for each in log.entries}
    async with aclosing(read_topics(connection, LOGGED, since=starts, until_end=True)) as records:
        async for record in records:
            place = record.topic_partition
            logged = (place, record.offset) in others
            if logged or (day_of(record) == day and record.offset >= first.get(place, 0)):
                found.setdefault(place, []).append(record)
    return found


async def records_at(connection: KafkaConnection, entries: Collection[Entry]) -> list[Entry]:
    """What stands now where `entries` say, as leaves; places without a record are left out.

    Raises: as `read_ledger`.
    """
    wanted = {(each.topic_partition, each.offset) for each in entries}
    topics = [_BY_NAME[name] for name in sorted({each.topic for each in entries} & _BY_NAME.keys())]
    if not topics:
        return []
    async with open_tail(connection, topics) as tail:
        spans: dict[TopicPartition, Span] = {}
        for place, span in tail.spans.items():
            offsets = [offset for at, offset in wanted if at == place]
            if offsets:
                spans[place] = Span(max(span.start, min(offsets)), min(span.stop, max(offsets) + 1))
        return [
            Entry.of(record)
            async for record in tail.read(spans)
            if (record.topic_partition, record.offset) in wanted
        ]


def leaves(
    records: Mapping[TopicPartition, Sequence[Record]],
) -> dict[TopicPartition, list[Entry]]:
    """The leaf of each record."""
    return {place: [Entry.of(each) for each in those] for place, those in records.items()}

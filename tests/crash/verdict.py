"""What a run wrote against what the pure engine makes of the same `ats.ticks`: by id, by bytes, and
in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record, TopicPartition
from bus.routing import Router
from bus.stateful import StatefulService
from schemas.lineage import HEADER, Cause, Deduplicator
from schemas.topics import PartitionPlan, Topic

SHOWN = 5  # of each kind of difference


class Message(NamedTuple):
    """One message, wherever it was written and however often."""

    topic_partition: TopicPartition
    cause: Cause
    key: bytes | None
    value: bytes | None

    @property
    def id(self) -> str:
        return str(orjson.loads(self.value or b"{}").get("id"))


@dataclass
class Verdict:
    """Counts per topic, and the first differences in words."""

    expected: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


async def judge(
    connection: KafkaConnection, service: StatefulService, plan: PartitionPlan
) -> Verdict:
    """Compare every topic that `service` writes to."""
    reference = expected_of(
        service, plan, [record async for record in whole(connection, service.source)]
    )
    verdict = Verdict()
    for topic in service.outputs:
        want, got = (
            reference[topic.name],
            [_message(record) async for record in whole(connection, topic)],
        )
        verdict.expected[topic.name], verdict.repeats[topic.name] = (
            len(want),
            len(got) - len({m.id for m in got}),
        )
        verdict.wrong += [f"{topic.name}: {difference}" for difference in differences(want, got)]
    return verdict


async def whole(connection: KafkaConnection, topic: Topic) -> AsyncIterator[Record]:
    async for record in read_topics(connection, [topic], since="start", until_end=True):
        yield record


def expected_of(
    service: StatefulService, plan: PartitionPlan, source: Iterable[Record]
) -> dict[str, list[Message]]:
    """The uninterrupted run, computed without Kafka: each partition's machine over its records."""
    router = Router({service.source.name: service.source}, service.outputs, plan)
    machines = {number: service.fresh(number) for number in range(service.source.partitions(plan))}
    messages: dict[str, list[Message]] = defaultdict(list)
    for record in source:
        for output in router.route(record, machines[record.partition].apply(record)):
            topic_partition = TopicPartition(output.topic.name, record.partition)
            cause = Cause.decode(dict(output.headers)[HEADER])
            messages[output.topic.name].append(
                Message(topic_partition, cause, output.key, output.value)
            )
    return messages


def _message(record: Record) -> Message:
    return Message(
        record.topic_partition, Cause.decode(record.headers[HEADER]), record.key, record.value
    )


def differences(want: list[Message], got: list[Message]) -> Iterator[str]:
    """What is missing, unknown, different, told twice with other bytes, or out of order; a few of
    each, and how many.
    """
    wanted, found = (
        {message.id: message for message in want},
        {message.id: message for message in got},
    )
    yield from _some("missing", [wanted[id_] for id_ in wanted.keys() - found.keys()])
    yield from _some("unknown", [found[id_] for id_ in found.keys() - wanted.keys()])
    wrong = [message for message in got if message.id in wanted and message != wanted[message.id]]
    for message in wrong[:SHOWN]:
        yield f"different\n    expected {wanted[message.id]}\n    found    {message}"
    if len(wrong) > SHOWN:
        yield f"… {len(wrong):,} different in all"
    repeats = Deduplicator()
    kept = [
        message
        for message in got
        if repeats.is_new(message.topic_partition.partition, message.cause)
    ]
    for place in {message.topic_partition for message in want}:
        if [m.cause for m in kept if m.topic_partition == place] != [
            m.cause for m in want if m.topic_partition == place
        ]:
            yield f"out of order or with a hole in {place}, for a reader of the highest cause"


def _some(kind: str, messages: list[Message]) -> Iterator[str]:
    for message in sorted(messages)[:SHOWN]:
        yield f"{kind} {message}"
    if len(messages) > SHOWN:
        yield f"… {len(messages):,} {kind} in all"

"""Asks Kafka from outside where a consumer group stands.

The answer is its committed offsets, and how far it is behind. The shells ask before they read:
Faust's own idea of where to begin is overwritten by us anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from bus.connection import KafkaConnection, reader
from bus.records import TopicPartition
from schemas.errors import Misconfigured
from schemas.topics import PartitionPlan, Topic

log = structlog.get_logger(__name__)


async def committed_offsets(
    connection: KafkaConnection, group: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """The committed offset of each partition, else the topic's beginning.

    Raises:
        Misconfigured: a committed offset lies beyond the topic's end, so the topic was made anew.
        TryLater: no broker answers.
    """
    if not partitions:
        return {}
    # without a subscription it does not join
    async with reader(connection, group_id=group) as client:
        begins, ends = (
            await client.beginning_offsets(partitions),
            await client.end_offsets(partitions),
        )
        committed = {partition: await client.committed(partition) for partition in partitions}
    return {
        partition: _resume_offset(
            group, partition, committed[partition], begins[partition], ends[partition]
        )
        for partition in partitions
    }


def _resume_offset(
    group: str, partition: TopicPartition, committed: int | None, begin: int, end: int
) -> int:
    if committed is None:
        return begin
    if committed > end:
        raise Misconfigured(
            f"group {group} stands at {committed} in {partition}, which ends at {end}: the topic "
            "was made anew; delete the group"
        )
    if committed < begin:
        log.error(
            "records_expired_unread",
            group=group,
            partition=str(partition),
            committed=committed,
            begin=begin,
        )
    return max(committed, begin)


async def lag(
    connection: KafkaConnection, group: str, topics: Sequence[Topic], plan: PartitionPlan
) -> int:
    """Records of `topics` that `group` has not committed yet.

    A group that never committed has everything before it.

    Raises:
        TryLater: no broker answers.
    """
    partitions = [
        TopicPartition(topic.name, number)
        for topic in topics
        for number in range(topic.partitions(plan))
    ]
    # without a subscription it does not join
    async with reader(connection, group_id=group) as client:
        begins, ends = (
            await client.beginning_offsets(partitions),
            await client.end_offsets(partitions),
        )
        committed = {partition: await client.committed(partition) for partition in partitions}
    # what was committed since the ends were asked for is no debt of another partition
    return sum(max(0, ends[p] - max(committed[p] or 0, begins[p])) for p in partitions)

"""How far a consumer group is behind, asked of Kafka from outside."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import TopicPartition

from bus.connection import KafkaConnection, reader
from schemas.topics import PartitionPlan, Topic


async def lag(connection: KafkaConnection, group: str, topics: Sequence[Topic], plan: PartitionPlan) -> int:
    """Records of `topics` that `group` has not committed yet. A group that never committed has everything before it.

    Raises:
        TryLater: no broker answers.
    """
    places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions(plan))]
    async with reader(connection, group_id=group) as client:  # without a subscription it does not join
        begins, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        committed = {place: await client.committed(place) for place in places}
    return sum(ends[place] - max(committed[place] or 0, begins[place]) for place in places)

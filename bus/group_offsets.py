"""Where a group left off, asked from Kafka before reading: Faust's own idea of it is overwritten by us anyway."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from aiokafka import TopicPartition

from bus.connection import KafkaConnection, reader
from bus.records import Shard
from schemas.errors import Misconfigured

log = structlog.get_logger(__name__)


async def starts(connection: KafkaConnection, group: str, shards: Collection[Shard]) -> dict[Shard, int]:
    """The committed offset of each partition, else the topic's beginning.

    Raises:
        Misconfigured: a committed offset lies beyond the topic's end, so the topic was made anew.
        TryLater: no broker answers.
    """
    if not shards:
        return {}
    async with reader(connection, group_id=group) as client:  # without a subscription it does not join
        places = {shard: TopicPartition(*shard) for shard in shards}
        begins, ends = await client.beginning_offsets(places.values()), await client.end_offsets(places.values())
        committed = {shard: await client.committed(place) for shard, place in places.items()}
    return {
        shard: _start(group, shard, committed[shard], begins[place], ends[place]) for shard, place in places.items()
    }


def _start(group: str, shard: Shard, committed: int | None, begin: int, end: int) -> int:
    if committed is None:
        return begin
    if committed > end:
        raise Misconfigured(
            f"group {group} stands at {committed} in {shard}, which ends at {end}: the topic was made anew; delete the group"
        )
    if committed < begin:
        log.error("records_expired_unread", group=group, shard=str(shard), committed=committed, begin=begin)
    return max(committed, begin)

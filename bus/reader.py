"""Reads topics without a consumer group: every reader sees everything.

For views, quotes, sessions and tools.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping, Sequence
from contextlib import aclosing
from heapq import heappop, heappush
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError

from bus.connection import KafkaConnection, reader
from bus.patience import Silence, until_known
from bus.records import NS_PER_MS, Record, TopicPartition
from bus.stored import Since, StoredTopics, Topics
from schemas.errors import Misconfigured, TryLater
from schemas.ids import InstrumentId
from schemas.ticks import partition_of
from schemas.topics import LATER, MIB, Topic
from schemas.units import UtcNs

POLL_MS: Final = 200  # longest wait for records before the end is looked at again
AT_ONCE: Final = 2_000  # records that are held of those that come in order
LARGEST_FETCH: Final = 4 * MIB  # the largest record, a dead letter, fits

T = TypeVar("T")


async def read_topics(
    source: Topics,
    topics: Sequence[Topic],
    *,
    since: Since,
    until_end: bool = False,
    about: InstrumentId | None = None,
) -> AsyncGenerator[Record, None]:
    """Yield the records of `topics`, each partition in its order, and stay through broker restarts.

    `since` a moment starts at the first record published at or after it; offsets start there, and
    at the first record of a partition that is not among them. With `until_end` it stops
    at the end as it was at the start; at the end of a copy always. `about` an instrument, only the
    partitions that its messages go to are read of a cluster; other messages stand there too. Break
    out under `contextlib.aclosing`, or the connection stays open until the garbage collector comes.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers at the start, or, with `until_end`, none for a minute before it.
    """
    if not isinstance(source, KafkaConnection):
        async with aclosing(source.read(topics, since)) as stored:
            async for record in stored:
                yield record
        return
    options = {
        "auto_offset_reset": "earliest",  # what retention removed meanwhile cannot be read any more
        "max_partition_fetch_bytes": LARGEST_FETCH,
    }
    async with reader(source, **options) as client:
        partitions = await partitions_of(client, topics)
        if about is not None:
            partitions = _about(about, partitions)
        # asked before assign(): behind a fetch that waits for records each question takes half a
        # second
        begins, ends = (
            await _begins(client, partitions, since),
            await _said(client.end_offsets(partitions)),
        )
        client.assign(partitions)
        for partition in partitions:
            client.seek(
                partition, ends[partition] if (begin := begins.get(partition)) is None else begin
            )
        silence = Silence()
        while not until_end or (unread := await _unread(client, ends)):
            heard = False
            for partition, batch in (await client.getmany(timeout_ms=POLL_MS)).items():
                for row in batch:
                    if not until_end or row.offset < ends[partition]:
                        heard = True
                        yield record_of(row)
            if until_end:
                silence.note(unread, heard=heard)


async def read_in_order(source: Topics, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
    """Yield all records of `topics` as they stand now, in the order in which they were published.

    Each partition keeps its own order; at one moment an earlier topic of `topics` comes first.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers at the start, or none for a minute before the end.
    """
    if not isinstance(source, KafkaConnection):
        async with aclosing(source.read_in_order(topics)) as stored:
            async for record in stored:
                yield record
        return
    rank = {topic.name: place for place, topic in enumerate(topics)}
    options = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": LARGEST_FETCH}
    async with reader(source, **options) as client:
        partitions = await partitions_of(client, topics)
        begins = await _said(client.beginning_offsets(partitions))
        ends = await _said(client.end_offsets(partitions))
        held: dict[TopicPartition, deque[Any]] = {
            each: deque() for each in partitions if begins[each] < ends[each]
        }
        client.assign(list(held))
        for partition in held:
            client.seek(partition, begins[partition])
        next_: list[tuple[int, int, int, TopicPartition]] = []
        empty = set(held)
        while True:
            for partition in await _refilled(client, held, ends, empty):
                order = held[partition][0].timestamp, rank[partition.topic], partition.partition
                heappush(next_, (*order, partition))
            if not next_:
                return
            partition = heappop(next_)[-1]
            row = held[partition].popleft()
            empty = set() if held[partition] else {partition}
            if held[partition]:
                order = held[partition][0].timestamp, rank[partition.topic], partition.partition
                heappush(next_, (*order, partition))
            yield record_of(row)


async def _refilled(
    client: AIOKafkaConsumer,
    held: Mapping[TopicPartition, deque[Any]],
    ends: Mapping[TopicPartition, int],
    empty: Collection[TopicPartition],
) -> list[TopicPartition]:
    """Read until each partition of `empty` holds a record or is at its end; returns the former."""
    filled = list[TopicPartition]()
    waiting, silence = set(empty), Silence()
    while waiting := {each for each in waiting if await client.position(each) < ends[each]}:
        named = (ClientPartition(*each) for each in waiting)
        found = await client.getmany(*named, timeout_ms=POLL_MS, max_records=AT_ONCE)
        for partition, batch in found.items():
            rows = [row for row in batch if row.offset < ends[partition]]
            held[partition].extend(rows)
            if rows:
                filled.append(partition)
                waiting.discard(partition)
        if waiting:
            silence.note(min(waiting), heard=bool(found))
    return filled


async def ends_of(source: Topics, topic: Topic) -> dict[int, int]:
    """Of each partition of `topic`, the offset that its next record will have.

    Raises:
        Misconfigured: the topic does not exist.
        TryLater: no broker answers.
    """
    extents = await extents_of(source, topic)
    return {place.partition: end for place, (_, end) in extents.items()}


async def extents_of(source: Topics, *topics: Topic) -> dict[TopicPartition, tuple[int, int]]:
    """Of each partition of `topics`, the offset of its first record and of its next one.

    Raises:
        Misconfigured: a topic does not exist.
        TryLater: no broker answers.
    """
    if not isinstance(source, KafkaConnection):
        return source.extents(topics)
    async with reader(source) as client:
        partitions = await partitions_of(client, topics)
        begins = await _said(client.beginning_offsets(partitions))
        ends = await _said(client.end_offsets(partitions))
        return {each: (begins[each], ends[each]) for each in partitions}


async def there(source: Topics, topics: Sequence[Topic]) -> list[Topic]:
    """`topics` without those of `LATER` that this record is older than.

    Raises:
        TryLater: no broker answers.
    """
    later = LATER.intersection(topics)
    if not later:
        return list(topics)
    if isinstance(source, KafkaConnection):
        names = await _names(source)
        return [each for each in topics if each not in later or each.name in names]
    return [each for each in topics if each not in later or _is_part(source, each)]


async def _names(source: KafkaConnection) -> frozenset[str]:
    """All topics of a cluster: one that has just started names none for a moment."""
    async with reader(source) as client:

        async def look() -> frozenset[str] | None:
            cluster = await client._client.fetch_all_metadata()  # noqa: SLF001  # as partitions_of
            return frozenset(cluster.topics()) or None

        return await until_known(look) or frozenset()


def _is_part(copy: StoredTopics, topic: Topic) -> bool:
    try:
        copy.extents([topic])
    except Misconfigured:
        return False
    return True


async def record_at(source: Topics, topic: Topic, partition: int, offset: int) -> Record | None:
    """One record by where it stands; None where retention has removed it, or none stands there.

    Raises:
        Misconfigured: the topic does not exist.
        TryLater: no broker answers.
    """
    extents = await extents_of(source, topic)
    starts = {each: end for each, (_, end) in extents.items()}
    wanted = TopicPartition(topic.name, partition)
    if wanted not in extents or not extents[wanted][0] <= offset < extents[wanted][1]:
        return None
    starts[wanted] = offset
    records = read_topics(source, [topic], since=starts, until_end=True)
    async with aclosing(records):
        async for record in records:
            if record.partition == partition:
                return record if record.offset == offset else None
    return None


def record_of(row: Any) -> Record:
    """What aiokafka read, in our terms."""
    published_at = UtcNs(row.timestamp * NS_PER_MS)
    return Record(
        row.topic, row.partition, row.offset, row.key, row.value, published_at, dict(row.headers)
    )


async def _said(answer: Awaitable[T]) -> T:
    """What the broker says; TryLater when it went away after the client had connected."""
    try:
        return await answer
    except KafkaError as error:
        raise TryLater(f"Kafka went away before it answered ({error!r})") from None


async def partitions_of(client: AIOKafkaConsumer, topics: Sequence[Topic]) -> list[TopicPartition]:
    """Every partition of `topics`.

    Raises:
        Misconfigured: one does not exist.
        TryLater: the broker went away after `client` had connected.
    """
    found = dict[str, list[TopicPartition]]()

    async def look() -> bool | None:
        # the public call forgets the partitions
        cluster = await _said(client._client.fetch_all_metadata())  # noqa: SLF001
        for topic in topics:
            numbers = cluster.partitions_for_topic(topic.name) or ()
            found[topic.name] = [TopicPartition(topic.name, number) for number in sorted(numbers)]
        return all(found.values()) or None

    await until_known(look)
    if missing := next((name for name, those in found.items() if not those), None):
        raise Misconfigured(f"topic missing: {missing}; run `ats topics create`")
    # all at once: what asks for offsets makes each unknown topic known by a refresh of its own
    await client._client.set_topics(tuple(found))  # noqa: SLF001
    return [each for those in found.values() for each in those]


def _about(instrument: InstrumentId, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """Those of `partitions`, each topic's whole, in which the instrument's messages stand."""
    counts = Counter(each.topic for each in partitions)
    return [
        each
        for each in partitions
        if each.partition == partition_of(instrument, counts[each.topic])
    ]


async def _begins(
    client: AIOKafkaConsumer, partitions: list[TopicPartition], since: Since
) -> dict[TopicPartition, int | None]:
    """Where to start; None is the end."""
    if since == "end":
        return {}
    if since == "start":
        begins: dict[TopicPartition, int | None]
        begins = await _said(client.beginning_offsets(partitions))
        return begins
    if isinstance(since, Mapping):
        return {partition: since.get(partition, 0) for partition in partitions}
    # upwards: a record of the same millisecond but before `since` is not wanted
    moment = -(-int(since) // NS_PER_MS)
    found = await _said(client.offsets_for_times(dict.fromkeys(partitions, moment)))
    return {partition: hit.offset if hit else None for partition, hit in found.items()}


async def _unread(
    client: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> TopicPartition | None:
    """A partition that is not read to its end; None when all are."""
    for partition, end in ends.items():
        if await client.position(partition) < end:
            return partition
    return None

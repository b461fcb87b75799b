"""Topics, publisher and follower against a real broker."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from bus.connection import KafkaConnection, reader
from bus.patience import until_known
from bus.publisher import Publisher
from bus.reader import partitions_of, read_topics
from bus.records import Output
from bus.topics import check_topics, create_topics
from schemas import cloud_events
from schemas.codec import encode
from schemas.errors import Misconfigured, TryLater
from schemas.messages import Candle
from schemas.ticks import partition_of
from schemas.topics import CATALOGUE, MIB, Family, PartitionPlan, Topic
from tests.bus.factories import read
from tests.schemas.factories import RELIANCE, a_candle

PLAN = PartitionPlan(instrument=3, user=2)
NOWHERE = KafkaConnection("127.0.0.1:1")


def a_topic(prefix: str, **more: object) -> Topic:
    return Topic(f"{prefix}.things", Family.INSTRUMENT, "name", **more)  # type: ignore[arg-type]


async def test_missing_topics_are_created_with_their_settings_and_a_second_run_changes_nothing(
    connection: KafkaConnection, prefix: str
) -> None:
    topics = [
        Topic(
            f"{prefix}.{t.name}",
            t.family,
            t.key,
            t.message,
            t.retention_days,
            t.compacted,
            t.max_message_bytes,
        )
        for t in CATALOGUE
    ]

    created = await create_topics(connection, PLAN, topics=topics)

    assert created == [topic.name for topic in topics]
    assert await create_topics(connection, PLAN, topics=topics) == []
    await check_topics(connection, PLAN, topics)
    for topic in topics:
        assert topic.config().items() <= (await settings(connection, topic)).items()


async def settings(connection: KafkaConnection, topic: Topic) -> dict[str, str]:
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        (answer,) = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic.name)]
        )
    finally:
        await admin.close()
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def test_another_partition_count_is_refused_by_creation_and_by_the_check(
    connection: KafkaConnection, prefix: str
) -> None:
    topic, other = a_topic(prefix), PartitionPlan(instrument=4, user=2)
    await create_topics(connection, PLAN, topics=[topic])

    with pytest.raises(Misconfigured, match="has 3 partitions, the plan says 4"):
        await create_topics(connection, other, topics=[topic])
    with pytest.raises(Misconfigured, match="has 3 partitions, the plan says 4"):
        await check_topics(connection, other, [topic])


async def test_a_missing_topic_is_named_with_the_remedy(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)

    with pytest.raises(Misconfigured, match=rf"{topic.name}.*ats topics create"):
        await check_topics(connection, PLAN, [topic])
    with pytest.raises(Misconfigured, match=rf"{topic.name}.*ats topics create"):
        await read(connection, topic)


async def test_a_topic_that_a_starting_broker_does_not_know_yet_is_waited_for() -> None:
    answers = iter([None, None, 3])
    asked = []

    async def look() -> int | None:
        asked.append(answer := next(answers))
        return answer

    assert await until_known(look) == 3
    assert asked == [None, None, 3]


async def test_a_publisher_waits_for_a_topic_that_a_starting_broker_does_not_know_yet(
    connection: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, unknown = a_topic(prefix), [UnknownTopicOrPartitionError(), None]
    await create_topics(connection, PLAN, topics=[topic])
    ask = AIOKafkaProducer.partitions_for

    async def partitions_for(producer: AIOKafkaProducer, name: str) -> set[int]:
        if error := unknown.pop(0):
            raise error
        known: set[int] = await ask(producer, name)
        return known

    monkeypatch.setattr(AIOKafkaProducer, "partitions_for", partitions_for)
    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(Output(topic, b"key", b"value", 0))
    assert unknown == []


async def test_an_absent_broker_asks_to_try_later(prefix: str) -> None:
    topic = a_topic(prefix)

    with pytest.raises(TryLater, match=r"127\.0\.0\.1:1"):
        await create_topics(NOWHERE, PLAN, topics=[topic])
    with pytest.raises(TryLater, match=r"127\.0\.0\.1:1"):
        async with Publisher(NOWHERE):
            pass
    with pytest.raises(TryLater, match=r"127\.0\.0\.1:1"):
        await read(NOWHERE, topic)


async def test_what_is_published_is_followed_whole_and_in_order_per_partition(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)
    await create_topics(connection, PLAN, topics=[topic])

    async with Publisher(connection) as publisher:
        for number in range(3_000):
            await publisher.send(
                Output(
                    topic, b"k%d" % (number % 7), b"%d" % number, headers=(("ats-cause", b"1:2"),)
                )
            )
        await publisher.flush()
    records = await read(connection, topic)

    lanes: dict[bytes | None, list[int]] = defaultdict(list)
    for record in records:
        lanes[record.key].append(int(record.value or b""))
    assert dict(lanes) == {b"k%d" % key: list(range(key, 3_000, 7)) for key in range(7)}
    assert {record.headers["ats-cause"] for record in records} == {b"1:2"}
    assert len({record.partition for record in records}) == 3


async def headers_in(connection: KafkaConnection, topic: Topic) -> list[list[tuple[str, bytes]]]:
    """Of each record of `topic` its headers as they stand, repeated names too."""
    async with reader(connection, auto_offset_reset="earliest") as client:
        client.assign(await partitions_of(client, [topic]))
        found = await client.getmany(timeout_ms=5_000)
        return [list(row.headers) for rows in found.values() for row in rows]


async def test_each_message_is_written_as_a_cloud_event_and_a_copied_one_with_its_own_headers_alone(
    connection: KafkaConnection, prefix: str
) -> None:
    topics = [a_topic(f"{prefix}{nth}", message=Candle) for nth in (0, 1)]
    await create_topics(connection, PLAN, topics=topics)
    value = encode(a_candle())
    event = cloud_events.headers_of(topics[0], b"NSE_EQ:2885", value)
    own = (("ats-cause", b"1:2"), *event)

    async with Publisher(connection) as producer, Publisher(connection, verbatim=True) as copier:
        await producer.send_and_wait(Output(topics[0], b"NSE_EQ:2885", value, 0, own[:1]))
        await copier.send_and_wait(Output(topics[1], b"NSE_EQ:2885", value, 0, own))

    assert [await headers_in(connection, topic) for topic in topics] == [[list(own)], [list(own)]]


async def test_a_record_of_nearly_4_mib_passes_where_the_topic_allows_it(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix, max_message_bytes=4 * MIB)
    await create_topics(connection, PLAN, topics=[topic])

    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(Output(topic, b"k", bytes(4 * MIB - 1024), 0))
    (record,) = await read(connection, topic)
    assert len(record.value or b"") == 4 * MIB - 1024


async def test_a_refused_record_that_nobody_waits_for_is_told_and_stops_the_publisher(
    connection: KafkaConnection, prefix: str
) -> None:
    topic, told = a_topic(prefix), asyncio.Queue[BaseException]()
    await create_topics(connection, PLAN, topics=[topic])
    publisher = await Publisher(connection, told.put_nowait).__aenter__()

    await publisher.send(Output(topic, b"k", bytes(2 * MIB), 0))
    await asyncio.wait_for(told.get(), 10)

    with pytest.raises(TryLater, match="not accepted"):
        await publisher.send(Output(topic, b"k", b"after a hole", 0))
    with pytest.raises(TryLater, match="not accepted"):
        await publisher.flush()
    with pytest.raises(TryLater, match="not accepted"):
        await publisher.__aexit__(None, None, None)
    assert await read(connection, topic) == []


async def test_a_refused_record_that_is_waited_for_is_something_to_try_later(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)
    await create_topics(connection, PLAN, topics=[topic])
    publisher = await Publisher(connection).__aenter__()

    with pytest.raises(TryLater, match="not accepted"):
        await publisher.send_and_wait(Output(topic, b"k", bytes(2 * MIB), 0))
    with pytest.raises(TryLater):
        await publisher.__aexit__(None, None, None)


async def test_following_since_a_moment_starts_with_the_first_record_published_then(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)
    await create_topics(connection, PLAN, topics=[topic])
    async with Publisher(connection) as publisher:
        for number in range(5):
            await publisher.send_and_wait(Output(topic, b"k", b"%d" % number, 0))
            await asyncio.sleep(0.005)
    records = await read(connection, topic)

    since = [
        r
        async for r in read_topics(
            connection, [topic], since=records[2].published_at, until_end=True
        )
    ]

    assert since == records[2:]


async def test_reading_about_an_instrument_reads_no_partition_but_its_own(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)
    await create_topics(connection, PLAN, topics=[topic])
    async with Publisher(connection) as publisher:
        for number in range(PLAN.instrument):
            await publisher.send_and_wait(Output(topic, b"k", b"%d" % number, number))

    found = [
        record.partition
        async for record in read_topics(
            connection, [topic], since="start", until_end=True, about=RELIANCE
        )
    ]

    assert found == [partition_of(RELIANCE, PLAN.instrument)]


async def test_following_the_end_sees_only_what_comes_later(
    connection: KafkaConnection, prefix: str
) -> None:
    topic = a_topic(prefix)
    await create_topics(connection, PLAN, topics=[topic])
    async with Publisher(connection) as publisher:
        await publisher.send_and_wait(Output(topic, b"k", b"before", 0))

        async def write_until_read() -> None:
            while True:
                await publisher.send_and_wait(Output(topic, b"k", b"after", 0))
                await asyncio.sleep(0.05)

        writing = asyncio.ensure_future(write_until_read())
        async with aclosing(read_topics(connection, [topic], since="end")) as records:
            first = await anext(records)
        writing.cancel()

    assert first.value == b"after"

"""The shell with many records in flight, over a real broker: nothing lost, order per key, commits
that never run ahead.
"""

from __future__ import annotations

import asyncio
import collections
import random
import signal
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson
import pytest

from bus.connection import KafkaConnection
from bus.exit import Exit
from bus.group_offsets import committed_offsets
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record, TopicPartition
from bus.stateless import run_stateless
from bus.topics import create_topics
from schemas.errors import Misconfigured
from schemas.topics import DEAD_LETTER, Topic, user_partition
from tests.bus.conftest import both_clients
from tests.bus.factories import letters_from, read
from tests.bus.programs.errands import PLAN, Topics, errands
from tests.bus.workers import Worker

Make: TypeAlias = Callable[..., Worker]
USER = "0e7b4e39-2f0b-4a44-93c1-6f6c7fbb5a0"


async def give(
    connection: KafkaConnection, topic: Topic, jobs: list[dict[str, Any] | bytes], keys: int = 40
) -> None:
    """One errand per job, numbered; key and partition follow from the number."""
    async with Publisher(connection) as publisher:
        for number, job in enumerate(jobs):
            key = number % keys
            value = job if isinstance(job, bytes) else orjson.dumps({"number": number} | job)
            await publisher.send(Output(topic, b"K%02d" % key, value, key % PLAN.instrument))


async def wait_for(connection: KafkaConnection, topic: Topic, numbers: set[int]) -> list[Record]:
    """Every record of `topic` up to the one that completes `numbers`."""
    records, missing = [], set(numbers)
    async with asyncio.timeout(60):
        async for record in read_topics(connection, [topic], since="start"):
            records.append(record)
            missing.discard(number_of(record))
            if not missing:
                break
    return records


def number_of(record: Record) -> int:
    return int(orjson.loads(record.value or b"")[0])


async def committed(connection: KafkaConnection, group: str, topic: Topic) -> dict[int, int]:
    partitions = [TopicPartition(topic.name, number) for number in range(PLAN.instrument)]
    return {
        partition.partition: offset
        for partition, offset in (await committed_offsets(connection, group, partitions)).items()
    }


@pytest.fixture
async def topics(connection: KafkaConnection, prefix: str) -> Topics:
    topics = Topics(prefix)
    await create_topics(connection, PLAN, topics=(*topics.all, DEAD_LETTER))
    return topics


async def test_nothing_is_lost_and_each_key_stays_in_order_when_workers_are_killed_in_mid_flight(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    chance = random.Random(5)
    jobs: list[dict[str, Any] | bytes] = [
        {"seconds": chance.uniform(0, 0.25)} for _ in range(2_000)
    ]
    jobs[700] = b"garbled"
    await give(connection, topics.source, jobs)
    workers = [worker("errands", "w1", "20"), worker("errands", "w2", "20")]
    for each in workers:
        each.start()
    supervising = [asyncio.ensure_future(each.supervised()) for each in workers]

    for kind in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        victim = chance.choice(workers)
        await victim.joined()
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        await victim.restart(kind, pause=0)
    records = await wait_for(connection, topics.done, set(range(2_000)) - {700})
    for task in supervising:
        task.cancel()
    for each in workers:
        await each.joined()
        each.signal(signal.SIGTERM)
    codes = [await each.ended() for each in workers]

    first: dict[bytes | None, list[int]] = collections.defaultdict(list)
    seen: set[int] = set()
    for record in records:
        if (number := number_of(record)) not in seen:
            seen.add(number)
            first[record.key].append(number)
    assert all(numbers == sorted(numbers) for numbers in first.values())
    assert {record.partition for record in records if number_of(record) % 2 == 0} == {0}
    assert codes == [0, 0]
    assert not {Exit.GAP, Exit.CRASHED, Exit.INCOMPATIBLE} & {
        code for each in workers for code in each.exits
    }


async def test_many_are_in_flight_at_once_but_no_more_than_allowed(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    await give(connection, topics.source, [{"seconds": 0.2}] * 200)
    process = worker("errands", "w1", "16")

    process.start()
    records = await wait_for(connection, topics.done, set(range(200)))
    process.signal(signal.SIGTERM)

    assert max(orjson.loads(record.value or b"")[1] for record in records) == 16
    assert await process.ended() == 0


async def test_the_commit_never_passes_an_unfinished_record_and_a_stop_commits_what_is_finished(
    connection: KafkaConnection, topics: Topics, prefix: str, worker: Make
) -> None:
    jobs: list[dict[str, Any] | bytes] = [{"seconds": 0.0} for _ in range(100)]
    jobs[40] = {"seconds": 60.0}  # partition 0, offset 20
    await give(connection, topics.source, jobs, keys=100)
    process = worker("errands", "w1")

    process.start()
    await wait_for(connection, topics.done, set(range(100)) - {40})
    await asyncio.sleep(0.5)
    while_at_work = await committed(connection, prefix, topics.source)
    process.signal(signal.SIGTERM)

    assert await process.ended() == 0
    assert while_at_work == {0: 20, 1: 50}
    assert await committed(connection, prefix, topics.source) == {0: 20, 1: 50}


async def test_a_handler_that_raises_ends_the_process_and_nothing_from_its_record_on_is_committed(
    connection: KafkaConnection, topics: Topics, prefix: str, worker: Make
) -> None:
    jobs: list[dict[str, Any] | bytes] = [{"seconds": 0.0} for _ in range(100)]
    jobs[40] = {"seconds": 1.0, "fails": True}  # partition 0, offset 20
    await give(connection, topics.source, jobs, keys=100)
    process = worker("errands", "w1")

    process.start()

    assert await process.ended() == Exit.CRASHED
    assert (await committed(connection, prefix, topics.source))[0] <= 20
    assert 40 not in {number_of(record) for record in await read(connection, topics.done)}


@both_clients
async def test_a_garbled_record_becomes_a_dead_letter_and_is_committed_like_any_other(
    connection: KafkaConnection, topics: Topics, prefix: str, worker: Make
) -> None:
    await give(
        connection,
        topics.source,
        [{"seconds": 0.0}, b"garbled \xff", {"seconds": 0.0}, {"seconds": 0.0}],
    )
    process = worker("errands", "w1")

    process.start()
    await wait_for(connection, topics.done, {0, 2, 3})
    await asyncio.sleep(0.5)
    process.signal(signal.SIGTERM)

    assert await process.ended() == 0
    (letter,) = await letters_from(connection, topics.source)
    assert (letter.partition, letter.offset, letter.reason) == (1, 0, "garbled errand")
    assert await committed(connection, prefix, topics.source) == {0: 2, 1: 2}


async def test_outputs_of_another_family_go_to_their_users_partition(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    await give(
        connection,
        topics.source,
        [{"seconds": 0.0, "user": USER + f"{number:x}"} for number in range(16)],
    )
    process = worker("errands", "w1")

    process.start()
    records = await wait_for(connection, topics.told, set(range(16)))

    assert {record.partition for record in records} == {0, 1, 2}
    for record in records:
        assert record.partition == user_partition((record.key or b"").decode(), 3)


async def test_a_handler_that_never_returns_is_noticed(
    connection: KafkaConnection, topics: Topics, prefix: str, worker: Make
) -> None:
    await give(connection, topics.source, [{"seconds": 3600.0}])
    process = worker("errands", "w1", "4", '{"handler_timeout": 1.0}')

    process.start()

    assert await process.ended() == Exit.STALLED
    assert await committed(connection, prefix, topics.source) == {0: 0, 1: 0}


async def test_a_process_that_the_group_refuses_ends_instead_of_waiting_for_ever(
    topics: Topics, worker: Make
) -> None:
    # the broker's minimum is 6
    process = worker("errands", "w1", "4", '{"session_timeout": 4.0, "join_timeout": 4.0}')

    process.start()

    assert await process.ended() == Exit.STALLED


async def test_a_stop_before_any_partition_came_ends_the_process_soon(
    topics: Topics, worker: Make
) -> None:
    refused = worker("errands", "w1", "4", '{"session_timeout": 4.0}')

    refused.start()
    await refused.logged(b"Attempt to join group failed")
    refused.signal(signal.SIGTERM)

    assert await refused.ended(within=10) == Exit.STOPPED


async def test_a_missing_topic_is_named_before_anything_starts(
    connection: KafkaConnection, prefix: str
) -> None:
    with pytest.raises(Misconfigured, match=rf"{prefix}\.errands.*ats topics create"):
        await run_stateless(
            errands(prefix, 4), connection, PLAN, instance="w1", stop=asyncio.Event()
        )

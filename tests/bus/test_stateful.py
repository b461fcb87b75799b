"""The exact shell over a real broker: processes killed at random moments, compared with a plain
replay of the source.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import signal
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import pytest

from bus.connection import KafkaConnection
from bus.dead_letters import dead_letter
from bus.exit import Exit
from bus.partition_state import Machine
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record
from bus.routing import Router
from bus.snapshots import Snapshot, Snapshots
from bus.stateful import run_stateful
from bus.topics import create_topics
from schemas.errors import Misconfigured, Unreadable
from schemas.lineage import Cause, Deduplicator
from schemas.topics import DEAD_LETTER, PartitionPlan, Topic
from tests.bus.conftest import both_clients
from tests.bus.factories import letters_from, read
from tests.bus.programs.counting import BURST, BURST_SIZE, PLAN, POISON, Counting, Topics, counting
from tests.bus.workers import Worker

Make: TypeAlias = Callable[..., Worker]
Line: TypeAlias = tuple[int, bytes | None, bytes | None]  # partition, key, value


async def write(
    connection: KafkaConnection, topic: Topic, values: list[bytes], rate: float = 1e9
) -> None:
    loop = asyncio.get_running_loop()
    async with Publisher(connection) as publisher:
        began = loop.time()
        for number, value in enumerate(values):
            if (ahead := number / rate - (loop.time() - began)) > 0.005:
                await asyncio.sleep(ahead)
            key = (number * 31) % 97
            await publisher.send(Output(topic, b"K%02d" % key, value, key % PLAN.instrument))


def replay(
    topics: Topics, source: list[Record]
) -> tuple[dict[str, dict[Cause, Line]], dict[int, Counting]]:
    """What each output topic must hold, per partition and cause, and the machines at the end."""
    router = Router({topics.source.name: topics.source}, (topics.tallies, topics.tens), PLAN)
    machines = {partition: Counting(topics) for partition in range(PLAN.instrument)}
    expected: dict[str, dict[Cause, Line]] = collections.defaultdict(dict)
    for record in source:
        try:
            outputs = list(router.route(record, machines[record.partition].apply(record)))
        except Unreadable as error:
            outputs = [dead_letter(record, error)]
        for output in outputs:
            cause = dict(output.headers).get("ats-cause", b"%d:0" % record.offset)
            line = (record.partition, output.key, output.value)
            expected[output.topic.name][Cause.decode(cause)] = line
    return expected, machines


async def wait_for_last_outputs(connection: KafkaConnection, topics: Topics) -> None:
    """Until the output caused by each partition's last record is there; counting does not do,
    outputs repeat.
    """
    last = {record.partition: record.offset for record in await read(connection, topics.source)}
    async with asyncio.timeout(60):
        async for record in read_topics(connection, [topics.tallies], since="start"):
            if Cause.decode(record.headers["ats-cause"]).offset == last.get(record.partition):
                del last[record.partition]
            if not last:
                return


async def assert_exact(connection: KafkaConnection, topics: Topics) -> None:
    per_partition: dict[int, list[Record]] = collections.defaultdict(list)
    for record in await read(connection, topics.source):
        per_partition[record.partition].append(record)
    for partition, source in per_partition.items():
        expected, machines = replay(topics, source)
        for topic in (topics.tallies, topics.tens):
            written = [
                record for record in await read(connection, topic) if record.partition == partition
            ]
            seen: dict[Cause, Line] = {}
            repeats = Deduplicator()
            for record in written:
                cause = Cause.decode(record.headers["ats-cause"])
                line = (record.partition, record.key, record.value)
                assert seen.setdefault(cause, line) == line, "the same output with other bytes"
                if repeats.is_new(partition, cause):
                    assert cause in expected[topic.name], "an output without a cause"
                    assert expected[topic.name][cause] == line
            kept = Deduplicator()
            first_seen = [
                c
                for r in written
                if kept.is_new(partition, c := Cause.decode(r.headers["ats-cause"]))
            ]
            assert first_seen == sorted(expected[topic.name]), "missing or out of order"
        async with Publisher(connection) as publisher:
            shelves = Snapshots(connection, topics.source, topics.snapshots, publisher)
            latest = (await shelves.load([partition]))[partition]
        assert latest == Snapshot(source[-1].offset + 1, machines[partition].dump())


@pytest.fixture
async def topics(connection: KafkaConnection, prefix: str) -> Topics:
    topics = Topics(prefix)
    await create_topics(connection, PLAN, topics=(*topics.all, DEAD_LETTER))
    return topics


async def test_outputs_and_state_are_those_of_an_undisturbed_run_whatever_is_killed(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    chance = random.Random(3)
    values = [chance.randbytes(120) for _ in range(6_000)]
    workers = [worker("counting", "w1"), worker("counting", "w2")]
    for each in workers:
        each.start()
    supervising = [asyncio.ensure_future(each.supervised()) for each in workers]
    writing = asyncio.ensure_future(write(connection, topics.source, values, rate=400))

    for kind in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        victim = chance.choice(workers)
        await victim.joined()
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        await victim.restart(kind, pause=0)
    await writing
    await wait_for_last_outputs(connection, topics)
    for task in supervising:
        task.cancel()
    for each in workers:
        await each.joined()
        each.signal(signal.SIGTERM)
    codes = [await each.ended() for each in workers]

    await assert_exact(connection, topics)
    assert codes == [0, 0]
    assert not {Exit.GAP, Exit.CRASHED, Exit.INCOMPATIBLE} & {
        code for each in workers for code in each.exits
    }


@both_clients
async def test_a_poisonous_record_becomes_a_dead_letter_and_everything_else_goes_on(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    values = [POISON if number in {10, 11, 250} else b"value %d" % number for number in range(400)]
    await write(connection, topics.source, values)
    process = worker("counting", "w1")

    process.start()
    await wait_for_last_outputs(connection, topics)
    process.signal(signal.SIGTERM)

    assert await process.ended() == 0
    await assert_exact(connection, topics)
    letters = await letters_from(connection, topics.source)
    assert len(letters) == 3
    assert {letter.value for letter in letters} == {"cG9pc29u"}
    assert {letter.reason for letter in letters} == {"poison"}


async def test_a_burst_of_outputs_arrives_whole_and_in_order_and_work_goes_on(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    await write(connection, topics.source, [b"before", BURST, BURST, *[b"after"] * 50])
    process = worker("counting", "w1")

    process.start()
    await wait_for_last_outputs(connection, topics)
    process.signal(signal.SIGTERM)

    assert await process.ended() == 0
    await assert_exact(connection, topics)
    assert len(await read(connection, topics.tens)) >= 2 * BURST_SIZE


async def test_a_restart_reads_on_from_the_snapshot_and_repeats_nothing_after_a_clean_stop(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    for round_ in range(2):
        await write(connection, topics.source, [b"round %d" % round_] * 300)
        process = worker("counting", "w1")
        process.start()
        await wait_for_last_outputs(connection, topics)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0

    await assert_exact(connection, topics)
    assert len(await read(connection, topics.tallies)) == 600


async def test_a_snapshot_ahead_of_the_source_ends_the_process_for_a_person_to_look(
    connection: KafkaConnection, topics: Topics, worker: Make
) -> None:
    async with Publisher(connection) as publisher:
        await Snapshots(connection, topics.source, topics.snapshots, publisher).save(1, 99, b"{}")
    process = worker("counting", "w1")

    process.start()

    assert await process.ended() == Exit.INCOMPATIBLE
    assert await read(connection, topics.tallies) == []


async def test_a_missing_topic_is_named_before_anything_starts(
    connection: KafkaConnection, prefix: str
) -> None:
    with pytest.raises(Misconfigured, match=rf"{prefix}\.source.*ats topics create"):
        await run_stateful(counting(prefix), connection, PLAN, instance="w1", stop=asyncio.Event())


async def test_another_partition_count_is_refused_before_anything_starts(
    connection: KafkaConnection, topics: Topics, prefix: str
) -> None:
    with pytest.raises(Misconfigured, match="has 4 partitions, the plan says 5"):
        await run_stateful(
            counting(prefix), connection, PartitionPlan(5, 2), instance="w1", stop=asyncio.Event()
        )


class Witness:
    """Notes what a listener is told; sets `seen_all` with the record of offset `last`."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._machines: dict[int, Counting] = {}
        self.lines: list[tuple[int, int, bytes]] = []
        self.seen_all = asyncio.Event()

    def owned(self, machines: Mapping[int, Machine]) -> None:
        self._machines = cast("dict[int, Counting]", dict(machines))

    def applied(self, record: Record) -> None:
        state = self._machines[record.partition].dump()
        self.lines.append((record.partition, record.offset, state))
        if record.offset == self._last:
            self.seen_all.set()


async def test_a_listener_sees_each_record_once_it_is_in_the_state_of_its_partition(
    connection: KafkaConnection, topics: Topics, prefix: str
) -> None:
    async with Publisher(connection) as publisher:
        for number in range(20):
            value = POISON if number == 7 else b"%d" % number
            await publisher.send(Output(topics.source, b"K", value, 2))
    replayed, expected = Counting(topics), []
    for record in await read(connection, topics.source):
        with contextlib.suppress(Unreadable):
            replayed.apply(record)
        expected.append((2, record.offset, replayed.dump()))
    witness = Witness(last=19)

    async with asyncio.timeout(60):
        await run_stateful(
            counting(prefix),
            connection,
            PLAN,
            instance="w1",
            stop=witness.seen_all,
            listener=witness,
        )

    assert witness.lines == expected

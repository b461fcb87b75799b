"""Snapshots travel in chunks: whatever is torn, damaged or old, what is loaded is a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

import pytest

from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output
from bus.snapshots import CHUNK_BYTES, Snapshot, Snapshots
from bus.topics import create_topics
from schemas.errors import Misconfigured
from schemas.topics import Family, PartitionPlan, Topic
from tests.bus.factories import read

LARGE = Random(1).randbytes(20 * CHUNK_BYTES + 1)


class Shelves:
    """The snapshots of one partition, as one process after another sees them."""

    def __init__(self, connection: KafkaConnection, prefix: str, publisher: Publisher) -> None:
        self.connection = connection
        self.publisher = publisher
        self.source = Topic(f"{prefix}.source", Family.INSTRUMENT, "name")
        self.topic = Topic(
            f"{prefix}.snapshots", Family.INSTRUMENT, "chunk", None, None, compacted=True
        )

    def process(self) -> Snapshots:
        return Snapshots(self.connection, self.source, self.topic, self.publisher)

    async def latest(self) -> Snapshot:
        return (await self.process().load([0]))[0]

    async def again(self, *numbers: int, value: bytes | None = None) -> None:
        """Write records of the topic, counted from its first, once more."""
        records = await read(self.connection, self.topic)
        for number in numbers:
            copied = records[number]
            told = value if value is not None else copied.value or b""
            await self.publisher.send_and_wait(Output(self.topic, copied.key or b"", told, 0))


@pytest.fixture
async def slots(connection: KafkaConnection, prefix: str) -> AsyncIterator[Shelves]:
    async with Publisher(connection) as publisher:
        made = Shelves(connection, prefix, publisher)
        await create_topics(connection, PartitionPlan(1, 1), topics=[made.source, made.topic])
        for _ in range(10):
            await publisher.send_and_wait(Output(made.source, b"k", b"v", 0))
        yield made


async def test_without_a_snapshot_the_source_is_read_from_its_start(slots: Shelves) -> None:
    assert await slots.latest() == Snapshot(0, None)


@pytest.mark.parametrize("state", [b"", b"{}", LARGE[:CHUNK_BYTES], LARGE])
async def test_a_state_of_any_size_comes_back_through_records_of_the_usual_size(
    slots: Shelves, state: bytes
) -> None:
    await slots.process().save(0, 7, state)

    assert await slots.latest() == Snapshot(7, state)
    assert (
        max(len(r.value or b"") for r in await read(slots.connection, slots.topic))
        < CHUNK_BYTES + 100
    )


async def test_the_latest_of_many_is_loaded(slots: Shelves) -> None:
    process = slots.process()
    for next_ in range(10):
        await process.save(0, next_, LARGE[: next_ * CHUNK_BYTES])

    assert await slots.latest() == Snapshot(9, LARGE[: 9 * CHUNK_BYTES])


async def test_one_that_was_not_finished_leaves_the_one_before_it_in_force(slots: Shelves) -> None:
    process = slots.process()
    await process.save(0, 3, LARGE)
    await process.save(0, 5, LARGE[1:])
    records = await read(slots.connection, slots.topic)
    await create_topics(
        slots.connection, PartitionPlan(1, 1), topics=[torn := _named(slots.topic, "torn")]
    )
    for record in records[:-1]:  # killed before the last chunk
        await slots.publisher.send_and_wait(Output(torn, record.key or b"", record.value or b"", 0))
    slots.topic = torn

    assert await slots.latest() == Snapshot(3, LARGE)


async def test_two_in_a_row_never_share_a_key_whoever_writes_them(slots: Shelves) -> None:
    """So compaction cannot tear the whole one while the next is being written."""
    process = slots.process()
    for next_ in (1, 2, 3):
        await process.save(0, next_, LARGE)
    restarted = slots.process()
    await restarted.load([0])
    for next_ in (4, 5):
        await restarted.save(0, next_, LARGE)

    records = await read(slots.connection, slots.topic)
    keys = [{r.key for r in records[at : at + 21]} for at in range(0, 105, 21)]
    assert all(len(each) == 21 for each in keys)
    assert not any(earlier & later for earlier, later in pairwise(keys))


async def test_a_damaged_one_is_passed_over(slots: Shelves) -> None:
    process = slots.process()
    await process.save(0, 3, LARGE)
    await process.save(0, 5, b"state")
    newest = (await read(slots.connection, slots.topic))[-1].value or b""
    await slots.again(-1, value=newest[:-1] + b"?")

    assert await slots.latest() == Snapshot(3, LARGE)


async def test_what_a_former_owner_writes_late_hides_nothing_but_a_later_offset(
    slots: Shelves,
) -> None:
    process = slots.process()
    for next_, state in ((3, LARGE), (5, LARGE[1:])):
        await process.save(0, next_, state)
    await slots.again(*range(20))  # all of offset 3 but its last chunk

    assert await slots.latest() == Snapshot(5, LARGE[1:])


async def test_a_record_that_is_no_piece_ends_the_process_for_a_person_to_look(
    slots: Shelves,
) -> None:
    await slots.publisher.send_and_wait(Output(slots.topic, b"0", b"ATSE of another version", 0))

    with pytest.raises(Misconfigured, match="not a chunk of a snapshot"):
        await slots.latest()


def _named(topic: Topic, suffix: str) -> Topic:
    return Topic(f"{topic.name}.{suffix}", topic.family, topic.key, None, None, compacted=True)

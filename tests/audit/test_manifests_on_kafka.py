"""Manifests on a real broker: written once, before what they decide, and named by it."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import replace

import pytest
import pytest_asyncio
from pydantic import JsonValue

from ats.embedded.kafka import EmbeddedKafka
from audit.manifest import named_by, read_manifests
from bus.connection import KafkaConnection
from bus.manifests import ManifestLog
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record
from bus.topics import create_topics
from schemas.manifest import digest_of
from schemas.topics import DEAD_LETTER, MANIFEST, MANIFEST_CONTENTS, PartitionPlan, Topic
from tests.ats.factories import DAY, OPEN

# others read every dead letter of the shared broker
TRIAL = replace(DEAD_LETTER, name="ats.manifest-trial")

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def connection(kafka: EmbeddedKafka) -> KafkaConnection:
    found = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(found, PartitionPlan(), topics=[MANIFEST, MANIFEST_CONTENTS, TRIAL])
    return found


@pytest.fixture
def service() -> str:
    """A name of one test alone."""
    return f"t{uuid.uuid4().hex[:8]}"


def inputs(service: str) -> dict[str, JsonValue]:
    return {"limits": 1, "watch_list": [f"{service}:{nth}" for nth in range(500)]}


async def records(connection: KafkaConnection, topic: Topic, key: str) -> list[Record]:
    async with aclosing(read_topics(connection, [topic], since="start", until_end=True)) as found:
        return [record async for record in found if record.key == key.encode()]


async def test_what_was_written_is_read_back_whole(
    connection: KafkaConnection, service: str
) -> None:
    id_ = await ManifestLog(connection, service, OPEN).record(inputs(service))

    (found,) = (await read_manifests(connection)).of_day(DAY, service)

    assert found.id == id_
    assert found.inputs == inputs(service)


async def test_a_second_start_has_the_same_id_and_writes_no_content_again(
    connection: KafkaConnection, service: str
) -> None:
    first, second = [
        await ManifestLog(connection, service, OPEN).record(inputs(service)) for _ in range(2)
    ]

    assert first == second
    assert len(await records(connection, MANIFEST, service)) == 2
    digest = digest_of(inputs(service)["watch_list"])
    assert len(await records(connection, MANIFEST_CONTENTS, digest)) == 1


async def test_every_record_names_the_manifest_it_was_made_under(
    connection: KafkaConnection, service: str
) -> None:
    log, named = ManifestLog(connection, service, OPEN), []
    async with Publisher(connection) as publisher:
        for nth in range(3):
            named.append(await log.record({"limits": nth}))
            output = Output(TRIAL, service.encode(), b"{}", headers=(("own", b"1"),))
            await publisher.send_and_wait(output)

    found = await records(connection, TRIAL, service)

    assert [named_by(record) for record in found] == named
    assert [record.headers["own"] for record in found] == [b"1"] * 3


async def test_a_change_is_named_at_once_and_written_soon(
    connection: KafkaConnection, service: str
) -> None:
    log = ManifestLog(connection, service, OPEN)
    await log.record({"limits": 1, "mode": "paper"})

    id_ = log.change({"limits": 2})
    stamped = connection.stamp.headers
    await log.written()

    found = (await read_manifests(connection)).get(id_)
    assert found is not None
    assert found.inputs == {"limits": 2, "mode": "paper"}
    assert [value for _, value in stamped] == [str(id_).encode()]


async def test_a_change_to_the_same_is_none(connection: KafkaConnection, service: str) -> None:
    log = ManifestLog(connection, service, OPEN)
    await log.record({"limits": 1})

    log.change({"limits": 1})
    await log.written()

    assert len(await records(connection, MANIFEST, service)) == 1


async def test_a_change_while_kafka_is_away_is_written_when_it_is_back(
    connection: KafkaConnection, service: str, free_port: object
) -> None:
    assert callable(free_port)
    away = KafkaConnection(f"127.0.0.1:{free_port()}")
    asked = asyncio.Event()

    async def back(_: float) -> None:
        object.__setattr__(away, "bootstrap_servers", connection.bootstrap_servers)
        asked.set()

    log = ManifestLog(away, service, OPEN, sleep=back)
    id_ = log.change({"limits": 1})
    await log.written()

    assert asked.is_set()
    assert (await read_manifests(connection)).get(id_) is not None

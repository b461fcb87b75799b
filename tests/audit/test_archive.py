"""An archived day and the topics that it is of, on a real broker."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import pytest_asyncio

from audit.archive.manifest import ArchiveManifest
from audit.archive.stored import open_archive
from audit.archive.survey import ARCHIVED
from audit.reading import Reader
from bus.connection import KafkaConnection
from bus.reader import extents_of, read_topics, record_at
from schemas.topics import ORDERS, TICKS
from tests.audit.archive_days import Tape, an_odd_day, archived, written
from tests.audit.test_story import INTENT

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def tape(broker: KafkaConnection) -> Tape:
    tape = an_odd_day()
    await written(broker, tape.records)
    return tape


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def made(
    broker: KafkaConnection, tape: Tape, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ArchiveManifest]:
    return await archived(broker, tmp_path_factory.mktemp("archive"))


async def test_every_byte_of_the_day_is_in_the_archive_tombstones_and_odd_headers_included(
    tape: Tape, made: tuple[Path, ArchiveManifest]
) -> None:
    stored = open_archive(made[0])

    found = [
        record
        for topic in ARCHIVED
        for partition in range(stored.partitions(topic))
        for record in stored.records(topic, partition)
    ]

    wanted = [each for each in tape.records if each.key != b"of no manifest"]
    assert sorted(found, key=str) == sorted(wanted, key=str)


async def test_readers_read_an_archive_as_they_read_the_topics(
    broker: KafkaConnection, made: tuple[Path, ArchiveManifest]
) -> None:
    stored = open_archive(made[0])
    topics = [ORDERS, TICKS]

    live = [each async for each in read_topics(broker, topics, since="start", until_end=True)]
    kept = [each async for each in read_topics(stored, topics, since="start")]

    assert sorted(kept, key=str) == sorted(live, key=str)
    assert await extents_of(stored, *topics) == await extents_of(broker, *topics)
    assert await record_at(stored, ORDERS, 0, 1) == await record_at(broker, ORDERS, 0, 1)
    assert await record_at(stored, ORDERS, 0, 99) is None


async def test_an_archive_tells_the_same_story_of_an_order_as_the_topics(
    broker: KafkaConnection, made: tuple[Path, ArchiveManifest]
) -> None:
    told = [
        await Reader(source, "start").story(INTENT) for source in (broker, open_archive(made[0]))
    ]

    assert told[0] == told[1]
    assert told[0] is not None
    assert len(told[0].records) > 5


async def test_duckdb_alone_counts_and_joins_orders(made: tuple[Path, ArchiveManifest]) -> None:
    folder = made[0]

    found = duckdb.sql(f"""
        SELECT o.symbol, o.side, o.quantity, count(*)
        FROM '{folder}/ats.orders.parquet' o
        JOIN '{folder}/ats.decisions.parquet' d ON d.id = o.decision_id
        WHERE o.id = '{INTENT.id}' GROUP BY ALL
    """).fetchall()

    assert found == [(INTENT.symbol, INTENT.side.value, INTENT.quantity, 1)]

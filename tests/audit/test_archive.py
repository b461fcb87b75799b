"""An archived day and the topics that it is of, on a real broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
import pytest_asyncio

from audit.archive.manifest import ArchiveManifest, read_manifest
from audit.archive.restoring import restore
from audit.archive.stored import open_archive
from audit.archive.survey import ARCHIVED
from audit.reading import Reader
from bus.connection import KafkaConnection
from bus.exact import ExactRecord, ExactWriter, delete_before, read_exactly
from bus.reader import extents_of, read_topics, record_at
from bus.records import TopicPartition
from bus.tail import Span
from schemas.errors import Misconfigured
from schemas.topics import ORDERS, TICKS
from tests.ats.factories import DAY
from tests.audit.archive_days import Tape, an_odd_day, archived, written
from tests.audit.conftest import without_topics
from tests.audit.test_story import INTENT

pytestmark = pytest.mark.asyncio(loop_scope="package")


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def tape(broker: KafkaConnection) -> Tape:
    """A day whose first order retention has removed."""
    tape = an_odd_day()
    await written(broker, tape.records)
    await delete_before(broker, {TopicPartition(ORDERS.name, 0): 1})
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

    wanted = [
        each
        for each in tape.records
        if each.key != b"of no manifest" and str(each) != "ats.orders-0@0"
    ]
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
    assert await record_at(stored, ORDERS, 0, 2) == await record_at(broker, ORDERS, 0, 2)
    assert await record_at(stored, ORDERS, 0, 0) is None


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


async def test_a_day_of_which_nothing_is_recorded_is_refused(
    broker: KafkaConnection, tape: Tape, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match="nothing is recorded of 2026-11-21"):
        await archived(broker, tmp_path, day=DAY + timedelta(days=1))

    assert names_in(tmp_path) == [f".{DAY + timedelta(days=1)}.half"]


async def test_a_day_that_is_still_written_is_archived_in_part_only_when_asked_and_whole_later(
    broker: KafkaConnection, tape: Tape, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match="is not over: people trade; --partial"):
        await archived(broker, tmp_path, why="people trade")
    _, part = await archived(broker, tmp_path, why="people trade", partial=True)
    (tmp_path / f".{DAY}.old").mkdir()  # a run was killed right before its end
    (tmp_path / f".{DAY}.old" / "manifest.json").touch()
    folder, whole = await archived(broker, tmp_path)

    assert (part.partial, whole.partial) == (True, False)
    assert read_manifest(folder) == whole
    assert names_in(tmp_path) == [DAY.isoformat()]


async def test_an_archive_that_was_killed_goes_on_and_never_takes_half_a_file_for_a_whole_one(
    broker: KafkaConnection, made: tuple[Path, ArchiveManifest], tmp_path: Path
) -> None:
    def killed(what: str, _done: int, _of: int) -> None:
        if "archiving ats.reports" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await archived(broker, tmp_path, tell=killed)
    half = tmp_path / f".{DAY}.half"
    done = (half / "ats.ticks.parquet").stat().st_mtime_ns
    (half / "ats.candles.parquet").write_bytes(b"half")
    (half / "ats.reports.half").write_bytes(b"half")

    folder, whole = await archived(broker, tmp_path)

    assert (folder / "ats.ticks.parquet").stat().st_mtime_ns == done
    assert whole.topics == made[1].topics
    files = {each.file for each in whole.topics.values()}
    assert set(names_in(folder)) == {"manifest.json", *files}


async def test_a_day_restored_in_two_goes_is_the_same_byte_for_byte_at_the_same_offsets(
    broker: KafkaConnection, made: tuple[Path, ArchiveManifest]
) -> None:
    def killed(what: str, _done: int, _of: int) -> None:
        if "restoring ats.executions" in what:
            raise KeyboardInterrupt

    await without_topics(broker)
    with pytest.raises(KeyboardInterrupt):
        await restore(broker, made[0], killed)

    restored = await restore(broker, made[0], lambda *_: None)

    kept = open_archive(made[0])
    assert 0 < restored.resumed < sum(restored.records.values()) == made[1].rows
    assert restored.moved == ()
    for topic in ARCHIVED:
        for place, (begin, end) in (await extents_of(broker, topic)).items():
            spans = {place.partition: Span(begin, end)}
            there = [each async for each in read_exactly(broker, topic, spans)]
            assert there == list(kept.records(topic, place.partition))


async def test_a_cluster_that_holds_anything_else_is_not_restored_into(
    broker: KafkaConnection, made: tuple[Path, ArchiveManifest]
) -> None:
    async with ExactWriter(broker) as writer:
        await writer.write(ExactRecord(ORDERS.name, 0, 0, 1, b"k", b"another"))
        await writer.flush()

    with pytest.raises(Misconfigured, match=r"ats.orders-0@\d holds a record that is not the arch"):
        await restore(broker, made[0], lambda *_: None)

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import platformdirs
import pytest

from ats.embedded.kafka import EmbeddedKafka, _telling, fetch
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output
from bus.topics import create_topics
from schemas.errors import Misconfigured
from schemas.topics import SCANS, PartitionPlan

CACHE = Path(platformdirs.user_cache_dir("ats"))


async def test_acknowledged_records_survive_kill_9_of_the_broker(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    broker = EmbeddedKafka(tmp_path, cache=CACHE, port=free_port(), controller_port=free_port())
    connection = KafkaConnection(broker.bootstrap_servers)
    await broker.start()
    try:
        await create_topics(connection, PartitionPlan(), topics=[SCANS])
        async with Publisher(connection) as publisher:
            for number in range(100):
                await publisher.send_and_wait(Output(SCANS, b"key", b"%d" % number))

        broker.signal(signal.SIGKILL)
        assert await broker.ended(10)
        await broker.start()

        values = [
            record.value
            async for record in read_topics(connection, [SCANS], since="start", until_end=True)
        ]
    finally:
        await broker.stop()
    assert values == [b"%d" % number for number in range(100)]
    assert not broker.running


async def test_a_cluster_whose_name_begins_with_a_dash_starts_like_any_other(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """One in 64 does: base64 writes the six bits 62 so."""
    broker = EmbeddedKafka(
        tmp_path,
        cache=CACHE,
        port=free_port(),
        controller_port=free_port(),
        cluster=UUID(int=62 << 122),
    )
    try:
        await broker.start()
        assert "cluster.id=-" in (tmp_path / "data/meta.properties").read_text()
    finally:
        await broker.stop()


def test_a_jar_that_differs_from_the_lock_file_is_refused_by_name(tmp_path: Path) -> None:
    fetch(CACHE)
    home = next(CACHE.glob("kafka-*/"))
    copy = tmp_path / home.name
    shutil.copytree(home, copy)
    victim = next(copy.glob("kafka-clients-*.jar"))

    victim.write_bytes(victim.read_bytes() + b"\0")

    with pytest.raises(Misconfigured, match=victim.name):
        fetch(tmp_path)


def test_a_jar_nobody_asked_for_is_refused_too(tmp_path: Path) -> None:
    fetch(CACHE)
    home = next(CACHE.glob("kafka-*/"))
    shutil.copytree(home, tmp_path / home.name)

    (tmp_path / home.name / "extra.jar").write_bytes(b"")

    with pytest.raises(Misconfigured, match=r"extra\.jar"):
        fetch(tmp_path)


def test_what_has_arrived_of_the_broker_is_told_in_files_and_megabytes(tmp_path: Path) -> None:
    told: list[str] = []
    jar = tmp_path / "kafka" / "clients.jar"
    jar.parent.mkdir()
    heard = threading.Event()

    def announce(what: str) -> None:
        told.append(what)
        if "file 1 of 45, 3 of 46 MB" in what:
            heard.set()

    with _telling(tmp_path, announce):
        jar.with_suffix(".pom").write_bytes(b"")
        jar.write_bytes(bytes(3_000_000))
        assert heard.wait(30)

    assert told[-1].startswith("fetching Apache Kafka 4.3.1, once: ")

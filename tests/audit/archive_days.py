"""A day's records as Kafka may hold them: a story, ticks, history, tombstones, odd headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from audit.archive.manifest import ArchiveManifest
from audit.archive.writing import ArchiveRequest, archive_day
from audit.replay.reading import Progress
from bus.connection import KafkaConnection
from bus.exact import ExactRecord, ExactWriter
from schemas import ticks, topics
from schemas.codec import encode
from schemas.messages import Message
from schemas.topics import LLM, MANIFEST_CONTENTS, ORDERS, TICKS, PartitionPlan, Topic
from schemas.units import UtcNs
from tests.ats.factories import DAY
from tests.audit.conftest import anew
from tests.audit.test_story import AT, CHAIN, OTHERS, OURS

OF: dict[type[Message], Topic] = {
    topic.message: topic for topic in topics.CATALOGUE if topic.message is not None
}
PLAN = PartitionPlan(2, 2)
AT_MS = AT // 1_000_000


class Tape:
    """Records in the order of writing, with the offsets that Kafka gives them."""

    def __init__(self) -> None:
        self.records: list[ExactRecord] = []
        self._next = Counter[tuple[str, int]]()

    def add(
        self,
        topic: Topic,
        value: bytes | None,
        *,
        key: bytes | None = b"k",
        partition: int = 0,
        stamp_ms: int = AT_MS,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        place = topic.name, partition
        offset = self._next[place]
        self._next[place] += 1
        self.records.append(ExactRecord(*place, offset, stamp_ms, key, value, tuple(headers)))


def a_story(tape: Tape) -> None:
    for message in (*OTHERS, *CHAIN, *OURS):
        headers = (("ats-cause", b"0:0"), ("ce_type", "in.ats.₹".encode()))
        tape.add(OF[type(message)], encode(message), partition=0, headers=headers)


def _ticks(clock: int) -> bytes:
    return ticks.encode(ticks.Batch(UtcNs(clock), UtcNs(clock), 1, np.zeros(0, ticks.TICK)))


def an_odd_day() -> Tape:
    """What no writer of ours sends, and Kafka keeps."""
    tape = Tape()
    tape.add(ORDERS, b"the first")
    a_story(tape)
    twice = (("ats-cause", b"1:0"), ("ats-cause", b"2:0"), ("empty", b""), ("missing", None))
    tape.add(ORDERS, b"\x00\xff no message", headers=twice)
    tape.add(ORDERS, None, key=b"tombstone")
    tape.add(ORDERS, b"", key=None, partition=1)
    tape.add(ORDERS, b"", key=b"", partition=1, stamp_ms=AT_MS - 5)
    tape.add(LLM, b'{"id":"no id","event_time":true,"cost":' + b"9" * 30 + b"}")
    tape.add(LLM, b"x" * 1_000_000)
    tape.add(TICKS, b"AH" + bytes(62))  # history comes before the day's first tick
    tape.add(TICKS, _ticks(AT), headers=(("ats-manifest", b"no id"),))
    tape.add(MANIFEST_CONTENTS, None, key=b"of no manifest")
    return tape


async def written(connection: KafkaConnection, records: Iterable[ExactRecord]) -> None:
    """As the only records of the catalogue's topics."""
    await anew(connection, PLAN)
    async with ExactWriter(connection) as writer:
        for record in records:
            await writer.write(record)
        await writer.flush()


def a_request(
    root: Path, *, day: date = DAY, partial: bool = False, why: str = ""
) -> ArchiveRequest:
    return ArchiveRequest(
        day=day,
        root=root,
        source="test",
        version="1",
        replays=True,
        of_demo=True,
        partial=partial,
        still_written=lambda _: why,
        now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
    )


async def archived(
    connection: KafkaConnection,
    root: Path,
    *,
    tell: Progress = lambda *_: None,
    day: date = DAY,
    partial: bool = False,
    why: str = "",
) -> tuple[Path, ArchiveManifest]:
    asked = a_request(root, day=day, partial=partial, why=why)
    return await archive_day(connection, asked, tell)

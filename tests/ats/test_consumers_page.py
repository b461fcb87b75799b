"""The consumer that docs/consumers.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import message_output
from bus.topics import create_topics
from schemas import history
from schemas.ids import SEGMENT_CODES
from schemas.lineage import HEADER as CAUSE
from schemas.lineage import Cause
from schemas.ticks import HEADER, MAGIC, NO_VOLUME, TICK, Batch, encode
from schemas.topics import DECISIONS, PartitionPlan
from schemas.units import UtcNs
from tests.ats.factories import a_decision
from tests.streams.test_decode import NOON

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python" / "src"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "consumers.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
TYPES = {"uint8": "B", "uint16": "H", "uint32": "I", "int64": "q"}
A_ROW = re.compile(r"^\| (\d+) \| (\d+) \| (u?int\d+) \| `(\w+)` \|", re.MULTILINE)


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_s_consumer_sees_each_decision_once_whatever_the_order_of_their_causes(
    kafka: EmbeddedKafka,
) -> None:
    connection = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(connection, PartitionPlan(1, 1), topics=[DECISIONS])
    symbols = [f"{name}-{uuid4().hex}" for name in ("LATE", "EARLY", "LAST")]
    late, early, last = (a_decision(id=uuid4(), symbol=symbol) for symbol in symbols)
    async with Publisher(connection) as publisher:
        for decision, offset in ((late, 9), (early, 3), (late, 9), (early, 3), (last, 11)):
            output = message_output(DECISIONS, decision, str(decision.instrument), partition=0)
            await publisher.send_and_wait(
                output._replace(headers=((CAUSE, Cause(offset, 0).encode()),))
            )
    program, _ = PROGRAMS
    program = program.replace(
        '"localhost:9092", Decision', f'"{kafka.bootstrap_servers}", Decision, since="start"'
    )

    reader = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(CLIENT)},
    )
    printed: list[str] = []
    try:
        assert reader.stdout
        while symbols[-1] not in printed:
            line = await asyncio.wait_for(reader.stdout.readline(), 20)
            printed.append(line.decode().split()[0])
    finally:
        reader.kill()
        await reader.wait()

    assert [symbol for symbol in printed if symbol in symbols] == symbols


def table(of: str) -> list[tuple[int, int, str, str]]:
    """Offset, bytes, type and name of each field in the page's table of header or row."""
    _, _, after = PAGE.read_text().partition(f"| {of} field | Meaning |")
    rows = A_ROW.findall(after.partition("\n\n")[0])
    return [(int(offset), int(size), kind, name) for offset, size, kind, name in rows]


def a_record() -> tuple[Batch, bytes]:
    rows = np.zeros(2, TICK)
    for nth, name in enumerate(TICK.names or ()):
        rows[name] = (100 + nth, 200 + nth)  # different in every field
    rows["segment"], rows["mode"], rows["volume"] = (1, 8), (2, 8), (NO_VOLUME, 5_000_000_000)
    rows["exchange_time"], rows["clock"] = NOON, NOON + 1
    batch = Batch(UtcNs(NOON + 2), UtcNs(NOON + 3), 77, rows)
    return batch, encode(batch)


@pytest.mark.parametrize(("of", "layout"), [("Header", HEADER), ("Row", TICK)])
def test_the_page_s_table_has_every_field_at_its_place(of: str, layout: np.dtype[np.void]) -> None:
    names = layout.names or ()
    places: Mapping[str, Any] = layout.fields or {}
    fields = [(places[name][1], places[name][0].itemsize, name) for name in names]

    assert [(offset, size, name) for offset, size, _, name in table(of)] == fields
    assert sum(size for _, size, _, _ in table(of)) == layout.itemsize


def test_a_record_of_ticks_read_by_the_page_s_tables_alone_is_the_batch_that_was_written() -> None:
    batch, value = a_record()

    header = {
        name: struct.unpack_from(f"<{TYPES[kind]}", value, offset)[0]
        for offset, _, kind, name in table("Header")
    }
    rows = [
        {
            name: struct.unpack_from(f"<{TYPES[kind]}", value, 32 + 56 * nth + offset)[0]
            for offset, _, kind, name in table("Row")
        }
        for nth in range(header["rows"])
    ]

    assert value[:2] == b"AT"
    assert (header["magic"], header["clock"], header["sent_at"], header["gateway"]) == (
        MAGIC,
        NOON + 2,
        NOON + 3,
        77,
    )
    assert rows == [dict(zip(TICK.names or (), row.tolist(), strict=True)) for row in batch.rows]


def test_the_page_s_reader_of_ticks_reads_them_and_passes_over_past_bars() -> None:
    batch, value = a_record()
    names: dict[str, Any] = {}
    exec(PROGRAMS[1], names)

    assert names["ticks_of"](value) == [row.tolist() for row in batch.rows]
    assert names["ticks_of"](encode(Batch(UtcNs(NOON), UtcNs(NOON), 1, np.zeros(0, TICK)))) == []
    assert (
        names["ticks_of"](history.encode(history.History(UtcNs(NOON), np.zeros(0, history.BAR))))
        == []
    )


def test_the_page_names_each_segment_s_code() -> None:
    said = dict(re.findall(r"(\d) ([A-Z]{3}_\w+|IDX_I)", PAGE.read_text()))

    assert said == {str(code): segment.value for segment, code in SEGMENT_CODES.items()}

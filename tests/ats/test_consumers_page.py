"""The consumer that docs/consumers.md shows, run as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import message_output
from bus.topics import create_topics
from schemas.lineage import HEADER, Cause
from schemas.topics import DECISIONS, PartitionPlan
from tests.ats.factories import a_decision

PAGE = Path(__file__).resolve().parents[2] / "docs" / "consumers.md"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_s_consumer_sees_each_decision_once_whatever_the_order_of_their_causes(
    kafka: EmbeddedKafka,
) -> None:
    connection = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(connection, PartitionPlan(1, 1), topics=[DECISIONS])
    late, early, last = (a_decision(id=uuid4(), symbol=symbol) for symbol in ("LATE", "EARLY", "LAST"))
    async with Publisher(connection) as publisher:
        for decision, offset in ((late, 9), (early, 3), (late, 9), (early, 3), (last, 11)):
            output = message_output(DECISIONS, decision, str(decision.instrument), partition=0)
            await publisher.send_and_wait(output._replace(headers=((HEADER, Cause(offset, 0).encode()),)))
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = program.replace("localhost:9092", kafka.bootstrap_servers).replace('since="end"', 'since="start"')

    reader = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        assert reader.stdout
        lines = [(await asyncio.wait_for(reader.stdout.readline(), 20)).decode() for _ in range(3)]
    finally:
        reader.kill()
        await reader.wait()

    assert [line.split()[0] for line in lines] == ["LATE", "EARLY", "LAST"]

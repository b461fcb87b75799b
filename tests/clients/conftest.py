from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import message_output
from bus.topics import create_topics
from schemas.messages import Decision, Execution
from schemas.topics import DECISIONS, EXECUTIONS, PartitionPlan
from tests.clients.alone import built, interpreter

Written = Sequence[Decision | Execution]


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with `ats_client` and nothing else of ours."""
    folder = tmp_path_factory.mktemp("client")
    return interpreter(built(folder), folder / "venv")


@pytest_asyncio.fixture(loop_scope="session")
async def servers(kafka: EmbeddedKafka) -> str:
    """The address of a broker that has the topics."""
    connection = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(connection, PartitionPlan(1, 1), topics=[DECISIONS, EXECUTIONS])
    return kafka.bootstrap_servers


async def write(servers: str, *messages: Decision | Execution) -> None:
    """Write messages as the platform does."""
    async with Publisher(KafkaConnection(servers)) as publisher:
        for each in messages:
            topic = DECISIONS if isinstance(each, Decision) else EXECUTIONS
            key = each.instrument if isinstance(each, Decision) else each.user_id
            await publisher.send_and_wait(message_output(topic, each, str(key), partition=0))


async def run(*command: str | Path, cwd: Path, path: Sequence[Path] = ()) -> str:
    """What a program prints. It must end well. `path` is where Python looks for modules too."""
    child = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, wrong.decode()
    return said.decode()

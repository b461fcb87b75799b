from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import platformdirs
import pytest
import pytest_asyncio

from ats.embedded.kafka import EmbeddedKafka
from bus.connection import KafkaConnection
from bus.topics import create_topics
from schemas.topics import PartitionPlan
from streams.engine.machine import warm_up
from tests.conftest import unused_port

PLAN = PartitionPlan(instrument=4, user=1)


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compile before any test, so that no test's time limit pays for it."""
    warm_up()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaConnection]:
    """A broker of this room's own with the real catalogue: the gateway and the engine write to no
    other topics.
    """
    broker = EmbeddedKafka(
        tmp_path_factory.mktemp("kafka-streams"),
        cache=Path(platformdirs.user_cache_dir("ats")),
        port=unused_port(),
        controller_port=unused_port(),
    )
    await broker.start()
    connection = KafkaConnection(broker.bootstrap_servers)
    await create_topics(connection, PLAN)
    yield connection
    await broker.stop()

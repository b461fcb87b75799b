from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bus.connection import KafkaConnection, administrator
from bus.topics import create_topics
from schemas.topics import CATALOGUE, PartitionPlan
from tests.agents.conftest import model, provider
from tests.conftest import started_broker
from tests.executors.conftest import dhan, http, scripted

__all__ = ["dhan", "http", "model", "provider", "scripted"]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaConnection]:
    """One for all that read whole topics of the catalogue; who writes them begins with `anew`."""
    broker = await started_broker(tmp_path_factory.mktemp("kafka"))
    yield KafkaConnection(broker.bootstrap_servers)
    await broker.stop()


async def anew(connection: KafkaConnection, plan: PartitionPlan) -> None:
    """The catalogue's topics, empty."""
    await without_topics(connection)
    await create_topics(connection, plan)


async def without_topics(connection: KafkaConnection) -> None:
    """None of the catalogue's topics."""
    async with administrator(connection) as admin:
        names = {topic.name for topic in CATALOGUE} & set(await admin.list_topics())
        if names:
            await admin.delete_topics(list(names))
        while names & set(await admin.list_topics()):  # noqa: ASYNC110  # a broker has no event
            await asyncio.sleep(0.05)

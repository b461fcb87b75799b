"""Fixtures of the agents' tests: a provider that answers over real HTTP, our model in front of it,
real stores.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agents.model import Model
from agents.providers import Endpoint
from agents.wire import open_model_client
from bus.connection import KafkaConnection
from tests.agents.provider import Provider
from tests.conftest import started_broker


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider() as running:
        yield running


@pytest_asyncio.fixture
async def model(provider: Provider) -> AsyncIterator[Model]:
    async with open_model_client() as http:
        yield Model(Endpoint(provider.base_url, "fake-1", "sk-secret"), http)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaConnection]:
    """A broker of our own: the service uses the catalogue's topic names, which other rooms' tests
    use too.
    """
    broker = await started_broker(tmp_path_factory.mktemp("agents-kafka"))
    yield KafkaConnection(broker.bootstrap_servers)
    await broker.stop()

"""Fixtures of the agents' tests: a provider that answers over real HTTP, and our model in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from agents.model import Endpoint, Model
from tests.agents.provider import Provider


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider() as running:
        yield running


@pytest_asyncio.fixture
async def model(provider: Provider) -> AsyncIterator[Model]:
    async with httpx.AsyncClient() as http:
        yield Model(Endpoint(provider.base_url, "fake-1", "sk-secret"), http)

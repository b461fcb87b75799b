from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from dhan.transport import open_client
from tests.dhan.broker import ScriptedDhan, scripted_dhan


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as client:
        yield client


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[ScriptedDhan]:
    async with scripted_dhan() as dhan:
        yield dhan

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from dhan.transport import open_client
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from tests.database.fixtures import SupabaseStack
from tests.dhan.broker import ScriptedDhan, scripted_dhan
from tests.executors.harness import CLIENT, World, world_at

TOKEN = "simulated-token-of-the-tests"


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as client:
        yield client


@pytest_asyncio.fixture
async def dhan() -> AsyncIterator[ScriptedDhan]:
    """A Dhan that answers word for word as told."""
    async with scripted_dhan() as scripted:
        yield scripted


@pytest_asyncio.fixture
async def scripted(
    supabase_stack: SupabaseStack, http: httpx.AsyncClient, dhan: ScriptedDhan
) -> AsyncIterator[World]:
    async with world_at(supabase_stack, http, dhan.url) as world:
        yield world


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    running = Simulator(
        SimulatorConfig(users=(SimulatedUser(CLIENT, TOKEN),), order_rate_limit=None, shares=5)
    )
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture
async def simulated(
    supabase_stack: SupabaseStack, http: httpx.AsyncClient, simulator: Simulator
) -> AsyncIterator[World]:
    async with world_at(supabase_stack, http, f"{simulator.url}/v2") as world:
        yield world

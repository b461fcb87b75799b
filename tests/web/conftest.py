"""The built web application over the Supabase stand-in and the simulator's login page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from ats.commands import web
from ats.gateway.keys import SharedSecret
from ats.runtime.readiness import until_it_answers
from schemas.errors import Misconfigured
from simulator.config import RegisteredApp
from simulator.server import Simulator
from tests.conftest import unused_port
from tests.database.fixtures import SupabaseStack
from tests.gateway.gate import Gate, gate
from tests.simulator.factories import running
from tests.web.front import Front

APP_SECRET = "the-app-secret-nobody-sees"


@dataclass(frozen=True, slots=True)
class Site:
    """A running web application, and what it talks to: Dhan and the database each behind a relay
    that can fail, and a gateway that a test tells what happened.
    """

    url: str
    simulator: Simulator
    dhan: Front
    database: Front
    gate: Gate
    log: Path


@pytest.fixture(scope="session")
def built() -> None:
    """`make test-web` has found Node and built the application; a plain `make test` goes on
    without.
    """
    try:
        web.node()
    except Misconfigured as error:
        pytest.skip(f"{error}; `make test-web` brings it")
    if not (web.WEB / ".next" / "BUILD_ID").exists():
        pytest.skip("the web application is not built: run `make test-web`")


async def give_accounts_back(stack: SupabaseStack) -> None:
    """For the next test on the same database: one account has one user."""
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute("update user_trading_keys set dhan_access_token = null")
    await connection.close()


@pytest_asyncio.fixture
async def site(built: None, supabase_stack: SupabaseStack, tmp_path: Path) -> AsyncIterator[Site]:
    url = f"http://127.0.0.1:{unused_port()}"
    app = RegisteredApp("the-app", APP_SECRET, f"{url}/api/dhan/callback")
    async with (
        running(apps=(app,)) as simulator,
        Front(simulator.url).serving() as dhan,
        Front(supabase_stack.url).serving() as database,
        gate(keys=SharedSecret(supabase_stack.jwt_secret)) as gateway,
    ):
        page = web.Page(
            url,
            database.url,
            supabase_stack.publishable_key,
            f"{dhan.url}/auth",
            app.app_id,
            app.app_secret,
            gateway.url,
        )
        server = web.server(page, tmp_path)
        server.start()
        try:
            await until_it_answers(server, page.first)
            yield Site(url, simulator, dhan, database, gateway, server.log)
        finally:
            await server.stop(5)
            await give_accounts_back(supabase_stack)

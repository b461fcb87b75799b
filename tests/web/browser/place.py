"""Where a person goes: the page behind a relay that remembers every answer, a Dhan to log in at, an
empty database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from ats.commands import web
from ats.gateway.keys import SharedSecret
from ats.gateway.office import SupabaseOffice
from ats.runtime.child import Child
from ats.runtime.readiness import until_it_answers
from simulator.config import RegisteredApp
from simulator.server import Simulator
from tests.conftest import unused_port
from tests.database.fixtures import SupabaseStack
from tests.gateway.gate import Gate, gate
from tests.simulator.factories import running
from tests.web.conftest import APP_SECRET
from tests.web.front import Front


@dataclass(frozen=True, slots=True)
class Place:
    """A running application. `front.heard` holds every answer that left for a browser.

    Attributes:
        gate: What the gateway behind `gateway` knows, for a test to tell.
        gateway: A relay in front of it, which can fail; so is `database`.
    """

    front: Front
    gate: Gate
    gateway: Front
    database: Front
    server: Child
    simulator: Simulator
    stack: SupabaseStack
    logs: Path

    @property
    def url(self) -> str:
        return self.front.url

    async def sql(self, statement: str, *arguments: object) -> list[Any]:
        """Past every grant and policy, to arrange and to look."""
        connection = await asyncpg.connect(self.stack.dsn)
        try:
            rows: list[Any] = await connection.fetch(statement, *arguments)
            return rows
        finally:
            await connection.close()

    async def empty(self) -> None:
        """Make the database one that knows nobody. What order workers told of themselves stays."""
        tables = (
            "private.dhan_consents, private.order_claims, private.approval_modes, "
            "user_trade_logs, trade_decisions, trading_halts, positions, trades"
        )
        await self.sql(f"truncate {tables}, auth.users cascade")

    async def stored_tokens(self) -> list[str]:
        rows = await self.sql(
            "select dhan_access_token from user_trading_keys where dhan_access_token is not null"
        )
        return [str(row[0]) for row in rows]


@asynccontextmanager
async def opened(stack: SupabaseStack, logs: Path) -> AsyncIterator[Place]:
    """Start the built application the way a deployment does: behind a proxy, at another address
    than people open.
    """
    listen = f"http://127.0.0.1:{unused_port()}"
    async with Front(listen).serving() as front:
        app = RegisteredApp("the-app", APP_SECRET, f"{front.url}/api/dhan/callback")
        async with (
            running(apps=(app,)) as simulator,
            Front(stack.url).serving() as database,
            httpx.AsyncClient() as http,
            gate(
                keys=SharedSecret(stack.jwt_secret),
                office=SupabaseOffice(database.url, stack.publishable_key, http),
                lags={"ats-streams": 12, "ats-agents": 0, "ats-executors": 0, "ats-books": 0},
            ) as opened_gate,
            Front(opened_gate.url).serving() as gateway,
        ):
            page = web.Page(
                front.url,
                database.url,
                stack.publishable_key,
                f"{simulator.url}/auth",
                app.app_id,
                app.app_secret,
                gateway.url,
            )
            server = web.server(page, logs, listen)
            server.start()
            try:
                await until_it_answers(server, replace(page, url=listen).first)
                yield Place(front, opened_gate, gateway, database, server, simulator, stack, logs)
            finally:
                await server.stop(5)

"""What the database's own tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import migrate
from tests.database.fixtures import SupabaseStack, serving

Connection = asyncpg.Connection


@pytest_asyncio.fixture
async def superuser(supabase_stack: SupabaseStack) -> AsyncIterator[Connection]:
    """Past grants and policies: to arrange what no API can, and to see what no API shows."""
    connection = await asyncpg.connect(supabase_stack.dsn)
    yield connection
    await connection.close()


@asynccontextmanager
async def acting_as(connection: Connection, role: str, user: object = None) -> AsyncIterator[None]:
    """Inside: what the API would run as `role` with the token of `user`'s latest session. Undone at
    the end.
    """
    claims: dict[str, Any] = {"role": role} | ({"sub": str(user)} if user else {})
    latest = "select id from auth.sessions where user_id = $1 order by created_at desc limit 1"
    if user and (session := await connection.fetchval(latest, user)):
        claims["session_id"] = str(session)
    undo = connection.transaction()
    await undo.start()
    try:
        setting = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"
        await connection.execute(setting, role, orjson.dumps(claims).decode())
        yield
    finally:
        await undo.rollback()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def conformance_database(postgres: EmbeddedPostgres) -> str:
    """A second database whose one migration has what the product's tables lack: many types,
    functions of every shape.
    """
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("create database conformance")
    await connection.close()
    await migrate(
        postgres.dsn(database="conformance"), Path(__file__).with_name("conformance"), shim=True
    )
    return "conformance"


@pytest.fixture(scope="session")
def conformance(postgres: EmbeddedPostgres, conformance_database: str) -> Iterator[SupabaseStack]:
    with serving(postgres, conformance_database) as stack:
        yield stack

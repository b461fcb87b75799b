"""A real Postgres and the Supabase stand-in for every room's tests (registered in
tests/conftest.py).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from postgrest import ReturnMethod
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import SupabaseStandIn, migrate

MIGRATIONS = Path(__file__).resolve().parents[2] / "supabase" / "migrations"
MIGRATED = (
    "migrated"  # as our migrations leave a database; nobody connects, others are copies of it
)
PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class SupabaseStack:
    """Where the stand-in is. `dsn` connects as the superuser, past grants and policies, to arrange
    and to look.
    """

    url: str
    publishable_key: str
    secret_key: str = field(repr=False)
    dsn: str
    jwt_secret: str = field(repr=False)

    async def service(self) -> AsyncClient:
        """A client with the secret key, as ATS itself uses."""
        return await client(self.url, self.secret_key)

    async def anonymous(self) -> AsyncClient:
        return await client(self.url, self.publishable_key)


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A person in their browser: `client` acts under their own session."""

    id: UUID
    email: str
    client: AsyncClient = field(repr=False)

    @property
    def dhan_client_id(self) -> str:
        """Their own Dhan account, unless a test names another: one account has one user."""
        return f"20{self.id.int % 10**10:010}"

    async def connect_dhan(self, *, client_id: str = "", token: str = "", hours: float = 24) -> str:
        """Store a Dhan token as the onboarding page will; returns the token."""
        token = token or f"dhan-token-{uuid4().hex}"
        answer = await self.store_token(client_id or self.dhan_client_id, token, hours)
        assert answer == "stored"
        return token

    async def store_token(self, client_id: str, token: str, hours: float = 24) -> Any:
        """What the database answers to a token of that account."""
        expiry = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        arguments = {"p_client_id": client_id, "p_token": token, "p_expiry": expiry}
        return (await self.client.rpc("store_dhan_token", arguments).execute()).data

    async def switch(self, *, on: bool) -> None:
        own = self.client.table("user_trading_keys").update(
            {"is_trading_enabled": on}, returning=ReturnMethod.minimal
        )
        await own.eq("user_id", str(self.id)).execute()


async def client(url: str, key: str) -> AsyncClient:
    """The real client, without background refreshing (which would outlive a test's event loop).

    The HTTP client is given, because the three it makes itself load the system's certificates each
    time (70 ms).
    """
    http = httpx.AsyncClient(verify=False, timeout=30)  # plain HTTP on loopback
    options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
    return await acreate_client(url, key, options)


async def signed_in_user(stack: SupabaseStack) -> SignedInUser:
    """A new user, made and signed in through the real client."""
    email = f"{uuid4().hex}@example.test"
    anonymous = await stack.anonymous()
    answer = await anonymous.auth.sign_up({"email": email, "password": PASSWORD})
    assert answer.user is not None
    return SignedInUser(UUID(answer.user.id), email, anonymous)


async def trading_user(stack: SupabaseStack) -> tuple[SignedInUser, str]:
    """A user with a valid Dhan token and the switch on, and the token."""
    user = await signed_in_user(stack)
    token = await user.connect_dhan()
    await user.switch(on=True)
    return user, token


def short_home() -> Path:
    """A folder for one server. Short, because of the socket's path; open, because as root it runs
    as another account.
    """
    home = Path(tempfile.mkdtemp(prefix="ats-pg-"))
    home.chmod(0o755)
    return home


async def an_order_worker_reports(dsn: str, mode: str = "paper") -> None:
    """Without one, nobody can be told a mode, and the database lets nobody switch on."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("select report_platform('of-the-tests', $1, null, 50000, 40)", mode)
    await connection.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """One real server for the whole run, with a Supabase project's roles and our migrations in its
    database `postgres`.
    """
    home = short_home()
    server = EmbeddedPostgres(home / "data", durable=False)
    try:
        await server.start()
        await migrate(server.dsn(), MIGRATIONS, shim=True)
        await an_order_worker_reports(server.dsn())
        yield server
    finally:
        await server.stop()
        shutil.rmtree(server.data, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def supabase_stack(postgres: EmbeddedPostgres) -> Iterator[SupabaseStack]:
    """The stand-in over `postgres`, in a thread of its own so that it answers whichever event loop
    a test has.
    """
    with serving(postgres) as stack:
        yield stack


async def create_database(postgres: EmbeddedPostgres, database: str, migrations: Path) -> None:
    """Of our own migrations, as a copy of one that has them: a tenth of the work."""
    admin = await asyncpg.connect(postgres.dsn())
    made = await admin.fetchval("select true from pg_database where datname = $1", MIGRATED)
    if migrations == MIGRATIONS and not made:
        await admin.execute(f"create database {MIGRATED}")
        await migrate(postgres.dsn(database=MIGRATED), MIGRATIONS, shim=True)
    template = MIGRATED if migrations == MIGRATIONS else "template1"
    await admin.execute(f"create database {database} template {template}")
    await admin.close()


@asynccontextmanager
async def own_stack(
    postgres: EmbeddedPostgres, database: str, migrations: Path = MIGRATIONS
) -> AsyncIterator[SupabaseStack]:
    """A database nobody else uses, for tests of services that serve whoever they find in it."""
    await create_database(postgres, database, migrations)
    # of a copy only the shim: what it grants on a database is not copied
    await migrate(postgres.dsn(database=database), migrations, shim=True)
    await an_order_worker_reports(postgres.dsn(database=database))
    with serving(postgres, database) as stack:
        yield stack


@contextmanager
def serving(postgres: EmbeddedPostgres, database: str = "postgres") -> Iterator[SupabaseStack]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="supabase-stand-in", daemon=True)
    thread.start()
    stand_in = SupabaseStandIn()
    start = stand_in.start(
        postgres.dsn("authenticator", database), postgres.dsn("supabase_auth_admin", database)
    )
    try:
        asyncio.run_coroutine_threadsafe(start, loop).result(30)
        yield SupabaseStack(
            stand_in.url,
            stand_in.publishable_key,
            stand_in.secret_key,
            postgres.dsn(database=database),
            stand_in.keys.jwt_secret,
        )
    finally:
        asyncio.run_coroutine_threadsafe(stand_in.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

"""A Dhan account has one user at a time, and that user is told who else named it and when."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from postgrest.exceptions import APIError

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import migrate
from tests.database.conftest import Connection
from tests.database.fixtures import (
    MIGRATIONS,
    SignedInUser,
    SupabaseStack,
    signed_in_user,
    trading_user,
)

THE_MIGRATION = "20261129131000_one_account_one_user.sql"
TOKEN = "a-token-of-the-challenger"


async def account_of(user: SignedInUser) -> dict[str, Any]:
    answer: Any = (await user.client.rpc("own_account", {}).execute()).data
    return dict(answer)


async def keys_of(superuser: Connection, user: SignedInUser) -> tuple[object, ...] | None:
    row = await superuser.fetchrow(
        "select dhan_client_id, dhan_access_token, is_trading_enabled from user_trading_keys"
        " where user_id = $1",
        user.id,
    )
    return tuple(row) if row else None


async def test_an_account_whose_token_lives_is_not_given_to_another_user_and_its_user_is_told(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    holder, token = await trading_user(supabase_stack)
    challenger = await signed_in_user(supabase_stack)
    before = (await account_of(holder))["account_contested_at"]

    answer = await challenger.store_token(holder.dhan_client_id, TOKEN)

    told = await account_of(holder)
    assert answer == "account_taken"
    assert await keys_of(superuser, holder) == (holder.dhan_client_id, token, True)
    assert await keys_of(superuser, challenger) is None
    assert (before, told["account_lost_at"]) == (None, None)
    assert told["account_contested_at"] is not None
    assert str(challenger.id) not in str(told)
    assert (await account_of(challenger))["account_contested_at"] is None


async def test_a_user_who_is_turned_away_keeps_the_account_they_had(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    (holder, _), (challenger, own) = [await trading_user(supabase_stack) for _ in range(2)]

    await challenger.store_token(holder.dhan_client_id, TOKEN)

    assert await keys_of(superuser, challenger) == (challenger.dhan_client_id, own, True)


async def disconnected(superuser: Connection, holder: SignedInUser) -> None:
    await holder.client.rpc("disconnect_dhan", {}).execute()


async def moved_on(superuser: Connection, holder: SignedInUser) -> None:
    await holder.connect_dhan(client_id=f"9{holder.dhan_client_id}")


async def ended(superuser: Connection, holder: SignedInUser) -> None:
    await superuser.execute(
        "update user_trading_keys set token_expiry = now() - interval '1 second' where user_id = "
        "$1",
        holder.id,
    )


async def refused(superuser: Connection, holder: SignedInUser) -> None:
    await superuser.execute(
        "select refuse_token(user_id, version, 'DH-901') from private.stored_tokens"
        " where user_id = $1",
        holder.id,
    )


@pytest.mark.parametrize(
    ("frees", "taken_over"),
    [(disconnected, False), (moved_on, False), (ended, True), (refused, True)],
)
async def test_an_account_whose_token_lives_no_more_is_for_the_next_who_connects_it(
    supabase_stack: SupabaseStack, superuser: Connection, frees: Any, taken_over: bool
) -> None:
    holder, _ = await trading_user(supabase_stack)
    challenger = await signed_in_user(supabase_stack)
    await frees(superuser, holder)

    answer = await challenger.store_token(holder.dhan_client_id, TOKEN)

    assert answer == "stored"
    assert ((await account_of(holder))["account_lost_at"] is not None) is taken_over
    if taken_over:
        assert await keys_of(superuser, holder) == (holder.dhan_client_id, None, False)


async def test_connecting_ones_own_account_again_contests_nothing(
    supabase_stack: SupabaseStack,
) -> None:
    user, _ = await trading_user(supabase_stack)

    await user.connect_dhan()

    account = await account_of(user)
    assert (account["account_contested_at"], account["account_lost_at"]) == (None, None)


async def test_nobody_tries_others_accounts_more_than_a_hundred_times_a_day_nor_loses_the_own(
    supabase_stack: SupabaseStack,
) -> None:
    holder, _ = await trading_user(supabase_stack)
    challenger = await signed_in_user(supabase_stack)
    for _ in range(99):
        await challenger.store_token(holder.dhan_client_id, TOKEN)
    assert await challenger.store_token(f"9{holder.dhan_client_id}", TOKEN) == "stored"
    await challenger.store_token(holder.dhan_client_id, TOKEN)

    with pytest.raises(APIError) as refused:
        await challenger.store_token(holder.dhan_client_id, TOKEN)

    assert refused.value.details == "too_often"


async def test_not_even_the_owner_of_the_tables_gives_one_account_to_two(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    (one, _), (other, _) = [await trading_user(supabase_stack) for _ in range(2)]

    with pytest.raises(asyncpg.UniqueViolationError):
        await superuser.execute(
            "update user_trading_keys set dhan_client_id = $2 where user_id = $1",
            *(one.id, other.dhan_client_id),
        )


@asynccontextmanager
async def before_the_migration(
    postgres: EmbeddedPostgres, folder: Path
) -> AsyncIterator[Connection]:
    """A database as it was, and `folder` with the migrations up to then."""
    for file in sorted(MIGRATIONS.glob("*.sql")):
        if file.name < THE_MIGRATION:
            shutil.copy(file, folder)
    name = f"shared_{uuid4().hex}"
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute(f"create database {name}")
    await admin.close()
    dsn = postgres.dsn(database=name)
    await migrate(dsn, folder, shim=True)
    connection = await asyncpg.connect(dsn)
    yield connection
    shutil.copy(MIGRATIONS / THE_MIGRATION, folder)
    await connection.close()


async def a_user(connection: Connection, client_id: str, *, days: int, hours: int = 24) -> UUID:
    """Connected for so many days, with a token that ends in so many hours."""
    user = await connection.fetchval(
        "insert into auth.users (email) values ($1) returning id", f"{uuid4()}@x.test"
    )
    await connection.execute(
        "insert into user_trading_keys"
        " (user_id, dhan_client_id, dhan_access_token, token_expiry, is_trading_enabled, "
        "created_at)"
        " values ($1, $2, 'a-token', now() + $3 * interval '1 hour', $5, now() - $4 * interval "
        "'1 day')",
        *(user, client_id, hours, days, hours > 0),
    )
    return UUID(str(user))


async def test_of_those_who_share_an_account_today_the_longest_connected_keeps_it(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with before_the_migration(postgres, tmp_path) as connection:
        older, oldest, newest = [await a_user(connection, "1", days=days) for days in (2, 3, 1)]
        ended = await a_user(connection, "2", days=9, hours=-1)
        lives = await a_user(connection, "2", days=1)
        alone = await a_user(connection, "3", days=1)
        database = await connection.fetchval("select current_database()")
    await migrate(postgres.dsn(database=database), tmp_path, shim=True)
    connection = await asyncpg.connect(postgres.dsn(database=database))

    rows = await connection.fetch(
        "select user_id, dhan_access_token is not null as holds, is_trading_enabled as on"
        " from user_trading_keys"
    )
    audited = await connection.fetch(
        "select user_id from private.key_audit where action = 'taken_over'"
    )
    told = await connection.fetch("select holder, challenger from private.account_contests")
    await connection.close()

    kept = {oldest, lives, alone}
    assert {row["user_id"] for row in rows if row["holds"]} == kept
    assert {row["user_id"] for row in rows if row["on"]} == kept
    assert {row["user_id"] for row in audited} == {older, newest, ended}
    assert {(row["holder"], row["challenger"]) for row in told} == {
        (older, oldest),
        (newest, oldest),
        (ended, lives),
    }

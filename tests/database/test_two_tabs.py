"""Limits that two browser tabs of one user tighten at the same moment."""

from __future__ import annotations

import asyncio

import asyncpg
import orjson
import pytest

from tests.database.conftest import Connection
from tests.database.fixtures import SupabaseStack, signed_in_user

TIGHTEN = "select tighten_own_limits($1)"
WAITS = "select count(*) from pg_locks where not granted and pid = $1"


async def a_tab(stack: SupabaseStack, user: str, session: str) -> Connection:
    """A connection that speaks for the user, as PostgREST's would."""
    tab = await asyncpg.connect(stack.dsn)
    claims = {"role": "authenticated", "sub": user, "session_id": session}
    await tab.execute(
        "select set_config('request.jwt.claims', $1, false)", str(orjson.dumps(claims), "utf8")
    )
    await tab.execute("set role authenticated")
    return tab


@pytest.mark.parametrize(
    ("second", "refused"),
    [({"max_orders_per_day": 5}, False), ({"max_order_value_paise": 2_000}, True)],
    ids=["another limit", "the same limit, wider"],
)
async def test_of_two_tabs_the_second_sees_what_the_first_wrote_and_undoes_nothing(
    supabase_stack: SupabaseStack, superuser: Connection, second: dict[str, int], *, refused: bool
) -> None:
    user = (await signed_in_user(supabase_stack)).id
    session = await superuser.fetchval(
        "select id::text from auth.sessions where user_id = $1", user
    )
    one, other = [await a_tab(supabase_stack, str(user), session) for _ in range(2)]
    try:
        async with one.transaction():
            await one.execute(TIGHTEN, '{"max_order_value_paise": 1000}')
            writing = asyncio.create_task(other.execute(TIGHTEN, str(orjson.dumps(second), "utf8")))
            async with asyncio.timeout(30):
                while not await superuser.fetchval(WAITS, other.get_server_pid()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        (answer,) = await asyncio.gather(writing, return_exceptions=True)
    finally:
        await one.close()
        await other.close()

    assert isinstance(answer, asyncpg.InsufficientPrivilegeError) is refused
    row = await superuser.fetchrow(
        "select * from public.user_limits where user_id = $1 and own", user
    )
    assert row
    assert row["max_order_value_paise"] == 1_000
    assert row["max_orders_per_day"] == (None if refused else 5)

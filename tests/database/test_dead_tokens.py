"""A token that Dhan refused gives no further claim, until its user connects again."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from postgrest.exceptions import APIError

from tests.database.conftest import Connection, acting_as
from tests.database.fixtures import SignedInUser, SupabaseStack, trading_user


async def claim(superuser: Connection, user: UUID) -> dict[str, Any]:
    """What a claim of a new decision answers."""
    decision = await superuser.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
        "returning id"
    )
    order = uuid4()
    row = await superuser.fetchrow(
        "select answer ->> 'status' as status, answer ->> 'reason' as reason,"
        " (answer ->> 'token_version')::bigint as version, answer ->> 'access_token' as token"
        " from claim_order($1, $2, $3, $4) as answer",
        *(user, decision, order, order.hex[:25]),
    )
    return dict(row) if row else {}


async def refuse(connection: Connection, user: UUID, version: int) -> bool:
    return bool(await connection.fetchval("select refuse_token($1, $2, 'DH-901')", user, version))


async def account_of(user: SignedInUser) -> dict[str, Any]:
    answer: Any = (await user.client.rpc("own_account", {}).execute()).data
    return dict(answer)


async def test_a_refused_token_gives_no_claim_and_everybody_learns_it_while_the_switch_stays(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    first = await claim(superuser, user.id)
    before = await account_of(user)
    were = await superuser.fetchrow("select * from trading_keys() where user_id = $1", user.id)

    hit = await refuse(superuser, user.id, first["version"])

    refused = await claim(superuser, user.id)
    keys = await superuser.fetchrow("select * from trading_keys() where user_id = $1", user.id)
    account = await account_of(user)
    assert (first["status"], hit) == ("claimed", True)
    assert (refused["status"], refused["reason"]) == ("refused", "token_refused")
    assert refused["token"] is None
    assert keys is not None
    assert were is not None
    assert keys["changed_at"] > were["changed_at"]
    assert (keys["is_trading_enabled"], keys["token_refused"]) == (True, True)
    assert (before["token_refused"], account["token_refused"]) == (False, True)


async def test_connecting_again_ends_it_with_the_same_token_too(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    first = await claim(superuser, user.id)
    await refuse(superuser, user.id, first["version"])

    await user.connect_dhan(token=token)

    again = await claim(superuser, user.id)
    assert (again["status"], again["token"]) == ("claimed", token)
    assert again["version"] > first["version"]
    assert (await account_of(user))["token_refused"] is False


async def test_a_refusal_that_comes_after_the_user_connected_again_does_not_hit_the_new_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    first = await claim(superuser, user.id)
    await user.connect_dhan()

    hit = await refuse(superuser, user.id, first["version"])

    assert hit is False
    assert (await claim(superuser, user.id))["status"] == "claimed"


async def test_a_refusal_waits_for_a_connection_that_is_being_stored_and_then_hits_nothing(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    first = await claim(superuser, user.id)
    other = await asyncpg.connect(supabase_stack.dsn)
    storing = other.transaction()
    await storing.start()
    await other.execute(
        "update user_trading_keys set dhan_access_token = 'a-new-token' where user_id = $1", user.id
    )

    refusing = asyncio.create_task(refuse(superuser, user.id, first["version"]))
    await waiting(supabase_stack)
    await storing.commit()

    assert await refusing is False
    assert (await claim(superuser, user.id))["token"] == "a-new-token"
    await other.close()


async def waiting(stack: SupabaseStack) -> None:
    """Return when the refusal waits for a lock."""
    watcher = await asyncpg.connect(stack.dsn)
    blocked = (
        "select exists (select from pg_stat_activity"
        " where wait_event_type = 'Lock' and query like '%refuse_token%')"
    )
    while not await watcher.fetchval(blocked):  # noqa: ASYNC110  # another process moves on
        await asyncio.sleep(0.01)
    await watcher.close()


async def test_a_refusal_is_audited_once_without_the_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    first = await claim(superuser, user.id)

    for _ in range(2):
        assert await refuse(superuser, user.id, first["version"])

    rows = await superuser.fetch(
        "select key_audit::text as whole from private.key_audit"
        " where user_id = $1 and action = 'refused'",
        user.id,
    )
    kept = await superuser.fetchval(
        "select stored_tokens::text from private.stored_tokens where user_id = $1", user.id
    )
    assert len(rows) == 1
    assert "DH-901" in kept
    assert token not in str(rows) + kept


async def test_the_switch_is_not_turned_on_over_a_refused_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await refuse(superuser, user.id, (await claim(superuser, user.id))["version"])
    await user.switch(on=False)

    with pytest.raises(APIError) as refused:
        await user.switch(on=True)

    assert (refused.value.code, refused.value.details) == ("P0001", "connection_refused")
    await user.connect_dhan()
    await user.switch(on=True)


async def test_everybody_s_keys_come_in_pages_without_tokens(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    users = sorted([(await trading_user(supabase_stack))[0].id for _ in range(3)])

    async with acting_as(superuser, "service_role"):
        rows = await superuser.fetch("select * from trading_keys($1)", users[0])

    found = [row["user_id"] for row in rows]
    assert set(users[1:]) <= set(found)
    assert users[0] not in found
    assert found == sorted(found)
    assert "dhan_access_token" not in rows[0]


@pytest.mark.parametrize(
    "change",
    [
        "update user_trading_keys set dhan_client_id = '4455667788' where user_id = $1",
        "update user_trading_keys set is_trading_enabled = false where user_id = $1",
        "update user_trading_keys set token_expiry = now() where user_id = $1",
        (
            "update private.stored_tokens set (refused_at, refused_code) = (now(), '1')"
            " where user_id = $1"
        ),
        "delete from user_trading_keys where user_id = $1",
    ],
    ids=["account", "switch", "expiry", "refusal", "gone"],
)
async def test_the_digest_of_everybody_s_keys_changes_with_any_of_them_and_else_stays(
    supabase_stack: SupabaseStack, superuser: Connection, change: str
) -> None:
    user, _ = await trading_user(supabase_stack)
    transaction = superuser.transaction(isolation="repeatable_read")  # others' users stay as is
    await transaction.start()
    digests = [await superuser.fetchval("select trading_keys_digest()") for _ in range(2)]

    await superuser.execute(change, user.id)
    digests.append(await superuser.fetchval("select trading_keys_digest()"))
    await transaction.rollback()

    assert digests[0] == digests[1] != digests[2]

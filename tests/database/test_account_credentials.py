"""Whoever is connected can be watched and protected, whatever their switch says; by the service
alone, and each time a token is handed out it is noted.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from postgrest.exceptions import APIError

from tests.database.conftest import Connection, acting_as
from tests.database.fixtures import SupabaseStack, signed_in_user, trading_user


async def credentials(
    superuser: Connection, user: UUID, known: int | None = None
) -> dict[str, Any]:
    answer = await superuser.fetchval("select account_credentials($1, $2)", user, known)
    return dict(orjson.loads(answer))


async def watched(superuser: Connection, user: UUID) -> int:
    count: int = await superuser.fetchval(
        "select count(*) from private.key_audit where user_id = $1 and action = 'watched'", user
    )
    return count


async def test_a_living_token_is_handed_out_while_the_switch_is_off(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    await user.switch(on=False)

    answer = await credentials(superuser, user.id)

    assert (answer["status"], answer["access_token"]) == ("living", token)
    assert answer["dhan_client_id"] == user.dhan_client_id
    assert await watched(superuser, user.id) == 1


async def test_a_known_token_is_not_handed_out_again_until_the_user_connects_again(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    version = (await credentials(superuser, user.id))["token_version"]

    again = await credentials(superuser, user.id, version)
    renewed = await user.connect_dhan()
    after = await credentials(superuser, user.id, version)

    assert again == {"status": "known"}
    assert token != renewed == after["access_token"]
    assert after["token_version"] > version
    assert await watched(superuser, user.id) == 2


async def test_a_token_that_does_not_live_is_not_handed_out(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    version = (await credentials(superuser, user.id))["token_version"]
    await superuser.execute("select refuse_token($1, $2, 'DH-901')", user.id, version)
    refused = await credentials(superuser, user.id, version)
    await user.connect_dhan()
    await superuser.execute(
        "update user_trading_keys set token_expiry = clock_timestamp() where user_id = $1", user.id
    )
    expired = await credentials(superuser, user.id)
    newcomer = await signed_in_user(supabase_stack)
    nobody = [await credentials(superuser, each) for each in (newcomer.id, uuid4())]

    assert refused == {"status": "refused", "reason": "token_refused"}
    assert expired == {"status": "refused", "reason": "token_expired"}
    assert nobody == [{"status": "refused", "reason": "no_account"}] * 2


async def test_nobody_but_the_service_can_ask(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    mine, _ = await trading_user(supabase_stack)
    theirs, token = await trading_user(supabase_stack)
    anonymous = await supabase_stack.anonymous()

    for client in (mine.client, theirs.client, anonymous):
        with pytest.raises(APIError) as refused:
            await client.rpc("account_credentials", {"p_user": str(theirs.id)}).execute()
        assert refused.value.code == "42501"
        assert token not in str(refused.value)
    async with acting_as(superuser, "service_role"):
        assert (await credentials(superuser, theirs.id))["access_token"] == token
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.fetchval("select dhan_access_token from user_trading_keys")

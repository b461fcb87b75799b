from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from postgrest.exceptions import APIError

from tests.database.conftest import Connection
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user, trading_user


async def keys_of(superuser: Connection, user: SignedInUser) -> dict[str, object]:
    row = await superuser.fetchrow("select * from user_trading_keys where user_id = $1", user.id)
    assert row is not None
    return dict(row)


async def test_a_stored_token_is_complete_and_the_switch_starts_off(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)

    token = await user.connect_dhan(client_id="1100000007")

    keys = await keys_of(superuser, user)
    assert (keys["dhan_client_id"], keys["dhan_access_token"], keys["is_trading_enabled"]) == (
        "1100000007",
        token,
        False,
    )


@pytest.mark.parametrize(
    ("client_id", "token", "hours"),
    [
        (" ", "t" * 40, 24),
        ("11000x", "t" * 40, 24),
        ("1100000001", "short", 24),
        ("1100000001", "t" * 5_000, 24),
        ("1100000001", "with space " * 4, 24),
        ("1100000001", "t" * 40, -1),
        ("1100000001", "t" * 40, 24 * 500),
    ],
)
async def test_a_misshapen_token_is_refused_without_repeating_it(
    supabase_stack: SupabaseStack, client_id: str, token: str, hours: float
) -> None:
    user = await signed_in_user(supabase_stack)

    with pytest.raises(APIError) as error:
        await user.connect_dhan(client_id=client_id, token=token, hours=hours)

    assert error.value.code == "22023"
    assert token not in str(error.value)


async def test_the_switch_is_refused_without_a_connected_account(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)
    await superuser.execute("insert into user_trading_keys (user_id) values ($1)", user.id)

    with pytest.raises(APIError, match="no Dhan account is connected"):
        await user.switch(on=True)


async def test_the_switch_is_refused_with_an_expired_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()
    await superuser.execute(
        "update user_trading_keys set token_expiry = $2 where user_id = $1", user.id, an_hour_ago()
    )

    with pytest.raises(APIError, match="expired"):
        await user.switch(on=True)


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


async def test_the_switch_can_be_turned_off_with_an_expired_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await superuser.execute(
        "update user_trading_keys set token_expiry = $2 where user_id = $1", user.id, an_hour_ago()
    )

    await user.switch(on=False)

    assert (await keys_of(superuser, user))["is_trading_enabled"] is False


async def test_the_daily_reconnect_keeps_the_switch_on_but_another_account_turns_it_off(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)

    await user.connect_dhan()
    after_reconnect = (await keys_of(superuser, user))["is_trading_enabled"]
    await user.connect_dhan(client_id="2200000002")
    after_change = (await keys_of(superuser, user))["is_trading_enabled"]

    assert (after_reconnect, after_change) == (True, False)


async def test_disconnecting_deletes_the_token_and_switches_off(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)

    await user.client.rpc("disconnect_dhan", {}).execute()

    keys = await keys_of(superuser, user)
    assert (keys["dhan_access_token"], keys["token_expiry"], keys["is_trading_enabled"]) == (
        None,
        None,
        False,
    )


async def test_every_change_stamps_updated_at(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    before = (await keys_of(superuser, user))["updated_at"]

    await user.switch(on=False)

    after = await keys_of(superuser, user)
    assert isinstance(before, datetime)
    assert isinstance(after["updated_at"], datetime)
    assert after["updated_at"] > before


async def test_storing_and_deleting_a_token_is_audited_without_it(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)

    token = await user.connect_dhan()
    await user.client.rpc("disconnect_dhan", {}).execute()

    rows = await superuser.fetch(
        "select * from private.key_audit where user_id = $1 order by id", user.id
    )
    assert [(row["action"], row["actor_role"], row["actor_id"]) for row in rows] == [
        ("stored", "authenticated", user.id),
        ("deleted", "authenticated", user.id),
    ]
    assert token not in str([dict(row) for row in rows])

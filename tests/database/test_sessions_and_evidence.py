"""Who signed out writes no more, no user fills a table, and what was decided stays as it was
decided.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient

from tests.database.conftest import Connection, acting_as
from tests.database.fixtures import (
    SignedInUser,
    SupabaseStack,
    client,
    signed_in_user,
    trading_user,
)

STATE = "d" * 64
WRITES: dict[str, tuple[str, dict[str, object]]] = {
    "store_dhan_token": (
        "store_dhan_token",
        {
            "p_client_id": "1100000001",
            "p_token": "a-stolen-token",
            "p_expiry": "2099-01-01T00:00:00Z",
        },
    ),
    "disconnect_dhan": ("disconnect_dhan", {}),
    "switch_trading_on": ("switch_trading_on", {}),  # on the terms that hold
    "begin_dhan_consent": (
        "begin_dhan_consent",
        {"p_client_id": "1100000001", "p_state_hash": STATE},
    ),
    "abandon_dhan_consent": ("abandon_dhan_consent", {"p_state_hash": STATE}),
    "take_dhan_consents": ("take_dhan_consents", {"p_state_hashes": [STATE]}),
    "doubt_dhan_token": ("doubt_dhan_token", {}),
    "trust_dhan_token": ("trust_dhan_token", {"p_doubt": 1}),
}


async def kept_token(stack: SupabaseStack, user: SignedInUser) -> AsyncClient:
    """A client with the access token that `user` has now, as a thief or an old tab keeps it."""
    session = await user.client.auth.get_session()
    assert session is not None
    thief = await client(stack.url, stack.publishable_key)
    thief.postgrest.auth(session.access_token)
    return thief


@pytest.mark.parametrize("write", WRITES)
async def test_an_access_token_writes_nothing_after_its_session_was_signed_out(
    supabase_stack: SupabaseStack, superuser: Connection, write: str
) -> None:
    user, _ = await trading_user(supabase_stack)
    await user.switch(on=False)
    thief = await kept_token(supabase_stack, user)
    terms = {"p_terms": (await account_of(user))["platform"]}
    before = await everything_of(superuser, user)
    await user.client.auth.sign_out()

    function, arguments = WRITES[write]
    with pytest.raises(APIError) as refused:
        await thief.rpc(
            function, arguments | (terms if function == "switch_trading_on" else {})
        ).execute()

    assert refused.value.code == "42501"
    assert await everything_of(superuser, user) == before


async def test_the_bare_switch_is_not_turned_on_after_signing_out_but_off(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    thief = SignedInUser(user.id, user.email, await kept_token(supabase_stack, user))
    await user.client.auth.sign_out()

    await thief.switch(on=False)
    with pytest.raises(APIError, match="row-level security"):
        await thief.switch(on=True)

    on = "select is_trading_enabled from user_trading_keys where user_id = $1"
    assert await superuser.fetchval(on, user.id) is False


async def test_another_session_of_the_same_user_goes_on(supabase_stack: SupabaseStack) -> None:
    user, _ = await trading_user(supabase_stack)
    phone = await supabase_stack.anonymous()
    await phone.auth.sign_in_with_password(
        {"email": user.email, "password": "correct horse battery"}
    )
    await user.client.auth.sign_out({"scope": "local"})

    await SignedInUser(user.id, user.email, phone).switch(on=False)


async def test_tokens_are_stored_thirty_times_a_day_at_most_and_each_is_in_the_audit(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)
    tokens = [await user.connect_dhan() for _ in range(30)]

    with pytest.raises(APIError) as refused:
        await user.connect_dhan()

    assert (refused.value.code, refused.value.details) == ("P0001", "too_often")
    stored = "select dhan_access_token from user_trading_keys where user_id = $1"
    assert await superuser.fetchval(stored, user.id) == tokens[-1]
    assert await audited(superuser, user) == {"stored": 30}


async def test_a_token_that_is_not_there_is_deleted_without_a_trace(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()

    for _ in range(5):
        await user.client.rpc("disconnect_dhan", {}).execute()

    assert await audited(superuser, user) == {"stored": 1, "deleted": 1}


async def test_many_doubts_about_a_token_are_twenty_rows_and_it_stays_in_doubt(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()

    doubts = [(await user.client.rpc("doubt_dhan_token", {}).execute()).data for _ in range(22)]

    assert doubts[20:] == [None, None]
    rows = "select count(*) from private.token_doubts where user_id = $1"
    assert await superuser.fetchval(rows, user.id) == 20
    assert (await account_of(user))["token_doubted"] is True


async def test_a_switch_turned_on_again_on_the_same_terms_counts_in_one_row(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)

    for _ in range(3):
        await user.switch(on=False)
        await user.switch(on=True)

    rows = await superuser.fetch(
        "select mode, times from private.switch_consents where user_id = $1", user.id
    )
    assert [tuple(row) for row in rows] == [("paper", 4)]


@pytest.mark.parametrize(
    "change",
    [
        "update trade_decisions set action = 'SELL' where id = $1",
        "update trade_decisions set reasoning = 'for another reason' where id = $1",
        "update trade_decisions set symbol = 'INFY' where id = $1",
    ],
)
async def test_nobody_rewrites_a_decision_not_even_who_owns_the_tables(
    superuser: Connection, change: str
) -> None:
    decision = await superuser.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
        "returning id"
    )

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="evidence"):
        await superuser.execute(change, decision)


async def test_settling_marks_a_decision_as_executed(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    async with acting_as(superuser, "service_role"):
        row = {"symbol": "TCS", "action": "BUY"}
        decision = await superuser.fetchval(
            "insert into trade_decisions (symbol, action, reasoning) values ($1, $2, 'r') "
            "returning id",
            *row.values(),
        )
        order = uuid4()
        await superuser.execute(
            "select claim_order($1, $2, $3, $4)", user.id, decision, order, order.hex[:25]
        )
        await superuser.execute(
            "select record_order_outcome($1, $2, $3, 'accepted', '42')", user.id, decision, order
        )

        assert (
            await superuser.fetchval(
                "select is_executed from trade_decisions where id = $1", decision
            )
            is True
        )


async def account_of(user: SignedInUser) -> dict[str, Any]:
    account = (await user.client.rpc("own_account", {}).execute()).data
    assert isinstance(account, dict)
    return account


async def everything_of(
    superuser: Connection, user: SignedInUser
) -> list[list[tuple[object, ...]]]:
    tables = ["public.user_trading_keys"]
    tables += [
        f"private.{name}"
        for name in ("key_audit", "dhan_consents", "dhan_callbacks", "token_doubts")
    ]
    tables += ["private.switch_consents"]
    return [
        [
            tuple(row)
            for row in await superuser.fetch(f"select * from {table} where user_id = $1", user.id)
        ]
        for table in tables
    ]


async def audited(superuser: Connection, user: SignedInUser) -> dict[str, int]:
    query = "select action, count(*) from private.key_audit where user_id = $1 group by action"
    return {row["action"]: row["count"] for row in await superuser.fetch(query, user.id)}

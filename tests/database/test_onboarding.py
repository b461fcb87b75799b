from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import pytest
from postgrest.exceptions import APIError

from tests.database.conftest import Connection
from tests.database.fixtures import PASSWORD, SignedInUser, SupabaseStack, client, signed_in_user, trading_user

CLIENT = "1100000001"


def a_state() -> str:
    return hashlib.sha256(uuid4().bytes).hexdigest()


async def begin(user: SignedInUser, state: str, client_id: str = CLIENT) -> object:
    answer = await user.client.rpc("begin_dhan_consent", {"p_client_id": client_id, "p_state_hash": state}).execute()
    return answer.data


async def take(user: SignedInUser, *states: str) -> Any:
    return (await user.client.rpc("take_dhan_consents", {"p_state_hashes": list(states)}).execute()).data


async def account(user: SignedInUser) -> Any:
    return (await user.client.rpc("own_account", {}).execute()).data


async def age(superuser: Connection, user: SignedInUser, minutes: int) -> None:
    for statement in (
        "update private.dhan_consents set asked_at = asked_at - make_interval(mins => $2) where user_id = $1",
        "update private.dhan_callbacks set at = at - make_interval(mins => $2) where user_id = $1",
    ):
        await superuser.execute(statement, user.id, minutes)


async def test_an_attempt_is_taken_once_and_names_the_client_id_that_was_asked_for(
    supabase_stack: SupabaseStack,
) -> None:
    user, state = await signed_in_user(supabase_stack), a_state()

    begun = await begin(user, state)
    pending = (await account(user))["connecting"]
    first = await take(user, state)
    second = await take(user, state)

    assert (begun, pending) == ("begun", True)
    assert first == {"status": "taken", "client_ids": [CLIENT]}
    assert second == {"status": "refused", "reason": "used"}
    assert (await account(user))["connecting"] is False


async def test_two_tabs_that_come_back_at_once_take_their_attempts_once(supabase_stack: SupabaseStack) -> None:
    user, one, other = await signed_in_user(supabase_stack), a_state(), a_state()
    await begin(user, one)
    await begin(user, other)

    answers = await asyncio.gather(*(take(user, one, other) for _ in range(6)))

    assert sorted(answer["status"] for answer in answers) == ["refused"] * 5 + ["taken"]


async def test_nobody_else_takes_an_attempt_and_it_stays_for_its_owner(supabase_stack: SupabaseStack) -> None:
    user, stranger, state = await signed_in_user(supabase_stack), await signed_in_user(supabase_stack), a_state()
    await begin(user, state)

    stolen = await take(stranger, state)

    assert stolen == {"status": "refused", "reason": "other_user"}
    assert (await take(user, state))["status"] == "taken"


async def test_an_attempt_belongs_to_the_session_that_made_it(supabase_stack: SupabaseStack) -> None:
    user, state = await signed_in_user(supabase_stack), a_state()
    await begin(user, state)
    elsewhere = await client(supabase_stack.url, supabase_stack.publishable_key)
    await elsewhere.auth.sign_in_with_password({"email": user.email, "password": PASSWORD})

    answer = await take(SignedInUser(user.id, user.email, elsewhere), state)

    assert answer == {"status": "refused", "reason": "other_session"}


async def test_an_attempt_ends_after_ten_minutes(supabase_stack: SupabaseStack, superuser: Connection) -> None:
    user, state = await signed_in_user(supabase_stack), a_state()
    await begin(user, state)
    await age(superuser, user, 10)

    assert await take(user, state) == {"status": "refused", "reason": "expired"}
    assert (await account(user))["connecting"] is False


async def test_an_unknown_state_and_none_at_all_are_refused(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)
    await begin(user, a_state())

    assert await take(user, a_state()) == {"status": "refused", "reason": "unknown"}
    assert await take(user) == {"status": "refused", "reason": "unknown"}


async def test_an_abandoned_attempt_is_closed_but_only_by_its_owner(supabase_stack: SupabaseStack) -> None:
    user, stranger, state = await signed_in_user(supabase_stack), await signed_in_user(supabase_stack), a_state()
    await begin(user, state)

    await stranger.client.rpc("abandon_dhan_consent", {"p_state_hash": state}).execute()
    still_open = (await account(user))["connecting"]
    await user.client.rpc("abandon_dhan_consent", {"p_state_hash": state}).execute()

    assert still_open is True
    assert await take(user, state) == {"status": "refused", "reason": "used"}


async def test_attempts_and_callbacks_are_limited_for_each_user_alone(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, calm = await signed_in_user(supabase_stack), await signed_in_user(supabase_stack)

    begun = [await begin(user, a_state()) for _ in range(11)]
    taken = [(await take(user, a_state()))["reason"] for _ in range(21)]
    calm_begun, calm_taken = await begin(calm, a_state()), await take(calm, a_state())
    await age(superuser, user, 10)

    assert begun == ["begun"] * 10 + ["too_often"]
    assert taken == ["unknown"] * 20 + ["too_often"]
    assert (calm_begun, calm_taken["reason"]) == ("begun", "unknown")
    assert await begin(user, a_state()) == "begun"
    assert (await take(user, a_state()))["reason"] == "unknown"


@pytest.mark.parametrize(("client_id", "state"), [("12a", "0" * 64), ("1" * 21, "0" * 64), (CLIENT, "short")])
async def test_an_odd_client_id_or_state_begins_nothing(
    supabase_stack: SupabaseStack, client_id: str, state: str
) -> None:
    user = await signed_in_user(supabase_stack)

    with pytest.raises(APIError):
        await begin(user, state, client_id)

    assert (await account(user))["connecting"] is False


async def settle(superuser: Connection, user: SignedInUser, symbol: str, outcome: str) -> None:
    decision = await superuser.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ($1, 'BUY', 'both agree') returning id", symbol
    )
    order, correlation = uuid4(), uuid4().hex[:20]
    await superuser.execute("select claim_order($1, $2, $3, $4)", user.id, decision, order, correlation)
    await superuser.execute(
        "select settle_order($1, $2, $3, $4, $5, $6)",
        *(user.id, decision, order, outcome),
        *(("112233", None) if outcome == "accepted" else (None, "quote_stale")),
    )


async def test_an_account_shows_own_orders_newest_first_with_their_decision_and_no_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    other, _ = await trading_user(supabase_stack)
    await settle(superuser, user, "TCS", "accepted")
    await settle(superuser, user, "INFY", "denied")
    await settle(superuser, other, "SBIN", "accepted")

    shown = await account(user)

    assert [(order["symbol"], order["status"]) for order in shown["orders"]] == [("INFY", "FAILED"), ("TCS", "SUCCESS")]
    assert shown["orders"][0]["failure_reason"] == "quote_stale"
    assert (shown["orders"][1]["reasoning"], shown["orders"][1]["dhan_order_id"]) == ("both agree", "112233")
    assert shown["connection"]["is_trading_enabled"] is True
    assert token not in str(shown)


async def report(supabase_stack: SupabaseStack, instance: str, mode: str, own_client_id: str | None = None) -> None:
    service = await supabase_stack.service()
    said = {"p_instance": instance, "p_mode": mode, "p_own_client_id": own_client_id}
    limits = {"p_max_order_value_rupees": 50_000, "p_max_orders_per_day": 40}
    await service.rpc("report_platform", said | limits).execute()


async def test_a_user_learns_mode_and_limits_and_whether_the_order_workers_live(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await superuser.execute("delete from private.platform_reports")

    silent = (await account(user))["platform"]
    await report(supabase_stack, "one", "paper")
    paper = (await account(user))["platform"]
    await superuser.execute("update private.platform_reports set reported_at = reported_at - interval '1 minute'")
    gone = (await account(user))["platform"]

    assert silent is None
    assert {name: paper[name] for name in ("mode", "alive", "admits_this_account", "max_order_value_rupees")} == {
        "mode": "paper",
        "alive": True,
        "admits_this_account": True,
        "max_order_value_rupees": 50_000,
    }
    assert (gone["mode"], gone["alive"]) == ("paper", False)


async def test_real_money_is_never_hidden_by_paper_and_the_operators_account_stays_unknown(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await superuser.execute("delete from private.platform_reports")
    await report(supabase_stack, "live", "self", "5550000001")
    await report(supabase_stack, "paper", "paper")

    shown = await account(user)
    await report(supabase_stack, "live", "self", CLIENT)
    own = await account(user)
    await superuser.execute("delete from private.platform_reports")

    assert (shown["platform"]["mode"], shown["platform"]["admits_this_account"]) == ("self", False)
    assert own["platform"]["admits_this_account"] is True
    assert "5550000001" not in str(shown)


async def test_no_user_reports_for_the_platform(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)

    with pytest.raises(APIError) as refused:
        await user.client.rpc(
            "report_platform",
            {
                "p_instance": "me",
                "p_mode": "paper",
                "p_own_client_id": None,
                "p_max_order_value_rupees": 1,
                "p_max_orders_per_day": 1,
            },
        ).execute()

    assert refused.value.code == "42501"

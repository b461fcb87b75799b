from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from postgrest.exceptions import APIError

from tests.database.conftest import Connection
from tests.database.fixtures import (
    PASSWORD,
    SignedInUser,
    SupabaseStack,
    an_order_worker_reports,
    client,
    signed_in_user,
    trading_user,
)

CLIENT = "1100000001"


def a_state() -> str:
    return hashlib.sha256(uuid4().bytes).hexdigest()


async def begin(user: SignedInUser, state: str, client_id: str = CLIENT) -> object:
    answer = await user.client.rpc(
        "begin_dhan_consent", {"p_client_id": client_id, "p_state_hash": state}
    ).execute()
    return answer.data


async def take(user: SignedInUser, *states: str) -> Any:
    return (
        await user.client.rpc("take_dhan_consents", {"p_state_hashes": list(states)}).execute()
    ).data


async def account(user: SignedInUser) -> Any:
    return (await user.client.rpc("own_account", {}).execute()).data


async def age(superuser: Connection, user: SignedInUser, minutes: int) -> None:
    for statement in (
        (
            "update private.dhan_consents set asked_at = asked_at - make_interval(mins => $2) "
            "where user_id = $1"
        ),
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


async def test_two_tabs_that_come_back_at_once_take_their_attempts_once(
    supabase_stack: SupabaseStack,
) -> None:
    user, one, other = await signed_in_user(supabase_stack), a_state(), a_state()
    await begin(user, one)
    await begin(user, other)

    answers = await asyncio.gather(*(take(user, one, other) for _ in range(6)))

    assert sorted(answer["status"] for answer in answers) == ["refused"] * 5 + ["taken"]


async def test_nobody_else_takes_an_attempt_and_it_stays_for_its_owner(
    supabase_stack: SupabaseStack,
) -> None:
    user, stranger, state = (
        await signed_in_user(supabase_stack),
        await signed_in_user(supabase_stack),
        a_state(),
    )
    await begin(user, state)

    stolen = await take(stranger, state)

    assert stolen == {"status": "refused", "reason": "other_user"}
    assert (await take(user, state))["status"] == "taken"


async def test_an_attempt_belongs_to_the_session_that_made_it(
    supabase_stack: SupabaseStack,
) -> None:
    user, state = await signed_in_user(supabase_stack), a_state()
    await begin(user, state)
    elsewhere = await client(supabase_stack.url, supabase_stack.publishable_key)
    await elsewhere.auth.sign_in_with_password({"email": user.email, "password": PASSWORD})

    answer = await take(SignedInUser(user.id, user.email, elsewhere), state)

    assert answer == {"status": "refused", "reason": "other_session"}


async def test_an_attempt_ends_after_ten_minutes(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
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


async def test_an_abandoned_attempt_is_closed_but_only_by_its_owner(
    supabase_stack: SupabaseStack,
) -> None:
    user, stranger, state = (
        await signed_in_user(supabase_stack),
        await signed_in_user(supabase_stack),
        a_state(),
    )
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


@pytest.mark.parametrize(
    ("client_id", "state"), [("12a", "0" * 64), ("1" * 21, "0" * 64), (CLIENT, "short")]
)
async def test_an_odd_client_id_or_state_begins_nothing(
    supabase_stack: SupabaseStack, client_id: str, state: str
) -> None:
    user = await signed_in_user(supabase_stack)

    with pytest.raises(APIError):
        await begin(user, state, client_id)

    assert (await account(user))["connecting"] is False


async def settle(superuser: Connection, user: SignedInUser, symbol: str, outcome: str) -> None:
    decision = await superuser.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ($1, 'BUY', 'both agree') "
        "returning id",
        symbol,
    )
    order, correlation = uuid4(), uuid4().hex[:20]
    await superuser.execute(
        "select claim_order($1, $2, $3, $4)", user.id, decision, order, correlation
    )
    await superuser.execute(
        "select record_order_outcome($1, $2, $3, $4, $5, $6)",
        *(user.id, decision, order, outcome),
        *(("112233", None) if outcome == "accepted" else (None, "quote_stale")),
    )


async def test_an_account_shows_own_orders_newest_first_with_their_decision_and_no_token(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    other, _ = await trading_user(supabase_stack)
    await settle(superuser, user, "TCS", "accepted")
    await settle(superuser, user, "INFY", "rejected")
    await settle(superuser, other, "SBIN", "accepted")

    shown = await account(user)

    assert [(order["symbol"], order["status"]) for order in shown["orders"]] == [
        ("INFY", "FAILED"),
        ("TCS", "SUCCESS"),
    ]
    assert shown["orders"][0]["failure_reason"] == "quote_stale"
    assert (shown["orders"][1]["reasoning"], shown["orders"][1]["dhan_order_id"]) == (
        "both agree",
        "112233",
    )
    assert shown["connection"]["is_trading_enabled"] is True
    assert token not in str(shown)


@pytest_asyncio.fixture
async def no_reports(supabase_stack: SupabaseStack, superuser: Connection) -> AsyncIterator[None]:
    """Nobody has reported yet; afterwards it is again as the other tests need it."""
    await superuser.execute("delete from private.platform_reports")
    yield
    await superuser.execute("delete from private.platform_reports")
    await an_order_worker_reports(supabase_stack.dsn)


async def report(
    supabase_stack: SupabaseStack, instance: str, mode: str, own_client_id: str | None = None
) -> None:
    service = await supabase_stack.service()
    said = {"p_instance": instance, "p_mode": mode, "p_own_client_id": own_client_id}
    limits = {"p_max_order_value_rupees": 50_000, "p_max_orders_per_day": 40}
    await service.rpc("report_platform", said | limits).execute()


async def test_a_user_learns_mode_and_limits_and_whether_the_order_workers_live(
    supabase_stack: SupabaseStack, superuser: Connection, no_reports: None
) -> None:
    user = await signed_in_user(supabase_stack)

    silent = (await account(user))["platform"]
    await report(supabase_stack, "one", "paper")
    paper = (await account(user))["platform"]
    await superuser.execute(
        "update private.platform_reports set reported_at = reported_at - interval '1 minute'"
    )
    gone = (await account(user))["platform"]

    assert silent is None
    assert {
        name: paper[name]
        for name in ("mode", "alive", "admits_this_account", "max_order_value_rupees")
    } == {
        "mode": "paper",
        "alive": True,
        "admits_this_account": True,
        "max_order_value_rupees": 50_000,
    }
    assert (gone["mode"], gone["alive"]) == ("paper", False)


async def test_real_money_is_never_hidden_by_paper_and_the_operators_account_stays_unknown(
    supabase_stack: SupabaseStack, no_reports: None
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()
    await report(supabase_stack, "live", "self", "5550000001")
    await report(supabase_stack, "paper", "paper")

    shown = await account(user)
    await report(supabase_stack, "live", "self", user.dhan_client_id)
    own = await account(user)

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


async def agree(user: SignedInUser, terms: object) -> object:
    return (await user.client.rpc("switch_trading_on", {"p_terms": terms}).execute()).data


async def consents(
    superuser: Connection, user: SignedInUser
) -> list[tuple[str | None, str | None, bool]]:
    query = (
        "select mode, terms ->> 'mode', ended_at is not null from private.switch_consents "
        "where user_id = $1 order by id"
    )
    return [tuple(row) for row in await superuser.fetch(query, user.id)]


async def test_nobody_switches_on_before_an_order_worker_has_told_its_mode(
    supabase_stack: SupabaseStack, superuser: Connection, no_reports: None
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()

    for attempt in (user.switch(on=True), agree(user, {"mode": "paper"}), agree(user, None)):
        with pytest.raises(APIError) as refused:
            await attempt
        assert (refused.value.code, refused.value.details) == ("P0001", "mode_unknown")

    assert (await account(user))["connection"]["is_trading_enabled"] is False
    assert await consents(superuser, user) == []


async def test_switching_on_records_the_terms_and_is_refused_when_they_are_not_those_that_hold(
    supabase_stack: SupabaseStack, superuser: Connection, no_reports: None
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()
    await report(supabase_stack, "one", "paper")
    shown = (await account(user))["platform"]
    await report(supabase_stack, "one", "self", CLIENT)

    others: list[Any] = [{}, None, []]
    for terms in (shown, *others, shown | {"mode": "family"}):
        with pytest.raises(APIError) as refused:
            await agree(user, terms)
        assert refused.value.details == "terms_changed"
    with pytest.raises(APIError) as bare:
        await user.switch(on=True)
    agreed = await agree(user, (await account(user))["platform"])

    assert bare.value.details == "terms_changed"
    assert agreed is True
    assert await consents(superuser, user) == [("self", "self", False)]


async def test_raised_limits_are_other_terms_but_a_later_sign_of_life_is_not(
    supabase_stack: SupabaseStack, superuser: Connection, no_reports: None
) -> None:
    user = await signed_in_user(supabase_stack)
    await user.connect_dhan()
    await report(supabase_stack, "one", "paper")
    shown = (await account(user))["platform"]
    await superuser.execute("update private.platform_reports set max_order_value_rupees = 60000")
    with pytest.raises(APIError) as refused:
        await agree(user, shown)
    await report(supabase_stack, "one", "paper")

    assert refused.value.details == "terms_changed"
    assert await agree(user, shown) is True


async def test_whoever_agreed_to_paper_is_switched_off_when_real_money_trades_their_account(
    supabase_stack: SupabaseStack, superuser: Connection, no_reports: None
) -> None:
    await report(supabase_stack, "one", "paper")
    told, bare, other = [await signed_in_user(supabase_stack) for _ in range(3)]
    for user in (told, bare, other):
        await user.connect_dhan()
    await agree(told, (await account(told))["platform"])
    await bare.switch(on=True)
    await other.switch(on=True)

    await report(supabase_stack, "live-of-bare", "self", bare.dhan_client_id)
    await report(supabase_stack, "live", "self", told.dhan_client_id)
    off = [await account(user) for user in (told, bare, other)]
    await agree(told, off[0]["platform"])
    await report(supabase_stack, "live", "self", told.dhan_client_id)
    still = await account(told)

    assert [(one["connection"]["is_trading_enabled"], one["mode_changed"]) for one in off] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    assert (still["connection"]["is_trading_enabled"], still["mode_changed"]) == (True, False)
    assert await consents(superuser, told) == [("paper", "paper", True), ("self", "self", False)]


async def doubt(user: SignedInUser) -> Any:
    return (await user.client.rpc("doubt_dhan_token", {}).execute()).data


async def trust(user: SignedInUser, doubted: object, minted_for: str | None = None) -> None:
    await user.client.rpc(
        "trust_dhan_token", {"p_doubt": doubted, "p_minted_for": minted_for}
    ).execute()


async def test_a_stored_token_is_in_doubt_from_the_moment_dhan_is_asked_until_a_token_is_stored(
    supabase_stack: SupabaseStack,
) -> None:
    user, stranger = await signed_in_user(supabase_stack), await signed_in_user(supabase_stack)
    await user.connect_dhan()

    first, second = await doubt(user), await doubt(user)
    await trust(user, second)
    await trust(stranger, first)
    doubted = (await account(user))["token_doubted"]
    await user.connect_dhan()
    stored = (await account(user))["token_doubted"]

    assert (doubted, stored) == (True, False)


async def test_a_token_for_another_account_ends_the_doubt_and_one_for_the_same_account_does_not(
    supabase_stack: SupabaseStack,
) -> None:
    user = await signed_in_user(supabase_stack)
    nothing_stored = await doubt(user)
    never = (await account(user))["token_doubted"]
    await trust(user, nothing_stored)
    await user.connect_dhan()

    doubted = await doubt(user)
    await trust(user, doubted, user.dhan_client_id)
    same = (await account(user))["token_doubted"]
    await trust(user, doubted, "2200000002")
    other = (await account(user))["token_doubted"]

    assert (never, same, other) == (False, True, False)

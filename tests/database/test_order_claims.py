"""At most one order per user and decision, none after the switch is off, every intent with exactly
one outcome.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgrest import APIError, ReturnMethod
from supabase import AsyncClient

from schemas.ids import DecisionId, UserId, correlation_id, order_id
from tests.database.conftest import Connection
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user, trading_user


@dataclass(frozen=True)
class Intent:
    """One (user, decision) and the executors' calls about it."""

    service: AsyncClient
    user: UUID
    decision: UUID

    @property
    def order(self) -> UUID:
        return order_id(DecisionId(self.decision), UserId(self.user))

    @property
    def name(self) -> str:
        return correlation_id(order_id(DecisionId(self.decision), UserId(self.user)))

    @property
    def terms(self) -> dict[str, str | int]:
        moment = 1_784_003_400_123_456_789  # more than a double holds
        share = {"instrument": "NSE_EQ:11536", "symbol": "TCS"}
        return {"event_time": moment, **share, "side": "BUY", "quantity": 10, "price": 350_005}

    async def _call(self, function: str, **more: object) -> Any:
        arguments = {"p_user": str(self.user), "p_decision": str(self.decision), **more}
        return (await self.service.rpc(function, arguments).execute()).data

    async def claim(self) -> Any:
        return await self._call(
            "claim_order", p_order=str(self.order), p_correlation_id=self.name, p_terms=self.terms
        )

    async def settle(
        self,
        outcome: str,
        dhan_order_id: str | None = None,
        reason: str | None = None,
        terms: dict[str, str | int] | None = None,
    ) -> Any:
        more: dict[str, Any] = {"p_outcome": outcome, "p_dhan_order_id": dhan_order_id}
        more |= {"p_reason": reason, "p_terms": terms}
        return await self._call("record_order_outcome", p_order=str(self.order), **more)

    async def reconcile(self) -> Any:
        return await self._call("reconcile_order")


@pytest_asyncio.fixture
async def service(supabase_stack: SupabaseStack) -> AsyncClient:
    return await supabase_stack.service()


async def a_decision(service: AsyncClient) -> UUID:
    row = {"id": str(uuid4()), "symbol": "TCS", "action": "BUY", "reasoning": "r"}
    await (
        service.table("trade_decisions")
        .upsert(row, ignore_duplicates=True, returning=ReturnMethod.minimal)
        .execute()
    )
    return UUID(row["id"])


async def an_intent(service: AsyncClient, user: SignedInUser) -> Intent:
    return Intent(service, user.id, await a_decision(service))


async def set_expired(superuser: Connection, user: UUID) -> None:
    expired = (
        "update user_trading_keys set token_expiry = now() - interval '1 second' where user_id = $1"
    )
    await superuser.execute(expired, user)


async def logs_of(superuser: Connection, intent: Intent) -> list[tuple[object, ...]]:
    query = (
        "select status, dhan_order_id, failure_reason from user_trade_logs where user_id = $1 "
        "and decision_id = $2"
    )
    return [tuple(row) for row in await superuser.fetch(query, intent.user, intent.decision)]


async def test_a_line_of_the_log_has_the_id_of_its_order(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    taken, refused = await an_intent(service, user), await an_intent(service, user)
    await taken.claim()
    await taken.settle("accepted", "42")
    await refused.settle("denied", reason="switched_off")

    lines = await superuser.fetch("select id from user_trade_logs where user_id = $1", user.id)

    assert {line["id"] for line in lines} == {taken.order, refused.order}


async def test_a_claim_hands_out_the_users_token(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, token = await trading_user(supabase_stack)

    claim = await (await an_intent(service, user)).claim()

    assert (claim["status"], claim["dhan_client_id"], claim["access_token"]) == (
        "claimed",
        user.dhan_client_id,
        token,
    )
    assert claim["token_expiry"].endswith("+00:00")


async def test_a_second_claim_gets_no_token(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, token = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    again = await intent.claim()

    assert token not in str(again)
    assert again.pop("age_ms") >= 0
    assert again == {
        "status": "taken", "correlation_id": intent.name, "outcome": None, "dhan_order_id": None,
        "reason": None,
        "terms": intent.terms,
    }  # fmt: skip


async def test_of_many_concurrent_claims_exactly_one_gets_the_token(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)

    claims = await asyncio.gather(*(intent.claim() for _ in range(12)))

    assert sorted(claim["status"] for claim in claims) == ["claimed", *["taken"] * 11]


async def test_the_decisions_of_one_user_and_the_users_of_one_decision_are_claimed_apart(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    (asha, _), (ravi, _) = await trading_user(supabase_stack), await trading_user(supabase_stack)
    first, second = await a_decision(service), await a_decision(service)
    intents = [
        Intent(service, user.id, decision) for user in (asha, ravi) for decision in (first, second)
    ]

    claims = await asyncio.gather(*(intent.claim() for intent in intents))

    assert {claim["status"] for claim in claims} == {"claimed"}


async def test_a_claim_is_refused_with_the_reason(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    stranger = await signed_in_user(supabase_stack)
    off = await signed_in_user(supabase_stack)
    await off.connect_dhan()
    expired, _ = await trading_user(supabase_stack)
    await set_expired(superuser, expired.id)
    tokenless, _ = await trading_user(supabase_stack)
    await superuser.execute(
        "update user_trading_keys set dhan_access_token = null where user_id = $1", tokenless.id
    )
    disconnected, _ = await trading_user(supabase_stack)
    await disconnected.client.rpc("disconnect_dhan", {}).execute()

    users = (stranger, off, expired, tokenless, disconnected)
    claims = [await (await an_intent(service, user)).claim() for user in users]

    reasons = ("no_account", "switched_off", "token_expired", "no_token", "switched_off")
    assert claims == [{"status": "refused", "reason": reason} for reason in reasons]


async def test_a_refused_claim_can_be_made_once_the_reason_is_gone(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await user.switch(on=False)
    refused = await intent.claim()
    await user.switch(on=True)

    assert (refused["status"], (await intent.claim())["status"]) == ("refused", "claimed")


async def test_a_claim_without_its_decision_or_with_an_impossible_name_is_an_error(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)

    with pytest.raises(APIError) as error:
        await Intent(service, user.id, uuid4()).claim()
    assert error.value.code == "23503"
    for name in ("", "x" * 31, "has space", None):
        arguments = {"p_user": str(user.id), "p_decision": str(uuid4()), "p_order": str(uuid4())}
        with pytest.raises(APIError) as error:
            await service.rpc("claim_order", arguments | {"p_correlation_id": name}).execute()
        assert error.value.code == "22023"


async def blocked(superuser: Connection, pid: int) -> None:
    """Return when the session `pid` waits for another's lock; it must, within ten seconds."""
    async with asyncio.timeout(10):
        while not await superuser.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_claim_that_meets_a_switch_off_waits_for_it_and_is_refused(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    switch, claim = (
        await asyncpg.connect(supabase_stack.dsn),
        await asyncpg.connect(supabase_stack.dsn),
    )
    turning_off = switch.transaction()
    await turning_off.start()
    await switch.execute(
        "update user_trading_keys set is_trading_enabled = false where user_id = $1", user.id
    )

    query = "select claim_order($1, $2, $3, $4)"
    claiming = asyncio.create_task(
        claim.fetchval(query, user.id, intent.decision, intent.order, intent.name)
    )
    await blocked(superuser, claim.get_server_pid())
    await turning_off.commit()

    assert orjson.loads(await claiming) == {"status": "refused", "reason": "switched_off"}
    await asyncio.gather(switch.close(), claim.close())


async def test_a_switch_off_that_meets_a_claim_is_done_after_it(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent, later = await an_intent(service, user), await an_intent(service, user)
    switch, claim = (
        await asyncpg.connect(supabase_stack.dsn),
        await asyncpg.connect(supabase_stack.dsn),
    )
    claiming = claim.transaction()
    await claiming.start()
    await claim.execute(
        "select claim_order($1, $2, $3, $4)", user.id, intent.decision, intent.order, intent.name
    )

    off = "update user_trading_keys set is_trading_enabled = false where user_id = $1"
    turning_off = asyncio.create_task(switch.execute(off, user.id))
    await blocked(superuser, switch.get_server_pid())
    await claiming.commit()
    await turning_off

    assert (await intent.claim())["status"] == "taken"
    assert (await later.claim())["reason"] == "switched_off"
    await asyncio.gather(switch.close(), claim.close())


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
async def test_no_claim_begun_after_the_switch_went_off_succeeds(
    supabase_stack: SupabaseStack, seed: int
) -> None:
    chance = random.Random(seed)
    service = await supabase_stack.service()
    user, _ = await trading_user(supabase_stack)
    intents = await asyncio.gather(*(an_intent(service, user) for _ in range(10)))
    is_off = False

    async def claim(intent: Intent) -> tuple[bool, str]:
        await asyncio.sleep(chance.random() / 50)
        begun_after = is_off
        return begun_after, (await intent.claim())["status"]

    async def switch_off() -> None:
        nonlocal is_off
        await asyncio.sleep(chance.random() / 50)
        await user.switch(on=False)
        is_off = True

    claims = asyncio.gather(*(claim(intent) for intent in intents))
    await switch_off()
    outcomes = [*await claims, *[(True, (await intent.claim())["status"]) for intent in intents]]

    firsts = outcomes[: len(intents)]
    assert not [status for begun_after, status in firsts if begun_after and status == "claimed"]
    assert "claimed" not in [status for _, status in outcomes[len(intents) :]]


@pytest.mark.parametrize(
    ("given", "log"),
    [
        (("accepted", "112111182045", None), ("SUCCESS", "112111182045", None)),
        (("rejected", "112111182045", "DH-906"), ("FAILED", "112111182045", "DH-906")),
        (("rejected", None, None), ("FAILED", None, "rejected")),
        (("not_found", None, ""), ("FAILED", None, "not_found")),
        (("denied", None, "decision_expired"), ("FAILED", None, "decision_expired")),
    ],
)
async def test_settling_writes_the_one_log_row(
    supabase_stack: SupabaseStack,
    superuser: Connection,
    given: tuple[str, str | None, str | None],
    log: tuple[object, ...],
) -> None:
    outcome, dhan_order_id, reason = given
    service = await supabase_stack.service()
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    settled = await intent.settle(outcome, dhan_order_id, reason)

    told = {
        "outcome": outcome,
        "dhan_order_id": dhan_order_id,
        "reason": reason,
        "terms": intent.terms,
    }
    assert settled == {"first": True} | told
    assert await logs_of(superuser, intent) == [log]
    executed = await superuser.fetchval(
        "select is_executed from trade_decisions where id = $1", intent.decision
    )
    assert executed is (outcome == "accepted")


async def test_the_first_settlement_stands_and_later_ones_get_it_back(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    await intent.settle("accepted", "42")
    again = [await intent.settle("accepted", "42"), await intent.settle("rejected", None, "late")]

    told = {"outcome": "accepted", "dhan_order_id": "42", "reason": None, "terms": intent.terms}
    assert again == [{"first": False} | told] * 2
    assert await logs_of(superuser, intent) == [("SUCCESS", "42", None)]


async def test_of_many_concurrent_settlements_exactly_one_is_first_and_all_agree(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    settled = await asyncio.gather(
        *(intent.settle("accepted", str(number)) for number in range(1, 9))
    )

    assert sum(answer.pop("first") for answer in settled) == 1
    assert all(answer == settled[0] for answer in settled)
    assert len(await logs_of(superuser, intent)) == 1


async def test_a_denial_needs_no_claim_and_blocks_one(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)

    settled = await intent.settle("denied", None, "quote_stale")
    claim = await intent.claim()

    assert settled["first"]
    assert (claim["status"], claim["outcome"], claim["reason"]) == (
        "taken",
        "denied",
        "quote_stale",
    )
    assert await logs_of(superuser, intent) == [("FAILED", None, "quote_stale")]


async def test_a_denial_by_who_never_claimed_leaves_anothers_claim_open(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    late = await intent.settle("denied", None, "token_expired", terms=intent.terms)

    assert (late["first"], late["outcome"]) == (False, None)
    assert (await intent.reconcile())["status"] == "open"
    assert await logs_of(superuser, intent) == []


async def test_a_denial_and_a_claim_at_the_same_moment_agree(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    for _ in range(8):
        intent = await an_intent(service, user)

        claim, denial = await asyncio.gather(
            intent.claim(), intent.settle("denied", None, "quote_stale")
        )

        assert claim["status"] in {"claimed", "taken"}
        assert denial["first"]
        assert (await intent.reconcile())["outcome"] == "denied"
        assert len(await logs_of(superuser, intent)) == 1


@pytest.mark.parametrize(
    ("outcome", "dhan_order_id"),
    [("accepted", "42"), ("rejected", None), ("not_found", None), ("unknown", None)],
)
async def test_an_order_nobody_claimed_cannot_have_reached_the_broker(
    supabase_stack: SupabaseStack, service: AsyncClient, outcome: str, dhan_order_id: str | None
) -> None:
    user, _ = await trading_user(supabase_stack)

    with pytest.raises(APIError) as error:
        await (await an_intent(service, user)).settle(outcome, dhan_order_id)

    assert error.value.code == "22023"


async def test_an_accepted_order_without_its_number_is_refused_and_stays_open(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    with pytest.raises(APIError) as error:
        await intent.settle("accepted")

    assert error.value.code == "23514"
    assert (await intent.reconcile())["status"] == "open"


async def test_an_outcome_under_another_order_id_is_refused(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()
    arguments = {
        "p_user": str(user.id),
        "p_decision": str(intent.decision),
        "p_order": str(uuid4()),
    }

    with pytest.raises(APIError, match="belong to order"):
        await service.rpc("record_order_outcome", arguments | {"p_outcome": "denied"}).execute()

    assert (await intent.reconcile())["status"] == "open"


async def test_reconciling_works_while_the_switch_is_off_but_not_with_a_dead_token(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    absent = await intent.reconcile()
    await intent.claim()
    await user.switch(on=False)

    opened = await intent.reconcile()
    await set_expired(superuser, user.id)
    expired = await intent.reconcile()
    await user.client.rpc("disconnect_dhan", {}).execute()
    disconnected = await intent.reconcile()
    await intent.settle("not_found", None, "never arrived")
    settled = await intent.reconcile()

    assert absent == {"status": "absent"}
    assert (opened["status"], opened["access_token"], opened["correlation_id"]) == (
        "open",
        token,
        intent.name,
    )
    assert expired == {"status": "refused", "reason": "token_expired"}
    assert disconnected == {"status": "refused", "reason": "no_token"}
    assert (settled["status"], settled["outcome"], settled["reason"]) == (
        "settled",
        "not_found",
        "never arrived",
    )


async def test_an_order_is_left_unresolved_only_while_its_claim_is_open(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    absent, settled, unresolved = [await an_intent(service, user) for _ in range(3)]
    for intent in (settled, unresolved):
        await intent.claim()
    await settled.settle("accepted", "42")

    said = [await left(service, intent) for intent in (absent, settled, unresolved, unresolved)]

    assert [each["status"] for each in said] == ["absent", "settled", "left", "left"]
    assert (said[1]["outcome"], said[1]["dhan_order_id"]) == ("accepted", "42")


async def left(service: AsyncClient, intent: Intent) -> dict[str, Any]:
    of = {"p_user": str(intent.user), "p_decision": str(intent.decision)}
    answer: Any = await service.rpc(
        "leave_order", of | {"p_intent": "{}", "p_partition": 1, "p_place": 7}
    ).execute()
    return dict(answer.data)


async def test_every_hand_out_of_a_token_is_audited_without_it(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, token = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()
    await intent.claim()
    await intent.reconcile()

    query = (
        "select action, decision_id, actor_role, key_audit::text as whole from "
        "private.key_audit where user_id = $1"
    )
    rows = await superuser.fetch(f"{query} and action <> 'stored' order by id", user.id)

    assert [(row["action"], row["decision_id"], row["actor_role"]) for row in rows] == [
        ("claimed", intent.decision, "service_role"),
        ("reconciled", intent.decision, "service_role"),
    ]
    assert not [row for row in rows if token in row["whole"]]

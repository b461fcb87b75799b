"""What was recorded stays, what is known later is appended, and everybody is shown the latter."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from postgrest import APIError
from supabase import AsyncClient

from tests.database.conftest import Connection
from tests.database.fixtures import SignedInUser, SupabaseStack, trading_user
from tests.database.test_order_claims import Intent, an_intent, logs_of

BY_HAND = {"p_reason": "seen in Dhan's order book", "p_by": "Asha"}


@pytest_asyncio.fixture
async def service(supabase_stack: SupabaseStack) -> AsyncClient:
    return await supabase_stack.service()


async def call(service: AsyncClient, function: str, **arguments: object) -> Any:
    return (await service.rpc(function, arguments).execute()).data


def an_account() -> str:
    """A Dhan client id that no other test uses."""
    return f"30{uuid4().int % 10**10:010}"


async def account_of(user: SignedInUser) -> str:
    account = await call(user.client, "own_account")
    return str(account["connection"]["client_id"])


async def correct(intent: Intent, outcome: str, number: str | None = None, **changes: str) -> Any:
    arguments = {
        "p_user": str(intent.user),
        "p_decision": str(intent.decision),
        "p_order": str(intent.order),
        "p_outcome": outcome,
        "p_dhan_order_id": number,
        "p_reason": "found_late: in the book",
    }
    return await call(intent.service, "correct_order", **(arguments | changes))


async def settled(
    service: AsyncClient, user: SignedInUser, outcome: str, number: str | None = None
) -> Intent:
    intent = await an_intent(service, user)
    await intent.claim()
    await intent.settle(outcome, number, None if outcome == "accepted" else outcome)
    return intent


async def rows_of(superuser: Connection, intent: Intent) -> list[tuple[object, ...]]:
    query = (
        "select nth, from_outcome, outcome, dhan_order_id, corrected_by from "
        "private.order_corrections"
        " where order_id = $1 order by nth"
    )
    return [tuple(row) for row in await superuser.fetch(query, intent.order)]


async def test_a_claim_is_looked_up_with_its_own_account_only(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()

    first = await account_of(user)
    await user.connect_dhan(client_id=an_account(), token="token-of-another-account")
    other = await intent.reconcile()
    await user.connect_dhan(client_id=first, token="token-of-the-first-account")
    own = await intent.reconcile()

    assert other == {"status": "refused", "reason": "other_account"}
    assert (own["status"], own["access_token"]) == ("open", "token-of-the-first-account")


async def test_a_correction_told_many_times_at_once_is_one_row_and_the_log_stays(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await settled(service, user, "not_found")

    answers = await asyncio.gather(*(correct(intent, "accepted", "77") for _ in range(8)))

    assert sorted(answer["status"] for answer in answers) == ["corrected", *["stands"] * 7]
    assert {answer["dhan_order_id"] for answer in answers} == {"77"}
    assert await rows_of(superuser, intent) == [(1, "not_found", "accepted", "77", None)]
    assert await logs_of(superuser, intent) == [("FAILED", None, "not_found")]


async def test_what_an_order_worker_saw_a_while_ago_takes_nothing_back(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await settled(service, user, "not_found")
    await correct(intent, "accepted", "78")
    await correct(intent, "rejected", "78")

    late = [await correct(intent, "accepted", "78"), await correct(intent, "not_found")]

    assert [answer["status"] for answer in late] == ["stands", "stands"]
    assert [row[1:3] for row in await rows_of(superuser, intent)] == [
        ("not_found", "accepted"),
        ("accepted", "rejected"),
    ]


@pytest.mark.parametrize(
    ("outcome", "status"), [(None, "open"), ("denied", "never_sent"), ("rejected", "stands")]
)
async def test_an_order_worker_corrects_no_order_that_is_open_denied_or_rejected(
    supabase_stack: SupabaseStack,
    service: AsyncClient,
    superuser: Connection,
    outcome: str | None,
    status: str,
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await an_intent(service, user)
    await intent.claim()
    if outcome:
        await intent.settle(outcome, reason="r")

    assert (await correct(intent, "accepted", "79"))["status"] == status
    assert await rows_of(superuser, intent) == []


async def test_a_correction_names_the_order_it_is_about(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await settled(service, user, "not_found")

    with pytest.raises(APIError, match="belong to order"):
        await correct(intent, "accepted", "80", p_order=str(uuid4()))
    with pytest.raises(APIError, match="not an outcome"):
        await correct(intent, "denied")
    with pytest.raises(APIError, match="accepted_has_an_order"):
        await correct(intent, "accepted")


async def test_corrections_and_settlements_by_hand_cannot_be_changed_even_by_the_owner(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    await correct(await settled(service, user, "not_found"), "accepted", "81")
    await settled_by_hand(service, superuser, await an_open_claim(service, user), "not_found")

    for statement in (
        "update private.order_corrections set outcome = 'rejected'",
        "delete from private.order_corrections",
        "update private.hand_settlements set settled_by = 'somebody else'",
        "delete from private.hand_settlements",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="evidence"):
            await superuser.execute(statement)


async def test_a_user_is_shown_what_is_known_now_and_that_it_was_corrected(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    (mine, _), (theirs, _) = [await trading_user(supabase_stack) for _ in range(2)]
    await settled(service, mine, "accepted", "82")
    found = await settled(service, mine, "not_found")
    rejected = await settled(service, mine, "accepted", "84")
    await correct(found, "accepted", "83")
    await correct(rejected, "rejected", p_reason="REJECTED: RMS: margin exceeds")
    await correct(await settled(service, theirs, "not_found"), "accepted", "85")

    account = await call(mine.client, "own_account")

    shown = [
        (o["status"], o["dhan_order_id"], o["failure_reason"], o["corrected_at"] is not None)
        for o in account["orders"]
    ]
    assert shown == [
        ("FAILED", "84", "REJECTED: RMS: margin exceeds", True),
        ("SUCCESS", "83", None, True),
        ("SUCCESS", "82", None, False),
    ]


async def test_a_correction_waits_to_be_published_until_somebody_says_it_is(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await settled(service, user, "not_found")
    await correct(intent, "accepted", "86")

    async def waiting() -> list[Any]:
        rows = await call(service, "unpublished_corrections", p_limit=1_000)
        return [row for row in rows if row["order_id"] == str(intent.order)]

    (row,) = await waiting()
    key = {"p_user": str(intent.user), "p_decision": str(intent.decision)}
    await call(service, "correction_published", **key, p_nth=1)

    assert (row["nth"], row["outcome"], row["dhan_order_id"]) == (1, "accepted", "86")
    assert row["terms"] == intent.terms
    assert await waiting() == []


async def test_one_check_of_a_user_begins_in_an_interval_and_another_when_they_connect_anew(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, token = await trading_user(supabase_stack)
    intent = await settled(service, user, "accepted", "87")

    async def begin() -> Any:
        return await call(service, "begin_order_check", p_user=str(user.id), p_interval_ms=60_000)

    begun = await asyncio.gather(*(begin() for _ in range(6)))
    await user.connect_dhan()
    anew = await begin()

    (first,) = [answer for answer in begun if answer["status"] == "begun"]
    assert first["access_token"] == token
    assert [order["order_id"] for order in first["orders"]] == [str(intent.order)]
    assert [a for a in begun if a is not first] == [{"status": "not_due"}] * 5
    assert anew["status"] == "begun"


async def an_open_claim(service: AsyncClient, user: SignedInUser) -> Intent:
    intent = await an_intent(service, user)
    await intent.claim()
    return intent


async def settled_by_hand(
    service: AsyncClient,
    superuser: Connection,
    intent: Intent,
    outcome: str,
    number: str | None = None,
    *,
    age: float = 11.0,
) -> Any:
    """Settle a claim that is `age` seconds old."""
    older = (
        "update private.order_claims set claimed_at = claimed_at - $2::interval where order_id = $1"
    )
    await superuser.execute(older, intent.order, timedelta(seconds=age))
    more = {"p_outcome": outcome, "p_dhan_order_id": number, "p_min_age_ms": 10_000}
    return await call(service, "settle_claim_by_hand", p_order=str(intent.order), **more, **BY_HAND)


async def test_a_claim_settled_by_hand_says_who_and_why_and_is_logged_as_any_other(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    found, absent = [await an_open_claim(service, user) for _ in range(2)]

    answers = [
        await settled_by_hand(service, superuser, found, "accepted", "88"),
        await settled_by_hand(service, superuser, absent, "not_found"),
    ]

    assert [answer["status"] for answer in answers] == ["settled", "settled"]
    assert await logs_of(superuser, found) == [("SUCCESS", "88", None)]
    assert await logs_of(superuser, absent) == [
        ("FAILED", None, "by_hand: seen in Dhan's order book")
    ]
    query = "select settled_by, outcome, reason from private.hand_settlements where order_id = $1"
    (row,) = await superuser.fetch(query, found.order)
    assert tuple(row) == ("Asha", "accepted", "seen in Dhan's order book")


async def test_a_person_overwrites_nothing_and_waits_for_the_lease(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    taken = await settled(service, user, "accepted", "89")
    young, unknown = await an_open_claim(service, user), Intent(service, user.id, uuid4())
    denied = await an_intent(service, user)
    await denied.settle("denied", None, "quote_stale")

    answers = [
        await settled_by_hand(service, superuser, taken, "rejected"),
        await settled_by_hand(service, superuser, young, "not_found", age=0),
        await settled_by_hand(service, superuser, unknown, "not_found"),
        await settled_by_hand(service, superuser, denied, "accepted", "90"),
    ]

    assert [answer["status"] for answer in answers] == ["taken", "young", "absent", "taken"]
    assert (answers[0]["outcome"], answers[0]["dhan_order_id"]) == ("accepted", "89")
    assert await logs_of(superuser, taken) == [("SUCCESS", "89", None)]
    audited = "select count(*) from private.hand_settlements where user_id = $1"
    assert await superuser.fetchval(audited, user.id) == 0


async def test_a_person_corrects_in_any_direction_and_once(
    supabase_stack: SupabaseStack, service: AsyncClient, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    intent = await settled(service, user, "rejected")

    async def by_hand(outcome: str, number: str | None = None) -> str:
        more = {"p_outcome": outcome, "p_dhan_order_id": number}
        answer = await call(
            service, "correct_order_by_hand", p_order=str(intent.order), **more, **BY_HAND
        )
        return str(answer["status"])

    said = [
        await by_hand("accepted", "90"),
        await by_hand("accepted", "90"),
        await by_hand("not_found"),
    ]

    assert said == ["corrected", "stands", "corrected"]
    assert await rows_of(superuser, intent) == [
        (1, "rejected", "accepted", "90", "Asha"),
        (2, "accepted", "not_found", None, "Asha"),
    ]


async def test_open_claims_are_listed_with_the_reason_and_without_a_token(
    supabase_stack: SupabaseStack, service: AsyncClient
) -> None:
    user, token = await trading_user(supabase_stack)
    intent = await an_open_claim(service, user)

    async def listed() -> Any:
        rows = await call(service, "list_open_claims")
        (row,) = [row for row in rows if row["order_id"] == str(intent.order)]
        return row

    before = await listed()
    first = await account_of(user)
    await user.connect_dhan(client_id=an_account())
    after = await listed()
    await intent.settle("not_found", reason="r")

    assert (before["symbol"], before["side"], before["quantity"]) == ("TCS", "BUY", 10)
    assert (before["dhan_client_id"], before["refusal"]) == (first, None)
    assert after["refusal"] == "other_account"
    assert token not in str(before)
    assert UUID(before["user_id"]) == user.id

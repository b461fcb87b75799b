"""A batch of claims, or of outcomes, has the answers that its parts would have one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from tests.database.conftest import Connection
from tests.database.fixtures import SupabaseStack, trading_user

TERMS = {
    "event_time": 1,
    "instrument": "NSE_EQ:2885",
    "symbol": "RELIANCE",
    "side": "BUY",
    "quantity": 10,
    "price": 150_000,
    "evidence": {"asked_quantity": 10},
}


async def a_decision(superuser: Connection) -> UUID:
    decision = uuid4()
    await superuser.execute(
        "insert into public.trade_decisions (id, symbol, action, reasoning) "
        "values ($1, 'RELIANCE', 'BUY', 'because')",
        decision,
    )
    return decision


def claim(user: UUID, decision: UUID, **changes: Any) -> dict[str, Any]:
    order = uuid4()
    return {
        "p_user": str(user),
        "p_decision": str(decision),
        "p_order": str(order),
        "p_correlation_id": order.hex[:25],
        "p_terms": TERMS,
        "p_closes": False,
    } | changes


def outcome(of: dict[str, Any], **changes: Any) -> dict[str, Any]:
    names = {name: of[name] for name in ("p_user", "p_decision", "p_order")}
    recorded = {"p_outcome": "accepted", "p_dhan_order_id": "42", "p_reason": None}
    return names | recorded | changes


async def batch(connection: Connection, function: str, parts: list[dict[str, Any]]) -> list[Any]:
    answer = await connection.fetchval(f"select {function}($1)", orjson.dumps(parts).decode())
    answers: list[Any] = orjson.loads(answer)
    return answers


async def test_each_user_of_a_batch_gets_the_answer_of_a_single_claim(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    (one, token), (off, _) = [await trading_user(supabase_stack) for _ in range(2)]
    await off.switch(on=False)
    decision = await a_decision(superuser)
    mine = claim(one.id, decision)

    claimed, refused, again, differs = await batch(
        superuser,
        "claim_orders",
        [
            mine,
            claim(off.id, decision),
            mine,
            claim(one.id, await a_decision(superuser), p_terms=TERMS | {"symbol": "TCS"}),
        ],
    )

    assert (claimed["status"], claimed["access_token"]) == ("claimed", token)
    assert refused == {"status": "refused", "reason": "switched_off"}
    assert (again["status"], again["outcome"]) == ("taken", None)
    assert differs["status"] == "differs"


@pytest.mark.parametrize(
    "held",
    [
        "select 1 from public.user_trading_keys where user_id = $1 for update",
        "select pg_advisory_xact_lock(hashtextextended($1::uuid::text || $2::text, 0))",
        "select pg_advisory_xact_lock(private.halt_key($1))",
    ],
    ids=["keys", "pair", "halt"],
)
async def test_whoever_is_held_up_is_busy_and_delays_nobody_else(
    supabase_stack: SupabaseStack, superuser: Connection, held: str
) -> None:
    (one, _), (other, _) = [await trading_user(supabase_stack) for _ in range(2)]
    decision = await a_decision(superuser)
    holder = await asyncpg.connect(supabase_stack.dsn)
    try:
        async with holder.transaction():
            await holder.execute(held, *(one.id, str(decision))[: held.count("$")])

            answers = await batch(
                superuser, "claim_orders", [claim(one.id, decision), claim(other.id, decision)]
            )
    finally:
        await holder.close()

    assert [answer["status"] for answer in answers] == ["busy", "claimed"]


async def test_outcomes_of_a_batch_are_recorded_each_with_its_judgement(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    users = [await trading_user(supabase_stack) for _ in range(2)]
    decision = await a_decision(superuser)
    claims = [claim(user.id, decision) for user, _ in users]
    await batch(superuser, "claim_orders", claims)

    answers = await batch(
        superuser,
        "record_order_outcomes",
        [outcome(each, p_judgement={"tries": n}) for n, each in enumerate(claims, 1)],
    )

    assert [answer["first"] for answer in answers] == [True, True]
    judged = [answer["terms"]["evidence"]["judgement"]["tries"] for answer in answers]
    assert judged == [1, 2]
    logged = await superuser.fetchval(
        "select count(*) from public.user_trade_logs where decision_id = $1", decision
    )
    assert logged == 2


async def test_an_outcome_whose_order_somebody_holds_is_busy_and_not_recorded(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    users = [await trading_user(supabase_stack) for _ in range(2)]
    decision = await a_decision(superuser)
    claims = [claim(user.id, decision) for user, _ in users]
    await batch(superuser, "claim_orders", claims)
    holder = await asyncpg.connect(supabase_stack.dsn)
    try:
        async with holder.transaction():
            await holder.execute(
                "select pg_advisory_xact_lock(hashtextextended($1::text || $2::text, 0))",
                str(users[0][0].id),
                str(decision),
            )

            answers = await batch(superuser, "record_order_outcomes", list(map(outcome, claims)))
    finally:
        await holder.close()

    assert answers[0] == {"status": "busy"}
    assert answers[1]["first"] is True


async def test_one_part_that_cannot_be_takes_the_whole_batch_back(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    user, _ = await trading_user(supabase_stack)
    decision = await a_decision(superuser)
    good = claim(user.id, decision)

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await batch(superuser, "claim_orders", [good, claim(user.id, uuid4())])

    (answer,) = await batch(superuser, "claim_orders", [good])
    assert answer["status"] == "claimed"


async def test_an_outcome_and_its_judgement_change_the_claim_s_row_once(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    (user, _), decision = await trading_user(supabase_stack), await a_decision(superuser)
    mine = claim(user.id, decision)
    await batch(superuser, "claim_orders", [mine])

    async with superuser.transaction():
        (told,) = await batch(
            superuser, "record_order_outcomes", [outcome(mine, p_judgement={"tries": 1})]
        )
        changed = await superuser.fetchval(
            "select n_tup_upd from pg_stat_xact_all_tables where relname = 'order_claims'"
        )

    assert told["terms"]["evidence"]["judgement"] == {"tries": 1}
    assert changed == 1

"""What batches and the digest of the keys promise, as `tests.database.adversary` has it.

Who is held up by another connection is tried in `test_batched_claims.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Scene

BATCHES: Final = {"claim_orders", "record_order_outcomes"}
SERVICE: Final = BATCHES | {
    *("record_order_outcome", "record_judged_outcome"),
    "trading_keys_digest",
}
INNER: Final = {"take_claim_locks", "refuse_long_batch", "record_outcome"}
TERMS: Final = {
    "event_time": 1,
    "instrument": "NSE_EQ:2885",
    "symbol": "TCS",
    "side": "BUY",
    "quantity": 1,
    "price": 1,
    "evidence": {},
}


async def batches_are_for_the_service(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, proname from pg_proc where proname = any ($1)) "
        "select proname, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        SERVICE | INNER,
        ("public", *ROLES),
    )
    settings = await scene.sql.fetch(
        "select proname, prosecdef, coalesce(array_to_string(proconfig, ' '), '') as settings "
        "from pg_proc where proname = any ($1)",
        SERVICE | INNER,
    )

    assert {tuple(row) for row in rows} == {(name, "service_role") for name in SERVICE}
    assert {row["proname"] for row in settings if row["prosecdef"]} == SERVICE
    assert [row["proname"] for row in settings if 'search_path=""' not in row["settings"]] == []


async def a_batch_claims_and_records_for_each(scene: Scene) -> None:
    decision = await _decision(scene)
    claims = [_claim(user, decision) for user in (scene.mine, scene.theirs)]

    outcomes = [
        {name: one[name] for name in ("p_user", "p_decision", "p_order")}
        | {"p_outcome": "accepted", "p_dhan_order_id": "1", "p_judgement": {"tries": 1}}
        for one in claims
    ]

    claimed, told = [
        orjson.loads(await scene.service(f"select {function}($1)", _written(parts)))
        for function, parts in (("claim_orders", claims), ("record_order_outcomes", outcomes))
    ]

    assert [answer["status"] for answer in claimed] == ["claimed", "claimed"]
    evidence = [(answer.get("terms") or {}).get("evidence", {}) for answer in told]
    assert evidence == 2 * [{"judgement": {"tries": 1}}]


async def a_batch_is_a_short_list(scene: Scene) -> None:
    for function in sorted(BATCHES):
        for batch in ("{}", None, _written([_claim(scene.mine, uuid4())] * 101)):
            call = scene.service(f"select {function}($1)", batch)
            await scene.refuses(asyncpg.InvalidParameterValueError, call)


async def an_outcome_is_one_of_a_claim(scene: Scene) -> None:
    mine = _claim(scene.mine, await _decision(scene))
    await scene.service("select claim_orders($1)", _written([mine]))
    unclaimed = _claim(scene.mine, await _decision(scene))

    for wrong in (
        mine | {"p_outcome": "filled"},
        mine | {"p_order": str(uuid4())},
        unclaimed | {"p_outcome": "accepted"},
    ):
        outcome = {"p_outcome": "accepted", "p_dhan_order_id": "1"} | wrong
        del outcome["p_terms"]
        call = scene.service("select record_order_outcomes($1)", _written([outcome]))
        await scene.refuses(asyncpg.InvalidParameterValueError, call)


async def an_outcome_is_logged_whoever_records_it(scene: Scene) -> None:
    for function, last in (
        ("record_order_outcome", "null"),
        ("record_judged_outcome", "'{\"tries\": 1}'"),
    ):
        mine = _claim(scene.mine, await _decision(scene))
        await scene.service("select claim_orders($1)", _written([mine]))

        ids = [UUID(mine[name]) for name in ("p_user", "p_decision", "p_order")]
        await scene.service(f"select {function}($1, $2, $3, 'accepted', '1', null, {last})", *ids)

        logged = await scene.sql.fetchval(
            "select status from user_trade_logs where decision_id = $1", ids[1]
        )
        assert logged == "SUCCESS"


def _decision(scene: Scene) -> Awaitable[UUID]:
    return scene.sql.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
        "returning id"
    )


def _claim(user: UUID, decision: UUID) -> dict[str, Any]:
    order = uuid4()
    return {
        "p_user": str(user),
        "p_decision": str(decision),
        "p_order": str(order),
        "p_correlation_id": order.hex[:25],
        "p_terms": TERMS,
    }


def _written(parts: list[dict[str, Any]]) -> str:
    return orjson.dumps(parts).decode()


CHECKS: Final[tuple[Check, ...]] = (
    batches_are_for_the_service,
    a_batch_claims_and_records_for_each,
    a_batch_is_a_short_list,
    an_outcome_is_one_of_a_claim,
    an_outcome_is_logged_whoever_records_it,
)

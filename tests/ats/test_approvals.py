"""`ats approvals` as a person types it, against our migrations on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio

from ats.commands.approvals import answer, list_approvals, switch_off, switch_on
from schemas.codec import encode
from schemas.errors import Misconfigured
from schemas.messages import Decision
from tests.ats.test_claims import environment
from tests.database.fixtures import SupabaseStack
from tests.executors.factories import a_decision


class Waiting:
    """Leaves decisions as an order worker does."""

    def __init__(self, stack: SupabaseStack) -> None:
        self._stack = stack

    async def leave(self) -> Decision:
        decision = a_decision()
        service = await self._stack.service()
        row = {"id": str(decision.id), "symbol": "RELIANCE", "action": "BUY", "reasoning": "r"}
        await service.table("trade_decisions").insert(row).execute()
        left = {"p_record": encode(decision).decode(), "p_partition": 0, "p_place": 1}
        left |= {"p_decision": str(decision.id), "p_published_at": 1, "p_exits": []}
        left |= {"p_users": 3, "p_value_paise": 4_500_000, "p_left_ms": 60_000}
        await service.rpc("leave_decision", left).execute()
        await service.postgrest.aclose()
        return decision


@pytest_asyncio.fixture
async def waiting(
    supabase_stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Waiting]:
    for name, value in environment(supabase_stack).items():
        monkeypatch.setenv(name, value)
    await switch_on(seconds=60, reason="expiry day", by="Asha")
    yield Waiting(supabase_stack)
    await switch_off(reason="over", by="Asha")
    sql = await asyncpg.connect(supabase_stack.dsn)
    await sql.execute("update private.approvals set told_at = now() where told_at is null")
    await sql.close()


async def listed(capsys: pytest.CaptureFixture[str], decision: Decision) -> dict[str, Any]:
    capsys.readouterr()
    await list_approvals()
    rows = map(orjson.loads, capsys.readouterr().out.splitlines())
    (row,) = (row for row in rows if row["decision_id"] == str(decision.id))
    return dict(row)


async def test_a_decision_is_listed_approved_and_refused_by_name(
    waiting: Waiting, capsys: pytest.CaptureFixture[str]
) -> None:
    approved, refused = await waiting.leave(), await waiting.leave()
    before = await listed(capsys, approved)

    await answer(str(approved.id), yes=True, reason="", by="Asha")
    await answer(str(refused.id), yes=False, reason="thin", by="Bimal")

    assert (before["symbol"], before["users"], before["answer"]) == ("RELIANCE", 3, None)
    told = [await listed(capsys, decision) for decision in (approved, refused)]
    assert [(row["answer"], row["answered_by"], row["answer_reason"]) for row in told] == [
        ("yes", "Asha", None),
        ("no", "Bimal", "thin"),
    ]


async def test_what_cannot_be_answered_is_said(waiting: Waiting) -> None:
    decision = await waiting.leave()
    await answer(str(decision.id), yes=False, reason="", by="Asha")

    with pytest.raises(Misconfigured, match="Asha was first: refused"):
        await answer(str(decision.id), yes=True, reason="", by="Bimal")
    with pytest.raises(Misconfigured, match="no such decision waits"):
        await answer(str(uuid4()), yes=True, reason="", by="Bimal")
    with pytest.raises(Misconfigured, match="is no decision's id"):
        await answer("RELIANCE", yes=True, reason="", by="Bimal")
    with pytest.raises(Misconfigured, match="--by needs words"):
        await answer(str(decision.id), yes=True, reason="", by=" ")
    with pytest.raises(Misconfigured, match="is not 10 to 300"):
        await switch_on(seconds=9, reason="r", by="Asha")

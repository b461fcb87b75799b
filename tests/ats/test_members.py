"""`ats members` as a person types it, against our migrations on Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio

from ats.commands.members import Declaration, add, list_members, remove
from schemas.errors import Misconfigured
from tests.ats.test_claims import environment
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user

TODAY = date(2026, 11, 20)


@pytest_asyncio.fixture
async def spouse(
    supabase_stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SignedInUser]:
    for name, value in environment(supabase_stack).items():
        monkeypatch.setenv(name, value)
    person = await signed_in_user(supabase_stack)
    yield person
    connection = await asyncpg.connect(supabase_stack.dsn)
    await connection.execute(  # for the next test on the same database: there is one spouse
        "update family_members set ended_at = now(), ended_by = 'x', end_reason = 'over' "
        "where ended_at is null"
    )
    await connection.close()


def declaration(person: SignedInUser, **changes: str) -> Declaration:
    said = {"user": str(person.id), "account": person.dhan_client_id, "relation": "spouse"}
    said |= {"consent": "signed letter, folder 3", "address": "203.0.113.7", "by": "Asha"} | changes
    consented = date.fromisoformat(said.pop("consented_on", "2026-11-01"))
    who = (said.pop("user"), said.pop("account"), said.pop("relation"))
    return Declaration.of(*who, consented_on=consented, today=TODAY, **said)


async def listed(capsys: pytest.CaptureFixture[str], *, ended: bool = False) -> list[str]:
    capsys.readouterr()
    await list_members(ended=ended)
    rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [row["dhan_client_id"] for row in rows if row["end_reason"] in (None, "they moved out")]


async def test_a_member_is_declared_listed_and_removed(
    spouse: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await add(declaration(spouse))
    said = capsys.readouterr().out
    declared = await listed(capsys)
    await remove(spouse.dhan_client_id, reason="they moved out", by="Asha")
    removed, kept = await listed(capsys), await listed(capsys, ended=True)

    assert f"account {spouse.dhan_client_id}" in said
    assert "203.0.113.7" in said
    assert (declared, removed) == ([spouse.dhan_client_id], [])
    assert spouse.dhan_client_id in kept


async def test_what_the_database_refuses_is_said_with_what_to_do(spouse: SignedInUser) -> None:
    with pytest.raises(Misconfigured, match="sign up on the page first"):
        await add(declaration(spouse, user=str(uuid4())))
    await add(declaration(spouse))

    with pytest.raises(Misconfigured, match="members remove"):
        await add(declaration(spouse))
    with pytest.raises(Misconfigured, match="not declared"):
        await remove("1199999999", reason="none", by="Asha")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"user": "Asha"}, "no user id"),
        ({"account": "12a4"}, "4 to 20 digits"),
        ({"relation": "cousin"}, "self, spouse, dependent_child, dependent_parent"),
        ({"consented_on": "2026-11-21"}, "still to come"),
        ({"consent": " "}, "need words"),
        ({"by": "\n"}, "need words"),
        ({"address": "203.0.113.0/24"}, "no IP address"),
    ],
)
def test_what_is_no_declaration_is_refused_by_name(changes: dict[str, str], why: str) -> None:
    person = SignedInUser(uuid4(), "", None)  # type: ignore[arg-type]  # nobody signs in

    with pytest.raises(Misconfigured, match=why):
        declaration(person, **changes)

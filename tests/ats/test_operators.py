"""`ats operators` as a person types it, against our migrations on Postgres."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from ats.commands.operators import add, list_actions, list_operators, remove
from schemas.errors import Misconfigured
from tests.ats.test_claims import environment
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user


@pytest_asyncio.fixture
async def person(supabase_stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch) -> SignedInUser:
    for name, value in environment(supabase_stack).items():
        monkeypatch.setenv(name, value)
    return await signed_in_user(supabase_stack)


def printed(capsys: pytest.CaptureFixture[str], person: SignedInUser) -> list[dict[str, Any]]:
    rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [row for row in rows if row["user_id"] == str(person.id)]


async def test_an_operator_is_added_listed_and_removed(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await add(str(person.id), name="Asha", by="Bimal")
    capsys.readouterr()
    await list_operators(removed=False)
    added = printed(capsys, person)
    await remove(str(person.id), reason="left", by="Bimal")
    capsys.readouterr()
    await list_operators(removed=False)
    after = printed(capsys, person)
    await list_operators(removed=True)
    kept = printed(capsys, person)

    assert [(row["name"], row["added_by"], row["removed_at"]) for row in added] == [
        ("Asha", "Bimal", None)
    ]
    assert after == []
    assert [(row["removed_by"], row["remove_reason"]) for row in kept] == [("Bimal", "left")]


async def test_what_cannot_be_is_said_with_what_to_do(person: SignedInUser) -> None:
    with pytest.raises(Misconfigured, match="sign up on the page first"):
        await add(str(uuid4()), name="Asha", by="Bimal")
    with pytest.raises(Misconfigured, match="--name needs words"):
        await add(str(person.id), name=" ", by="Bimal")
    with pytest.raises(Misconfigured, match="is no operator"):
        await remove(str(person.id), reason="left", by="Bimal")
    await add(str(person.id), name="Asha", by="Bimal")
    with pytest.raises(Misconfigured, match="operates already"):
        await add(str(person.id), name="Asha", by="Bimal")


async def test_an_action_on_the_console_is_listed(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await add(str(person.id), name="Asha", by="Bimal")
    act = {"p_action": "reduce", "p_user": str(person.id), "p_reason": "mute feed"}
    await person.client.rpc("operator_act", act).execute()
    capsys.readouterr()

    await list_actions()

    (told,) = printed(capsys, person)
    assert (told["action"], told["reason"]) == ("reduce", "mute feed")

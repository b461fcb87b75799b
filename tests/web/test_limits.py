"""A user's limits on the account page: tightened at once, widened up to the operator's ceiling."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import orjson

from tests.database.fixtures import SupabaseStack
from tests.web.conftest import Site
from tests.web.people import Person, somebody


async def choose(person: Person, name: str, value: Any, *, widen: bool = False) -> httpx.Response:
    wish = {"name": name, "value": value, "widen": widen}
    return await person.post("/api/account/limits", json=wish)


async def set_ceiling(stack: SupabaseStack, person: Person, **limits: Any) -> None:
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute(
        "select set_user_limits(id, $2, 'Asha', 'agreed') from auth.users where email = $1",
        person.email,
        orjson.dumps(limits).decode(),
    )
    await connection.close()


def told(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


async def test_a_limit_is_tightened_and_widened_up_to_the_ceiling_and_each_change_is_told(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        await set_ceiling(supabase_stack, person, max_daily_loss_paise=200_000)
        answers = [
            await choose(person, "max_daily_loss_paise", 150_050),
            await choose(person, "max_daily_loss_paise", 150_051),
            await choose(person, "max_daily_loss_paise", 200_001, widen=True),
            await choose(person, "max_daily_loss_paise", 180_000, widen=True),
        ]
        shown = (await person.get("/api/account")).json()
        page = (await person.get("/account")).text
        changes = (await person.get("/api/account/limits")).json()["changes"]

    changed = (200, {"changed": "max_daily_loss_paise"})
    assert [told(answer) for answer in answers] == [
        changed,
        (409, {"problem": "only_tighter", "about": "Loss of a day"}),
        (409, {"problem": "above_ceiling", "about": "Loss of a day"}),
        changed,
    ]
    of_loss = [
        shown[whose]["max_daily_loss_paise"] for whose in ("limits", "limits_own", "limits_ceiling")
    ]
    assert of_loss == [180_000, 180_000, 200_000]
    assert "at most ₹1,800" in page
    assert "your choice; up to ₹2,000, set by the operator" in page
    assert [(each["own"], each["changed"]["max_daily_loss_paise"]) for each in changes] == [
        (True, [150_050, 180_000]),
        (True, [None, 150_050]),
        (False, [None, 200_000]),
    ]


async def test_a_choice_that_is_given_up_leaves_the_ceiling(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        await set_ceiling(supabase_stack, person, segments=["NSE_EQ", "NSE_FNO"])
        await choose(person, "segments", ["NSE_EQ"])
        await choose(person, "long_only", True)
        narrow = (await person.get("/api/account")).json()["limits"]
        await choose(person, "segments", None, widen=True)
        await choose(person, "long_only", None, widen=True)
        wide = (await person.get("/api/account")).json()["limits"]

    assert (narrow["segments"], narrow["long_only"]) == (["NSE_EQ"], True)
    assert (wide["segments"], wide["long_only"]) == (["NSE_EQ", "NSE_FNO"], None)


async def test_a_longer_pause_after_a_stop_is_the_tighter(site: Site) -> None:
    async with somebody(site) as person:
        answers = [
            await choose(person, "stop_out_cooldown_minutes", minutes)
            for minutes in (30, 20, 1_441)
        ]
        page = (await person.get("/account")).text

    assert [answer.status_code for answer in answers] == [200, 409, 400]
    assert "at least 30" in page


async def test_what_is_no_limit_changes_nothing(site: Site) -> None:
    async with somebody(site) as person:
        answers = [
            await choose(person, name, value, widen=widen)
            for name, value in (
                ("max_daily_loss_paise", -1),
                ("max_daily_loss_paise", 1.5),
                ("max_orders_per_day", "3"),
                ("max_orders_per_day", 2**53),
                ("max_orders_per_day", [3]),
                ("long_only", False),
                ("long_only", 1),
                ("segments", ["NSE_EQ"] * 8),
                ("segments", [["NSE_EQ"]]),
                ("segments", ["XYZ"]),
                ("segments", "NSE_EQ"),
                ("own", True),
                ("__proto__", 1),
            )
            for widen in (False, True)
        ]
        unsaid = await person.post("/api/account/limits", json={"name": "long_only", "value": True})
        shown = (await person.get("/api/account")).json()

    assert {answer.status_code for answer in (*answers, unsaid)} == {400}
    assert {answer.json()["problem"] for answer in (*answers, unsaid)} == {"not_a_limit"}
    assert answers[0].json()["about"] == "Loss of a day"
    assert (shown["limits"], shown["limits_own"]) == (None, None)


async def test_an_operator_reads_anybodys_limits_and_nobody_else_does(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        await set_ceiling(supabase_stack, person, max_open_positions=3)
        await choose(person, "max_open_positions", 2)
        connection = await asyncpg.connect(supabase_stack.dsn)
        user = await connection.fetchval("select id from auth.users where email = $1", person.email)
        address = f"/api/operator/limits?user={user}"
        refused = [await person.get(address), await person.get("/api/operator/limits?user=x")]
        await connection.execute("select add_operator($1, 'Asha', 'Bimal')", user)
        limits = (await person.get(address)).json()["limits"]
        await connection.execute("select remove_operator($1, 'Bimal', 'left')", user)
        await connection.close()

    assert [told(answer) for answer in refused] == [
        (404, {"problem": "not_operator"}),
        (400, {"problem": "unexpected"}),
    ]
    held = {whose: limits[whose]["max_open_positions"] for whose in ("ceiling", "own", "held")}
    assert held == {"ceiling": 3, "own": 2, "held": 2}


async def test_who_is_signed_out_is_told_no_changes(site: Site) -> None:
    async with somebody(site) as person:
        await person.post("/auth/sign-out")
        answer = await person.get("/api/account/limits")

    assert answer.status_code == 401

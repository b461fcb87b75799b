"""A user's own limits, tightened on the account page."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx

from tests.database.fixtures import SupabaseStack
from tests.web.conftest import Site
from tests.web.people import Person, somebody


async def tighten(person: Person, name: str, value: Any) -> httpx.Response:
    return await person.post("/api/account/limits", json={"name": name, "value": value})


async def test_a_limit_becomes_tighter_and_never_wider(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        done = await tighten(person, "max_daily_loss_paise", "1,500.50")
        wider = await tighten(person, "max_daily_loss_paise", "1501")
        shown = (await person.get("/api/account")).json()
        page = (await person.get("/account")).text
    connection = await asyncpg.connect(supabase_stack.dsn)
    changed = await connection.fetchval(
        "select changed_by from private.user_limit_changes order by id desc limit 1"
    )
    await connection.close()

    assert (done.status_code, done.json()) == (200, {"tightened": True})
    assert (wider.status_code, wider.json()) == (409, {"problem": "only_tighter"})
    assert shown["limits"]["max_daily_loss_paise"] == 150_050
    assert "at most ₹1,500.50" in page
    assert changed == "user"


async def test_the_limits_of_stops_are_on_the_page_and_a_longer_pause_is_the_tighter(
    site: Site,
) -> None:
    async with somebody(site) as person:
        answers = [
            await tighten(person, name, value)
            for name, value in (
                ("max_stop_outs_per_day", "3"),
                ("stop_out_cooldown_minutes", "30"),
                ("stop_out_cooldown_minutes", "20"),
                ("stop_out_cooldown_minutes", "1441"),
            )
        ]
        page = (await person.get("/account")).text

    assert [answer.status_code for answer in answers[:3]] == [200, 200, 409]
    assert answers[3].json()["problem"] == "not_a_limit"
    assert "at most 3" in page
    assert "at least 30" in page


async def test_what_is_no_limit_changes_nothing(site: Site) -> None:
    async with somebody(site) as person:
        answers = [
            await tighten(person, name, value)
            for name, value in (
                ("max_daily_loss_paise", "-1"),
                ("max_daily_loss_paise", "1.005"),
                ("max_orders_per_day", "1.5"),
                ("max_orders_per_day", 3),
                ("long_only", "1"),
                ("__proto__", "1"),
            )
        ]
        shown = (await person.get("/api/account")).json()

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["problem"] for answer in answers} == {"not_a_limit"}
    assert shown["limits"] is None

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from tests.database.fixtures import SupabaseStack, an_order_worker_reports
from tests.simulator.factories import USER
from tests.web.conftest import Site
from tests.web.people import somebody


@pytest_asyncio.fixture
async def nobody_reported(supabase_stack: SupabaseStack) -> AsyncIterator[None]:
    await sql(supabase_stack, "delete from private.platform_reports")
    yield
    await sql(supabase_stack, "delete from private.platform_reports")
    await an_order_worker_reports(supabase_stack.dsn)


async def sql(stack: SupabaseStack, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(stack.dsn)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        return rows
    finally:
        await connection.close()


async def workers_report(
    stack: SupabaseStack, mode: str, own: str | None, rupees: int = 50_000
) -> None:
    await sql(stack, "select report_platform('of-this-test', $1, $2, $3, 40)", mode, own, rupees)


async def test_mode_and_limits_are_on_the_page_as_the_order_workers_report_them(
    site: Site, supabase_stack: SupabaseStack, nobody_reported: None
) -> None:
    async with somebody(site) as person:
        await person.get(await person.callback_address())
        unknown = (await person.get("/today")).text
        refused = await person.switch(on=True)
        bare = await person.post("/api/account/switch", json={"on": True, "terms": {}})
        await workers_report(supabase_stack, "paper", None)
        paper = (await person.get("/today")).text
        await workers_report(supabase_stack, "self", "5550000001", 1_250_000)
        others = (await person.get("/today")).text
        await workers_report(supabase_stack, "self", USER.client_id)
        own = (await person.get("/today")).text
        await sql(
            supabase_stack,
            "update private.platform_reports set reported_at = reported_at - interval '1 minute'",
        )
        gone = (await person.get("/today")).text

    assert "Mode unknown" in unknown
    assert "No order worker has reported yet, so no order is placed." in unknown
    assert (refused.status_code, bare.status_code, bare.json()["problem"]) == (
        400,
        409,
        "mode_unknown",
    )
    assert "Paper mode" in paper
    assert "No real money moves" in paper
    assert "An order is worth at most ₹50,000, and there are at most 40 orders a day." in paper
    assert "Live mode" in others
    assert "not for your account" in others
    assert "₹12,50,000" in others
    assert "Orders are placed at Dhan with real money." in own
    assert "No order worker is running" in gone
    assert "No order worker is running" not in own


async def test_switching_on_is_refused_when_the_mode_became_another_than_the_page_said(
    site: Site, supabase_stack: SupabaseStack, nobody_reported: None
) -> None:
    await workers_report(supabase_stack, "paper", None)
    async with somebody(site) as person:
        await person.get(await person.callback_address())
        shown = (await person.account())["platform"]
        await workers_report(supabase_stack, "self", USER.client_id)
        refused = await person.post("/api/account/switch", json={"on": True, "terms": shown})
        off = await person.account()
        bodies: tuple[object, ...] = ({"on": True}, {"on": 1}, [], None)
        unstated = [await person.post("/api/account/switch", json=body) for body in bodies]
        agreed = await person.switch(on=True)
        told = (await person.get("/today?notice=terms_changed")).text

    assert (refused.status_code, refused.json()) == (409, {"problem": "terms_changed"})
    assert off["connection"]["is_trading_enabled"] is False
    assert {answer.status_code for answer in unstated} == {400}
    assert agreed.json() == {"is_trading_enabled": True}
    assert "changed while you were asked, so nothing was switched on" in told


async def test_whoever_agreed_to_paper_finds_the_switch_off_when_real_money_begins_and_reads_why(
    site: Site, supabase_stack: SupabaseStack, nobody_reported: None
) -> None:
    await workers_report(supabase_stack, "paper", None)
    async with somebody(site) as person:
        await person.get(await person.callback_address())
        await person.switch(on=True)
        await workers_report(supabase_stack, "self", USER.client_id)
        after = await person.account()
        page = (await person.get("/today")).text

    assert after["connection"]["is_trading_enabled"] is False
    assert "changed to another mode than you agreed to" in page

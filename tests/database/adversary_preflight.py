"""What the table of preflights promises, as `tests.database.adversary` has it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Scene
from tests.database.conftest import acting_as

DAY: Final = date(2026, 11, 20)
NINE: Final = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)
RECORD: Final = "select record_preflight($1, $2, $3, $4, $5)"


async def preflights_are_read_by_whom_they_concern_and_written_by_the_service(scene: Scene) -> None:
    held = await scene.sql.fetch(
        "select r as role, p as privilege from unnest($1::text[]) r, unnest(array['select', "
        "'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p "
        "where has_table_privilege(r, 'public.preflights', p)",
        ROLES,
    )
    may_call = await scene.sql.fetch(
        "select r as role from unnest($1::text[]) r where has_function_privilege("
        "r, 'record_preflight(uuid, date, boolean, text[], timestamptz)', 'execute')",
        ("public", *ROLES),
    )
    function = await scene.sql.fetchrow(
        "select prosecdef, array_to_string(proconfig, ' ') as settings from pg_proc "
        "where proname = 'record_preflight'"
    )

    assert {tuple(row) for row in held} == {
        *(("service_role", "select"), ("authenticated", "select")),
    }
    assert [row["role"] for row in may_call] == ["service_role"]
    assert function is not None
    assert (function["prosecdef"], function["settings"]) == (True, 'search_path=""')


async def a_user_reads_their_own_preflights_only(scene: Scene) -> None:
    for user in (scene.mine, scene.theirs):
        await scene.service(RECORD, user, DAY, True, [], NINE)

    async with acting_as(scene.sql, "authenticated", scene.mine):
        rows = await scene.sql.fetch("select user_id from preflights")
    async with acting_as(scene.sql, "service_role"):
        count = await scene.sql.fetchval("select count(*) from preflights")
    await scene.sql.execute("grant select on preflights to anon")
    async with acting_as(scene.sql, "anon"):
        seen = await scene.sql.fetchval("select count(*) from preflights")

    assert [row["user_id"] for row in rows] == [scene.mine]
    assert (count, seen) == (2, 0)


async def the_page_is_told_the_callers_own_limits_and_newest_checks(scene: Scene) -> None:
    await scene.limit(max_open_positions=3)
    await scene.limit(scene.theirs, max_open_positions=9)
    await scene.service(RECORD, scene.mine, DAY - timedelta(days=1), True, [], NINE)
    await scene.service(RECORD, scene.mine, DAY, False, ["no_funds"], NINE)
    await scene.service(RECORD, scene.theirs, DAY, True, [], NINE)
    mine = orjson.loads(await scene.user(scene.mine, "select own_account()"))

    assert mine["checks"]["reds"] == ["no_funds"]
    assert mine["checks"]["day"] == "2026-11-20"
    assert mine["limits"]["max_open_positions"] == 3
    assert mine["limits"]["risk_per_trade_paise"] is None
    assert "user_id" not in mine["limits"]


async def a_red_preflight_says_why_in_codes(scene: Scene) -> None:
    bad: list[tuple[Any, ...]] = [
        *((False, []), (True, ["no_funds"]), (False, ["Not a code"]), (False, ["x"] * 21)),
    ]
    for green, reds in bad:
        call = scene.service(RECORD, scene.mine, DAY, green, reds, NINE)
        await scene.refuses(asyncpg.CheckViolationError, call)


async def the_last_look_of_the_day_counts(scene: Scene) -> None:
    later = NINE + timedelta(minutes=1)
    answers = [
        await scene.service(RECORD, scene.mine, DAY, False, ["no_funds"], NINE),
        await scene.service(RECORD, scene.mine, DAY, True, [], later),
        await scene.service(RECORD, scene.mine, DAY, False, ["feed_cold"], NINE),
        await scene.service(RECORD, scene.mine, DAY + timedelta(days=1), False, ["x"], later),
    ]
    rows = await scene.sql.fetch("select green, reds from preflights order by trading_date")

    assert answers == [True, True, False, True]
    assert [tuple(row) for row in rows] == [(True, []), (False, ["x"])]


CHECKS: Final[tuple[Check, ...]] = (
    preflights_are_read_by_whom_they_concern_and_written_by_the_service,
    a_user_reads_their_own_preflights_only,
    the_page_is_told_the_callers_own_limits_and_newest_checks,
    a_red_preflight_says_why_in_codes,
    the_last_look_of_the_day_counts,
)

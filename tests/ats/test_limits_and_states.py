"""`ats limits`, `ats states` and the halts of `ats kill`, against our migrations on Postgres."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio

from ats.commands import limits, states
from ats.commands.kill import Hold, Wish, hold, lift
from ats.commands.limits import Change
from schemas.errors import Misconfigured
from schemas.units import IST
from tests.ats.test_claims import environment
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=IST)


@pytest_asyncio.fixture
async def person(supabase_stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch) -> SignedInUser:
    for name, value in environment(supabase_stack).items():
        monkeypatch.setenv(name, value)
    return await signed_in_user(supabase_stack)


def a_change(user: object, **given: str) -> Change:
    return Change.of(str(user), given, by="Asha", reason="agreed by phone")


def a_wish(user: object = "", *, flatten: bool = False) -> Wish:
    return Wish.of(str(user), flatten=flatten, broker_kill=False, reason="drill")


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = capsys.readouterr().out.splitlines()
    return [orjson.loads(line) for line in lines if line.startswith("{")]


async def test_a_ceiling_is_changed_by_itself_and_who_did_it_and_why_is_kept(
    person: SignedInUser, supabase_stack: SupabaseStack, capsys: pytest.CaptureFixture[str]
) -> None:
    await limits.change(a_change(person.id, max_order_value="1500.50", segments="NSE_EQ"))
    await limits.change(a_change(person.id, long_only="yes", segments="platform"))
    shown = [each["ceiling"] for each in printed(capsys)]
    connection = await asyncpg.connect(supabase_stack.dsn)
    kept = await connection.fetch(
        "select changed_by, reason from private.user_limit_changes where user_id = $1", person.id
    )
    await connection.close()

    assert (shown[0]["max_order_value_paise"], shown[0]["segments"]) == (150_050, ["NSE_EQ"])
    assert (shown[1]["max_order_value_paise"], shown[1]["segments"]) == (150_050, None)
    assert shown[1]["long_only"] is True
    assert [tuple(row) for row in kept] == [("Asha", "agreed by phone")] * 2


async def test_the_ceiling_the_users_choice_and_the_tighter_of_both_are_shown(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"max_open_positions": 2, "max_orders_per_day": 9}
    await person.client.rpc("tighten_own_limits", {"p_limits": chosen}).execute()

    await limits.change(a_change(person.id, max_open_positions="4", max_orders_per_day="5"))
    (shown,) = printed(capsys)

    assert [
        (shown[whose]["max_open_positions"], shown[whose]["max_orders_per_day"])
        for whose in ("ceiling", "own", "held")
    ] == [(4, 5), (2, 9), (2, 5)]


async def test_who_has_no_limits_is_shown_none(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    await limits.show(str(person.id))
    captured = capsys.readouterr()

    assert f"nobody has connected Dhan as user {person.id}" in captured.err
    assert orjson.loads(captured.out) == {
        "user_id": str(person.id), "ceiling": None, "own": None, "held": None
    }  # fmt: skip


@pytest.mark.usefixtures("person")
async def test_limits_of_nobody_are_refused() -> None:
    with pytest.raises(Misconfigured, match="the database refuses it"):
        await limits.change(a_change(uuid4(), long_only="yes"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "name a limit"),
        ({"max_order_value": "much"}, "--max-order-value 'much' is not usable: not an amount"),
        ({"max_daily_loss": "-1"}, "--max-daily-loss '-1' is not usable: an amount"),
        ({"max_open_positions": "1.5"}, "--max-open-positions '1.5' is not usable: a number"),
        ({"max_orders_per_day": "1000001"}, "a number from 0 to 1000000"),
        ({"segments": "NSE_EQ,XYZ"}, "--segments .* some of NSE_EQ"),
        ({"products": "BO"}, "--products 'BO' is not usable: some of CNC"),
        ({"long_only": "maybe"}, "--long-only 'maybe' is not usable: yes or no; or platform"),
    ],
    ids=str,
)
def test_what_is_no_limit_is_refused_by_name(given: dict[str, str], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        a_change(uuid4(), **given)


def test_a_change_needs_a_user_and_who_and_why() -> None:
    with pytest.raises(Misconfigured, match="no user id"):
        a_change("Asha", long_only="yes")
    with pytest.raises(Misconfigured, match="need words"):
        Change.of(str(uuid4()), {"long_only": "yes"}, by=" ", reason="agreed")


async def test_a_halt_of_all_orders_is_shown_until_it_is_lifted(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(IST)
    until = f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    await hold(Hold.of(a_wish(person.id), True, until, now))
    said = capsys.readouterr().out
    await states.show(now)
    (halted,) = [row for row in printed(capsys) if row["user"] == str(person.id)]
    await states.show(now + timedelta(hours=2))
    ended = [row for row in printed(capsys) if row["user"] == str(person.id)]
    await lift(a_wish(person.id))
    await states.show(now)
    lifted = [row for row in printed(capsys) if row["user"] == str(person.id)]

    assert "no order of a decision" in said
    assert (halted["state"], halted["reason"]) == ("HALTED", "drill")
    assert halted["until"].startswith(until.replace("T", " "))
    assert (ended, lifted) == ([], [])


async def test_a_halt_from_before_that_holds_for_longer_is_said_to(
    person: SignedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(IST)
    await hold(Hold.of(a_wish(person.id), True, "", now))
    until = f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    await hold(Hold.of(a_wish(person.id), False, until, now))

    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("halted, as before: no order of a decision")
    assert said.endswith("until it is lifted")


def test_a_moment_of_another_time_zone_is_told_in_indian_time() -> None:
    asked = Hold.of(a_wish(), False, "2026-11-21T03:45+00:00", NOW)

    assert f"{asked.until:%Y-%m-%d %H:%M}" == "2026-11-21 09:15"


def test_a_halt_that_lets_out_what_closes_is_reducing_and_everybodys_comes_first() -> None:
    row = {"all_orders": False, "since": NOW.isoformat(), "until": None, "halted_by": "Asha"}
    rows = [row | {"user_id": user, "reason": "drill"} for user in ("b", None)]

    shown = list(states.in_force(rows, NOW))

    assert [(each.user, each.state, each.since) for each in shown] == [
        ("", "REDUCING", "2026-11-20 10:00:00"),
        ("b", "REDUCING", "2026-11-20 10:00:00"),
    ]


@pytest.mark.parametrize("until", ["09:59", "10:00", "soon", "2026-11-19T15:30"])
def test_a_halt_ends_at_a_moment_to_come(until: str) -> None:
    with pytest.raises(Misconfigured, match=r"--until .* a moment to come"):
        Hold.of(a_wish(), False, until, NOW)


def test_a_time_of_today_is_indian_and_closing_everything_is_another_call() -> None:
    asked = Hold.of(a_wish(), False, "15:30", NOW)

    assert asked.until == NOW.replace(hour=15, minute=30)
    with pytest.raises(Misconfigured, match="in a call of their own"):
        Hold.of(a_wish(flatten=True), True, "", NOW)

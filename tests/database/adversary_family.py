"""What the declared members of a family promise, as `tests.database.adversary` has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Row, Scene
from tests.database.conftest import acting_as

SERVICE: Final = {"declare_member", "end_membership", "members_declared", "claim_order"}
USERS: Final = {"begin_dhan_consent", "store_dhan_token", "platform_status"}
INNER: Final = {"is_declared", "family_excludes", "refuse_switch_of_no_member"}
COLUMNS: Final = {
    *("id", "user_id", "dhan_client_id", "relation", "consent", "consented_on", "address"),
    *("declared_at", "ended_at"),
}
MEMBER: Final[Row] = {
    "dhan_client_id": "1100000001",
    "relation": "spouse",
    "consent": "signed letter, folder 3",
    "consented_on": "2026-11-01",
    "address": "203.0.113.7",
    "declared_by": "Asha",
}
ENDED: Final = "ended_at = now(), ended_by = 'x', end_reason = 'y'"
INSERT: Final = (
    "insert into family_members ({names}) select {names} "
    "from jsonb_populate_record(null::family_members, $1)"
)


@dataclass(frozen=True, slots=True)
class Family:
    """What the operator and users do about members."""

    scene: Scene

    async def account_of(self, user: UUID) -> str:
        account: str = await self.scene.sql.fetchval(
            "select dhan_client_id from user_trading_keys where user_id = $1", user
        )
        return account

    async def declare(self, user: UUID, *, account: str = "", **changes: Any) -> str:
        """The answer to declaring `user`'s own account, unless told."""
        member = MEMBER | {"dhan_client_id": account or await self.account_of(user)} | changes
        answer: str = await self.scene.service(
            "select declare_member($1, $2, $3, $4, $5, $6::text::inet, $7) ->> 'status'",
            user,
            *(member["dhan_client_id"], member["relation"], member["consent"]),
            date.fromisoformat(member["consented_on"]),
            *(member["address"], member["declared_by"]),
        )
        return answer

    async def end(self, user: UUID) -> bool:
        ended: bool = await self.scene.service(
            "select end_membership($1, 'Asha', 'over')", await self.account_of(user)
        )
        return ended

    async def trades(self) -> None:
        await self.scene.service("select report_platform('w', 'family', null, 1000, 10)")

    async def connect(self, user: UUID | None, account: str) -> tuple[str, str]:
        """What asking for the way to Dhan and storing a token of `account` answer."""
        begun = "select begin_dhan_consent($1, $2)"
        stored = "select store_dhan_token($1, 'token-of-the-test', $2)"
        tomorrow = datetime.now(UTC) + timedelta(hours=20)
        return (
            await self.scene.user(user, begun, account, uuid4().hex * 2),
            await self.scene.user(user, stored, account, tomorrow),
        )


async def members_are_read_by_whom_it_concerns_and_written_by_functions(scene: Scene) -> None:
    held = await scene.sql.fetch(
        "select r as role, p as privilege from unnest($1::text[]) r, unnest(array['select', "
        "'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p "
        "where has_table_privilege(r, 'public.family_members', p)",
        ROLES,
    )
    columns = await scene.sql.fetch(
        "select attname from pg_attribute where attrelid = 'family_members'::regclass "
        "and attnum > 0 and has_column_privilege('authenticated', attrelid, attname, 'select')"
    )

    assert {tuple(row) for row in held} == {("service_role", "select")}
    assert {row["attname"] for row in columns} == COLUMNS


async def functions_of_the_family_are_for_their_role(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, pronamespace::regnamespace || '.' || proname as n "
        "from pg_proc where proname = any ($1)) "
        "select n, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        SERVICE | USERS | INNER,
        ("public", *ROLES),
    )

    wanted = {(f"public.{name}", "service_role") for name in SERVICE}
    wanted |= {(f"public.{name}", "authenticated") for name in USERS}
    assert {tuple(row) for row in rows} == wanted


async def functions_of_the_family_run_as_their_owner_and_trust_no_search_path(
    scene: Scene,
) -> None:
    rows = await scene.sql.fetch(
        "select pronamespace::regnamespace::text as schema, proname, prosecdef, "
        "coalesce(array_to_string(proconfig, ' '), '') as settings "
        "from pg_proc where proname = any ($1)",
        SERVICE | USERS | INNER,
    )

    definers = {f"{row['schema']}.{row['proname']}" for row in rows if row["prosecdef"]}
    wanted = {f"public.{name}" for name in SERVICE | USERS}
    assert definers >= wanted | {"private.refuse_switch_of_no_member"}
    assert [row["proname"] for row in rows if 'search_path=""' not in row["settings"]] == []


async def a_member_reads_their_own_declaration_only(scene: Scene) -> None:
    family = Family(scene)
    await family.declare(scene.mine)
    await family.declare(scene.theirs, relation="self", address="203.0.113.8")

    async with acting_as(scene.sql, "authenticated", scene.mine):
        rows = await scene.sql.fetch("select user_id, relation from family_members")
    async with acting_as(scene.sql, "service_role"):
        count = await scene.sql.fetchval("select count(*) from family_members")
    await scene.sql.execute("grant select on family_members to anon")
    async with acting_as(scene.sql, "anon"):
        seen = await scene.sql.fetchval("select count(*) from family_members")

    assert [tuple(row) for row in rows] == [(scene.mine, "spouse")]
    assert (count, seen) == (2, 0)


async def what_is_declared_has_its_form(scene: Scene) -> None:
    ended = {"ended_at": "now", "ended_by": "b", "end_reason": "r"}
    bad: list[Row] = [
        *({"dhan_client_id": "12a4"}, {"relation": "cousin"}, {"consent": ""}),
        *({"address": "203.0.113.0/24"}, {"declared_by": ""}, {"consented_on": "2999-01-01"}),
        *({"ended_at": "now"}, ended | {"ended_by": ""}, ended | {"end_reason": ""}),
    ]
    for changes in bad:
        row = MEMBER | {"user_id": str(scene.mine), "declared_at": "now"} | changes
        insert = INSERT.format(names=", ".join(row))
        call = scene.sql.execute(insert, orjson.dumps(row).decode())
        await scene.refuses(asyncpg.CheckViolationError, call)


async def a_declaration_changes_once_and_stays(scene: Scene) -> None:
    family = Family(scene)
    await family.declare(scene.mine)
    await scene.sql.execute("set local role postgres")  # who owns the tables
    changes = (
        *("dhan_client_id = '1199999999'", "relation = 'self'", "consent = 'z'"),
        *("consented_on = '2026-01-01'", "address = '203.0.113.9'", "declared_by = 'z'"),
    )
    for change in changes:
        for statement in (f"set {change}", f"set {change}, {ENDED}"):
            call = scene.sql.execute(f"update family_members {statement}")
            await scene.refuses(asyncpg.InsufficientPrivilegeError, call)
    await scene.sql.execute(f"update family_members set {ENDED}")
    for statement in (
        f"update family_members set {ENDED}",
        "update family_members set ended_at = null, ended_by = null, end_reason = null",
        "delete from family_members",
    ):
        call = scene.sql.execute(statement)
        await scene.refuses(asyncpg.InsufficientPrivilegeError, call)


async def user_account_address_and_spouse_are_declared_once(scene: Scene) -> None:
    family = Family(scene)
    mine, other = await family.account_of(scene.mine), {"address": "203.0.113.8"}
    answers = [
        await family.declare(scene.mine),
        await family.declare(scene.mine, account="1199999999", relation="self", **other),
        await family.declare(scene.theirs, account=mine, relation="self", **other),
        await family.declare(scene.theirs, relation="dependent_parent"),
        await family.declare(scene.theirs, **other),
        await family.declare(uuid4(), account="1199999999", relation="self", **other),
        await family.declare(scene.theirs, relation="dependent_child", **other),
    ]

    assert answers == [
        *("declared", "user_declared", "account_declared", "address_declared"),
        *("relation_declared", "unknown_user", "declared"),
    ]


async def who_ended_can_be_declared_again_and_nothing_ends_twice(scene: Scene) -> None:
    family = Family(scene)
    await family.declare(scene.mine)
    await family.declare(scene.theirs, relation="self", address="203.0.113.8")

    ended = [await family.end(scene.mine) for _ in range(2)]
    again = await family.declare(scene.mine)
    count = "select count(*) from family_members where ended_at is null"
    in_force = await scene.sql.fetchval(count)

    assert (ended, again, in_force) == ([True, False], "declared", 2)


async def who_is_no_member_connects_nothing(scene: Scene) -> None:
    family = Family(scene)
    mine = await family.account_of(scene.mine)
    await scene.sql.execute("update user_trading_keys set dhan_access_token = null")
    before = await family.connect(scene.mine, mine)
    await scene.sql.execute("update user_trading_keys set dhan_access_token = null")
    await family.trades()
    refused = await family.connect(scene.mine, mine)
    held = await scene.sql.fetchval("select count(dhan_access_token) from user_trading_keys")
    await family.declare(scene.mine)
    declared = await family.connect(scene.mine, mine)
    another = await family.connect(scene.mine, "1199999999")
    others = await family.connect(scene.theirs, mine)
    await family.end(scene.mine)
    ended = await family.connect(scene.mine, mine)

    nothing = ("not_a_member", "not_a_member")
    assert (before, refused, held) == (("begun", "stored"), nothing, 0)
    assert declared == ("begun", "stored")
    assert (another, others, ended) == (nothing, nothing, nothing)


async def who_signed_out_or_never_signed_in_connects_nothing(scene: Scene) -> None:
    family = Family(scene)
    mine = await family.account_of(scene.mine)
    await scene.sql.execute("delete from auth.sessions where user_id = $1", scene.mine)
    for user in (scene.mine, None):
        call = family.connect(user, mine)
        await scene.refuses(asyncpg.InsufficientPrivilegeError, call)


async def who_is_no_member_is_not_switched_on(scene: Scene) -> None:
    family = Family(scene)
    on = "update user_trading_keys set is_trading_enabled = true where user_id = $1"
    await scene.sql.execute("update user_trading_keys set is_trading_enabled = false")
    await scene.sql.execute(on, scene.theirs)
    await family.trades()
    await scene.refuses(asyncpg.RaiseError, scene.sql.execute(on, scene.mine))
    new = await scene.sql.fetchval("insert into auth.users default values returning id")
    insert = (
        "insert into user_trading_keys (user_id, dhan_client_id, dhan_access_token, token_expiry, "
        "is_trading_enabled) values ($1, '1199999999', 'token', now() + interval '1 hour', true)"
    )
    await scene.refuses(asyncpg.RaiseError, scene.sql.execute(insert, new))
    await family.declare(scene.mine)
    await scene.sql.execute(on, scene.mine)


async def no_order_is_claimed_for_who_is_no_member(scene: Scene) -> None:
    family = Family(scene)
    paper = await scene.claim()
    await family.trades()
    refused = [await scene.claim(), await scene.claim(closes=True)]
    await family.declare(scene.mine)
    declared = [
        await scene.claim(),
        await scene.claim(closes=True),
        await scene.claim(scene.theirs),
    ]
    await family.end(scene.mine)
    switched_on = await scene.sql.fetchval(
        "select count(*) from user_trading_keys where is_trading_enabled and user_id = $1",
        scene.mine,
    )
    ended = [await scene.claim(), await scene.claim(closes=True)]

    assert (paper, refused) == ("claimed", ["not_a_member"] * 2)
    assert declared == ["claimed", "claimed", "not_a_member"]
    assert (switched_on, ended) == (0, ["not_a_member", "claimed"])


async def ending_one_membership_leaves_the_others(scene: Scene) -> None:
    family = Family(scene)
    await family.declare(scene.mine)
    await family.declare(scene.theirs, relation="self", address="203.0.113.8")
    await family.trades()
    await family.end(scene.mine)

    on = "select user_id from user_trading_keys where is_trading_enabled"
    assert scene.theirs in {row["user_id"] for row in await scene.sql.fetch(on)}
    assert await scene.claim(scene.theirs) == "claimed"


async def what_was_claimed_is_told_to_whom_was_a_member(scene: Scene) -> None:
    family = Family(scene)
    decision = await scene.sql.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
        "returning id"
    )
    order = uuid4()
    claim = ("select claim_order($1, $2, $3, $4)", scene.mine, decision, order, order.hex[:25])
    await scene.service(*claim)
    await family.trades()

    assert orjson.loads(await scene.service(*claim))["status"] == "taken"


async def the_page_says_whom_the_family_admits(scene: Scene) -> None:
    family = Family(scene)

    async def admitted(user: UUID) -> bool:
        told = orjson.loads(await scene.user(user, "select platform_status()"))
        return bool(told["admits_this_account"])

    before = await admitted(scene.mine)
    await family.trades()
    undeclared = await admitted(scene.mine)
    await family.declare(scene.mine)
    declared = await admitted(scene.mine), await admitted(scene.theirs)
    await scene.sql.execute(
        "update user_trading_keys set dhan_client_id = '1199999999' where user_id = $1", scene.mine
    )
    another = await admitted(scene.mine)
    await scene.sql.execute("delete from user_trading_keys where user_id = $1", scene.mine)
    unconnected = await admitted(scene.mine)
    await scene.service("select end_membership(dhan_client_id, 'x', 'y') from family_members")

    assert (before, undeclared, declared) == (True, False, (True, False))
    assert (another, unconnected, await admitted(scene.mine)) == (False, True, False)


async def members_are_told_again_only_when_they_changed(scene: Scene) -> None:
    family = Family(scene)

    async def told(known: str | None = None) -> Row:
        return dict(orjson.loads(await scene.service("select members_declared($1)", known)))

    nobody = await told()
    await family.declare(scene.mine)
    one = await told(nobody["digest"])
    same = await told(one["digest"])
    await family.end(scene.mine)
    none = await told(one["digest"])
    await family.declare(scene.mine, address="203.0.113.9")
    again = await told(none["digest"])

    account = await family.account_of(scene.mine)
    row = {"user_id": str(scene.mine), "dhan_client_id": account}
    assert nobody["members"] == []
    assert one["members"] == [row | {"address": "203.0.113.7", "in_force": True}]
    assert same == {"digest": one["digest"], "members": None}
    assert none["members"] == [row | {"address": "203.0.113.7", "in_force": False}]
    assert again["members"] == [row | {"address": "203.0.113.9", "in_force": True}]


CHECKS: Final[tuple[Check, ...]] = (
    members_are_read_by_whom_it_concerns_and_written_by_functions,
    functions_of_the_family_are_for_their_role,
    functions_of_the_family_run_as_their_owner_and_trust_no_search_path,
    a_member_reads_their_own_declaration_only,
    what_is_declared_has_its_form,
    a_declaration_changes_once_and_stays,
    user_account_address_and_spouse_are_declared_once,
    who_ended_can_be_declared_again_and_nothing_ends_twice,
    who_is_no_member_connects_nothing,
    who_signed_out_or_never_signed_in_connects_nothing,
    who_is_no_member_is_not_switched_on,
    no_order_is_claimed_for_who_is_no_member,
    ending_one_membership_leaves_the_others,
    what_was_claimed_is_told_to_whom_was_a_member,
    the_page_says_whom_the_family_admits,
    members_are_told_again_only_when_they_changed,
)

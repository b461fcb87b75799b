"""What operators and their actions promise, as `tests.database.adversary` has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Row, Scene
from tests.database.conftest import acting_as

TABLES: Final = ("operators", "operator_actions")
SERVICE: Final = {"add_operator", "remove_operator"}
USERS: Final = {"is_operator", "operator_view", "operator_actions_before", "operator_act"}
INNER: Final = {"acting_operator"}
ACT: Final = "select operator_act($1, $2, $3)"
STATES: Final = (
    "select user_id, all_orders, flatten, broker_kill from trading_halts "
    "where lifted_at is null and not own order by id"
)
ROW: Final[dict[str, Row]] = {
    "operators": {"name": "Asha", "added_by": "Bimal"},
    "operator_actions": {"action": "halt", "reason": "drill", "outcome": "{}"},
}
# what a check of a column must refuse
BAD: Final[dict[str, tuple[Row, ...]]] = {
    "operators": (
        *({"name": ""}, {"added_by": ""}, {"removed_at": "now"}),
        {"removed_at": "now", "removed_by": "", "remove_reason": "r"},
        {"removed_at": "now", "removed_by": "b", "remove_reason": ""},
    ),
    "operator_actions": (
        *({"action": "trade"}, {"reason": ""}, {"action": "flatten", "user_id": None}),
    ),
}


@dataclass(frozen=True, slots=True)
class Office:
    """`mine` operates, `theirs` does not."""

    scene: Scene

    async def add(self, user: UUID | None = None) -> str:
        answer: str = await self.scene.service(
            "select add_operator($1, 'Asha', 'Bimal') ->> 'status'", user or self.scene.mine
        )
        return answer

    async def remove(self) -> bool:
        removed: bool = await self.scene.service(
            "select remove_operator($1, 'Bimal', 'left')", self.scene.mine
        )
        return removed

    async def act(
        self, action: str, user: UUID | None, reason: str = "bad day", *, by: UUID | None = None
    ) -> Row:
        return dict(
            orjson.loads(await self.scene.user(by or self.scene.mine, ACT, action, user, reason))
        )

    async def tell(self, query: str = "select operator_view()", by: UUID | None = None) -> Any:
        return orjson.loads(await self.scene.user(by or self.scene.mine, query))

    async def is_one(self, user: UUID) -> bool:
        told: bool = await self.scene.user(user, "select is_operator()")
        return told

    async def states(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.scene.sql.fetch(STATES)]


async def operators_are_read_by_the_service_and_written_by_functions(scene: Scene) -> None:
    held = await scene.sql.fetch(
        "select t as table, r as role, p as privilege from unnest($1::text[]) t, unnest($2::text[])"
        " r, unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', "
        "'trigger']) p where has_table_privilege(r, 'public.' || t, p)",
        TABLES,
        ROLES,
    )

    assert {tuple(row) for row in held} == {(table, "service_role", "select") for table in TABLES}


async def functions_of_operators_are_for_their_role(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, proname from pg_proc where proname = any ($1)) "
        "select proname, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        SERVICE | USERS | INNER,
        ("public", *ROLES),
    )

    wanted = {(name, "service_role") for name in SERVICE}
    assert {tuple(row) for row in rows} == wanted | {(name, "authenticated") for name in USERS}


async def functions_of_operators_trust_no_search_path(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "select proname, prosecdef, coalesce(array_to_string(proconfig, ' '), '') as settings "
        "from pg_proc where proname = any ($1)",
        SERVICE | USERS | INNER,
    )

    assert {row["proname"] for row in rows if row["prosecdef"]} == SERVICE | USERS
    assert [row["proname"] for row in rows if 'search_path=""' not in row["settings"]] == []


async def a_grant_too_many_shows_no_operator(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await office.act("halt", None)
    await scene.sql.execute(f"grant select on {', '.join(TABLES)} to anon, authenticated")
    for role in ("anon", "authenticated"):
        async with acting_as(scene.sql, role, scene.mine):
            for table in TABLES:
                assert await scene.sql.fetchval(f"select count(*) from {table}") == 0, table


async def who_operates_is_declared_once_and_removed_for_good(scene: Scene) -> None:
    office = Office(scene)
    answers = [await office.add(uuid4()), await office.add(), await office.add()]
    one = [await office.is_one(scene.mine), await office.is_one(scene.theirs)]
    removed = [await office.remove(), await office.remove()]
    none = await office.is_one(scene.mine)
    again = await office.add()

    assert answers == ["unknown_user", "added", "operator_already"]
    assert (one, removed, none, again) == ([True, False], [True, False], False, "added")


async def what_is_said_of_operators_has_its_form(scene: Scene) -> None:
    await Office(scene).add(scene.theirs)
    operator = await scene.sql.fetchval("select id from operators")
    known: Row = {"user_id": str(scene.mine), "added_at": "now", "operator_id": operator}
    for table, bad in BAD.items():
        for changes in bad:
            row = ROW[table] | {"at": "now"} | known | changes
            columns = await scene.sql.fetch(
                "select attname from pg_attribute where attrelid = $1::regclass and attnum > 1",
                table,
            )
            names = ", ".join(one["attname"] for one in columns if one["attname"] in row)
            insert = (
                f"insert into {table} ({names}) select {names} "
                f"from jsonb_populate_record(null::{table}, $1)"
            )
            call = scene.sql.execute(insert, orjson.dumps(row).decode())
            await scene.refuses(asyncpg.CheckViolationError, call)


async def operators_and_actions_stay_as_evidence(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await office.act("halt", None)
    refused = asyncpg.InsufficientPrivilegeError
    for change in (
        *("delete from operator_actions", "update operator_actions set reason = 'x'"),
        "update operators set name = 'Chetan'",
    ):
        await scene.refuses(refused, scene.sql.execute(change))
    await office.remove()
    await scene.refuses(refused, scene.sql.execute("update operators set remove_reason = 'x'"))
    await scene.sql.execute("alter table operator_actions disable trigger all")
    await scene.sql.execute("delete from operator_actions")
    await scene.refuses(refused, scene.sql.execute("delete from operators"))


async def who_operates_nothing_is_told_and_does_nothing(scene: Scene) -> None:
    office = Office(scene)
    await office.add(scene.theirs)
    await office.act("reduce", None, by=scene.theirs)

    async def refused() -> None:
        for query in ("operator_view()", "operator_actions_before()"):
            await scene.refuses(
                asyncpg.InsufficientPrivilegeError, scene.user(scene.mine, f"select {query}")
            )
        for action in ("halt", "resume"):
            await scene.refuses(asyncpg.InsufficientPrivilegeError, office.act(action, None))

    await refused()
    await office.add()
    await office.remove()
    await refused()

    assert await office.states() == [(None, False, False, False)]


async def an_operator_who_signed_out_is_none(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await scene.sql.execute("delete from auth.sessions where user_id = $1", scene.mine)
    refused = asyncpg.InsufficientPrivilegeError
    for query in ("operator_view()", "is_operator()"):
        await scene.refuses(refused, scene.user(scene.mine, f"select {query}"))
    await scene.refuses(refused, office.act("halt", None))


async def each_action_is_the_halt_of_its_name(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    seen = []
    for action, user in (
        *(("halt", None), ("resume", None), ("reduce", None), ("resume", None)),
        *(("flatten", scene.theirs), ("halt", scene.theirs), ("reduce", scene.theirs)),
        ("resume", scene.theirs),
    ):
        await office.act(action, user)
        seen.append(await office.states())

    theirs = scene.theirs
    flattened = (theirs, False, True, False)
    assert seen == [
        [(None, True, False, False)], [], [(None, False, False, False)], [],
        [flattened], [flattened, (theirs, True, False, False)], [flattened], [],
    ]  # fmt: skip


async def reducing_keeps_what_else_was_asked_of_operators_only(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await scene.halt(scene.theirs, flatten=True, kill=True)
    await office.act("halt", scene.theirs)
    await office.act("reduce", scene.theirs)
    killed = await office.states()
    await scene.lift(scene.theirs)
    await scene.user(scene.theirs, "select halt_own_trading(true)")
    await office.act("halt", scene.theirs)
    await office.act("reduce", scene.theirs)

    assert killed == [(scene.theirs, False, True, True)]
    assert await office.states() == [(scene.theirs, False, False, False)]


async def an_action_is_kept_with_who_to_whom_and_why(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await office.act("halt", scene.theirs, "  mute feed ")
    outcome = await office.act("resume", scene.theirs)
    await office.act("resume", scene.theirs)
    told = await office.tell("select operator_actions_before()")
    before = await office.tell(f"select operator_actions_before({told[0]['id']})")
    halt = await scene.sql.fetchrow("select halted_by, reason, lifted_by from trading_halts")

    assert outcome == {"lifted": 1}
    assert [(one["operator"], one["action"], one["reason"]) for one in told] == [
        *(("Asha", "resume", "bad day"),) * 2,
        ("Asha", "halt", "mute feed"),
    ]
    assert {one["user_id"] for one in told} == {str(scene.theirs)}
    assert before == told[1:]
    assert halt is not None
    assert tuple(halt) == ("Asha", "mute feed", "Asha")


async def an_action_needs_its_reason_and_a_user_who_is(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await scene.refuses(asyncpg.CheckViolationError, office.act("halt", None, "  "))
    await scene.refuses(asyncpg.CheckViolationError, office.act("resume", None, ""))
    await scene.refuses(asyncpg.ForeignKeyViolationError, office.act("resume", uuid4()))

    assert await scene.sql.fetchval("select count(*) from operator_actions") == 0


async def an_operator_is_told_every_user_and_halt_and_no_token(scene: Scene) -> None:
    office = Office(scene)
    await office.add()
    await scene.sql.execute("update user_trading_keys set dhan_access_token = 'the-secret-one'")
    await scene.user(scene.theirs, "select halt_own_trading()")
    await office.act("halt", None)
    await scene.sql.execute(
        "insert into trading_halts (own, halted_by, reason, flatten, broker_kill, since, until) "
        "values (false, 'x', 'over', false, false, now() - interval '2 hours', "
        "now() - interval '1 hour')"
    )
    told = await office.tell()

    assert told["operator"] == "Asha"
    assert {row["user_id"] for row in told["users"]} == {str(scene.mine), str(scene.theirs)}
    assert [(row["user_id"], row["own"]) for row in told["halts"]] == [
        (str(scene.theirs), True),
        (None, False),
    ]
    assert "the-secret-one" not in str(told)


CHECKS: Final[tuple[Check, ...]] = (
    operators_are_read_by_the_service_and_written_by_functions,
    functions_of_operators_are_for_their_role,
    functions_of_operators_trust_no_search_path,
    a_grant_too_many_shows_no_operator,
    who_operates_is_declared_once_and_removed_for_good,
    what_is_said_of_operators_has_its_form,
    operators_and_actions_stay_as_evidence,
    who_operates_nothing_is_told_and_does_nothing,
    an_operator_who_signed_out_is_none,
    each_action_is_the_halt_of_its_name,
    reducing_keeps_what_else_was_asked_of_operators_only,
    an_action_is_kept_with_who_to_whom_and_why,
    an_action_needs_its_reason_and_a_user_who_is,
    an_operator_is_told_every_user_and_halt_and_no_token,
)

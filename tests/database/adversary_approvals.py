"""What approvals promise, as `tests.database.adversary` has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Row, Scene
from tests.database.adversary_operators import Office
from tests.database.conftest import acting_as

TABLES: Final = ("approval_modes", "approvals")
SERVICE: Final = {
    *("set_approvals", "leave_decision", "take_approvals", "approval_told"),
    *("answer_approval", "approvals_view"),
}
USERS: Final = {"operator_approve"}
INNER: Final = {"approval_missing"}
LEFT_MS: Final = 60_000
RECORD: Final = (
    '{"symbol": "TCS", "instrument": "NSE_EQ:11536", "action": "BUY", "reference_price": 350000}'
)
MODE: Final[Row] = {"seconds": 60, "began_by": "Asha", "reason": "expiry day", "since": "now"}
LEFT: Final[Row] = {
    "record": RECORD,
    "partition": 0,
    "place": 7,
    "published_at": 1,
    "exits": [],
    "users": 2,
    "value_paise": 700_000,
    "asked_at": "now",
    "deadline": "now",
    "held_until": "now",
}
ENDED: Final[Row] = {"ended_at": "now", "ended_by": "b", "end_reason": "r"}
YES: Final[Row] = {"answer": "yes", "answered_at": "now", "answered_by": "b"}
# what a check of a column must refuse
BAD: Final[dict[str, tuple[Row, ...]]] = {
    "approval_modes": (
        *({"seconds": 9}, {"seconds": 301}, {"began_by": ""}, {"reason": ""}),
        *({"ended_at": "now"}, ENDED | {"ended_by": ""}, ENDED | {"end_reason": ""}),
    ),
    "approvals": (
        *(
            {"record": "[]"},
            {"users": 0},
            {"value_paise": 0},
            YES | {"answer": "perhaps", "answered_by": None},
        ),
        *(YES | {"answered_at": None}, YES | {"answered_by": ""}, YES | {"answer_reason": ""}),
        *(YES | {"answered_by": None}, YES | {"answer": "timed_out"}, {"answered_by": "b"}),
    ),
}


@dataclass(frozen=True, slots=True)
class Approvals:
    """Entries wait for a minute, unless told otherwise; `mine` operates."""

    scene: Scene

    @classmethod
    async def on(cls, scene: Scene) -> Approvals:
        await Office(scene).add()
        approvals = cls(scene)
        await approvals.act("approvals_on", seconds=60, reason="expiry day")
        return approvals

    async def act(
        self,
        action: str,
        decision: UUID | None = None,
        *,
        seconds: int | None = None,
        reason: str | None = None,
        by: UUID | None = None,
    ) -> Row:
        query = "select operator_approve($1, $2, $3, $4)"
        told = await self.scene.user(
            by or self.scene.mine, query, action, decision, seconds, reason
        )
        return dict(orjson.loads(told))

    async def decision(self) -> UUID:
        made: UUID = await self.scene.sql.fetchval(
            "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
            "returning id"
        )
        return made

    async def leave(
        self, decision: UUID | None = None, left: int = LEFT_MS, record: str = RECORD
    ) -> Row:
        told = await self.scene.service(
            "select leave_decision($1, $2, 0, 7, 1, $3, 2, 700000, $4)",
            *(decision or await self.decision(), record, [self.scene.theirs], left),
        )
        return dict(orjson.loads(told))

    async def waiting(self, left: int = LEFT_MS) -> UUID:
        decision = await self.decision()
        await self.leave(decision, left)
        return decision

    async def claim(self, decision: UUID, *, closes: bool = False) -> str:
        order = uuid4()
        told = await self.scene.service(
            "select claim_order($1, $2, $3, $4, null, $5)",
            *(self.scene.mine, decision, order, order.hex[:25], closes),
        )
        answer = orjson.loads(told)
        return str(answer.get("reason") or answer["status"])

    async def take(self, hold: int = 0) -> Row:
        told = await self.scene.service("select take_approvals(16, $1)", hold)
        return dict(orjson.loads(told))

    async def view(self) -> Row:
        return dict(orjson.loads(await self.scene.service("select approvals_view()")))


async def approvals_are_read_by_nobody_and_written_by_functions(scene: Scene) -> None:
    await Approvals.on(scene)
    held = await scene.sql.fetch(
        "select t as table, r as role, p as privilege from unnest($1::text[]) t, unnest($2::text[])"
        " r, unnest(array['select', 'insert', 'update', 'delete']) p "
        "where has_table_privilege(r, 'private.' || t, p) and has_schema_privilege(r, 'private', "
        "'usage')",
        TABLES,
        ROLES,
    )

    assert held == []


async def a_grant_too_many_shows_no_approval(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    await approvals.waiting()
    await scene.sql.execute("grant usage on schema private to anon, authenticated")
    await scene.sql.execute(
        "grant select on private.approval_modes, private.approvals to anon, authenticated"
    )
    for role in ("anon", "authenticated"):
        async with acting_as(scene.sql, role, scene.mine):
            for table in TABLES:
                assert await scene.sql.fetchval(f"select count(*) from private.{table}") == 0, table


async def functions_of_approvals_are_for_their_role(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, proname from pg_proc where proname = any ($1)) "
        "select proname, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        SERVICE | USERS | INNER,
        ("public", *ROLES),
    )

    wanted = {(name, "service_role") for name in SERVICE}
    assert {tuple(row) for row in rows} == wanted | {(name, "authenticated") for name in USERS}


async def functions_of_approvals_trust_no_search_path(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "select proname, prosecdef, coalesce(array_to_string(proconfig, ' '), '') as settings "
        "from pg_proc where proname = any ($1)",
        SERVICE | USERS | INNER,
    )

    assert {row["proname"] for row in rows if row["prosecdef"]} == SERVICE | USERS
    assert [row["proname"] for row in rows if 'search_path=""' not in row["settings"]] == []


async def who_operates_nothing_approves_nothing(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.waiting()
    for action in ("approve", "refuse", "approvals_off", "approvals_on"):
        await scene.refuses(
            asyncpg.InsufficientPrivilegeError,
            approvals.act(action, decision, reason="mine now", by=scene.theirs),
        )
    await Office(scene).remove()
    await scene.refuses(asyncpg.InsufficientPrivilegeError, approvals.act("approve", decision))

    assert await approvals.claim(decision) == "not_approved"
    assert (await approvals.view())["mode"]["seconds"] == 60


async def what_is_said_of_approvals_has_its_form(scene: Scene) -> None:
    mode = await scene.sql.fetchval(
        "insert into private.approval_modes (seconds, began_by, reason, ended_at, ended_by, "
        "end_reason) values (60, 'a', 'r', now(), 'b', 'r') returning id"
    )
    decision = str(await Approvals(scene).decision())
    good: dict[str, Row] = {
        "approval_modes": MODE,
        "approvals": LEFT | {"decision_id": decision, "mode_id": mode},
    }
    for table, bad in BAD.items():
        names = await scene.sql.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 "
            "and attidentity = ''",
            f"private.{table}",
        )
        columns = ", ".join(one["attname"] for one in names)
        insert = (
            f"insert into private.{table} ({columns}) select {columns} "
            f"from jsonb_populate_record(null::private.{table}, $1)"
        )
        for changes in bad:
            row = orjson.dumps(good[table] | changes).decode()
            await scene.refuses(asyncpg.CheckViolationError, scene.sql.execute(insert, row))
        await scene.sql.execute(insert, orjson.dumps(good[table]).decode())


async def a_record_that_cannot_be_shown_hides_no_other(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    shown = await approvals.waiting()
    for record in ("", "{", RECORD.replace("TCS", "\\u0000"), RECORD.replace("350000", "0.5")):
        await scene.refuses(asyncpg.DataError, approvals.leave(record=record))

    assert [row["decision_id"] for row in (await approvals.view())["waiting"]] == [str(shown)]


async def approvals_stay_as_evidence(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.waiting()
    refused = asyncpg.InsufficientPrivilegeError
    await scene.refuses(refused, scene.sql.execute("update private.approvals set users = 1"))
    await approvals.act("approve", decision)
    await approvals.act("approvals_off", reason="over")
    for change in (
        *("delete from private.approvals", "update private.approvals set answer = 'no'"),
        "update private.approval_modes set reason = 'x'",
    ):
        await scene.refuses(refused, scene.sql.execute(change))
    await scene.sql.execute("alter table private.approvals disable trigger user")
    await scene.sql.execute("delete from private.approvals")
    await scene.refuses(refused, scene.sql.execute("delete from private.approval_modes"))


async def no_entry_is_claimed_without_the_yes_and_exits_always_are(scene: Scene) -> None:
    approvals = Approvals(scene)
    off = await approvals.claim(await approvals.decision())
    approvals = await Approvals.on(scene)
    unasked = await approvals.decision()
    waits, yes, no, exit_ = [await approvals.waiting() for _ in range(4)]
    await approvals.act("approve", yes)
    await approvals.act("refuse", no)

    assert off == "claimed"
    assert [await approvals.claim(each) for each in (unasked, waits, no)] == ["not_approved"] * 3
    assert await approvals.claim(yes) == "claimed"
    assert await approvals.claim(exit_, closes=True) == "claimed"


async def a_halt_after_the_yes_counts(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.waiting()
    await approvals.act("approve", decision)
    await scene.halt(None)

    assert await approvals.claim(decision) == "halted"


async def what_waits_when_the_mode_ends_needs_its_yes(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    waits, other = await approvals.waiting(), await approvals.decision()
    await approvals.act("approvals_off", reason="over")
    again, unasked = await approvals.leave(waits), await approvals.leave(other)
    before = await approvals.claim(waits)
    await approvals.act("approve", waits)

    assert (again["status"], unasked) == ("left", {"status": "off"})
    assert [before, await approvals.claim(waits), await approvals.claim(other)] == [
        *("not_approved", "claimed", "claimed")
    ]


async def the_first_answer_stands_whoever_gives_the_second(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    await Office(scene).add(scene.theirs)
    decision = await approvals.waiting()
    answers = [
        await approvals.act("refuse", decision, reason=" too thin "),
        await approvals.act("approve", decision, by=scene.theirs),
        await approvals.act("refuse", decision),
        await approvals.act("approve", uuid4()),
    ]
    (told,) = (await approvals.view())["answered"]

    assert [each["status"] for each in answers] == [
        *("answered", "answered_already", "answered_already", "unknown")
    ]
    assert {each["answer"] for each in answers} == {"no", None}
    assert (told["answer"], told["answered_by"], told["answer_reason"]) == (
        *("no", "Asha"),
        "too thin",
    )
    assert await approvals.claim(decision) == "not_approved"


async def after_the_deadline_no_yes_counts(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    seen, unseen = await approvals.waiting(left=0), await approvals.waiting(left=-5)
    early = await approvals.act("approve", unseen)
    taken = await approvals.take()
    late = await approvals.act("approve", seen)

    assert (early["status"], late["status"]) == ("timed_out", "timed_out")
    assert {each["answer"] for each in taken["due"]} == {"timed_out"}
    assert await approvals.claim(seen) == "not_approved"


async def a_decision_is_left_once_and_waits_its_own_time_at_most(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.decision()
    first = await approvals.leave(decision, 20_000)
    again = await approvals.leave(decision, LEFT_MS)
    await approvals.leave(left=10 * LEFT_MS)
    shown = (await approvals.view())["waiting"]

    assert first == again
    assert first["exits"] == [str(scene.theirs)]
    assert [round(each["left_ms"] / 10_000) for each in shown] == [2, 6]
    assert (shown[0]["symbol"], shown[0]["action"], shown[0]["price_paise"]) == (
        *("TCS", "BUY"),
        350_000,
    )


async def an_answer_is_told_until_it_was(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision, waits = await approvals.waiting(), await approvals.waiting()
    before = await approvals.take()
    await approvals.act("approve", decision)
    dead, held, none = (
        await approvals.take(),
        await approvals.take(60_000),
        await approvals.take(),
    )
    await scene.service("select approval_told($1)", decision)
    await scene.sql.execute("update private.approvals set held_until = '-infinity'")
    told = await approvals.take()

    assert (before["due"], before["waiting"], before["on"]) == ([], 2, True)
    assert dead["due"] == held["due"]
    assert [each["decision_id"] for each in held["due"]] == [str(decision)]
    assert held["due"][0]["record"] == RECORD
    assert (none["due"], told["due"], told["waiting"]) == ([], [], 1)
    assert [each["decision_id"] for each in (await approvals.view())["waiting"]] == [str(waits)]


async def what_operators_do_about_approvals_is_kept(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.waiting()
    again = await approvals.act("approvals_on", seconds=60, reason="again")
    shorter = await approvals.act("approvals_on", seconds=30, reason="busy")
    await approvals.act("approve", decision)
    ended = await approvals.act("approvals_off", reason="over")
    kept = await scene.sql.fetch(
        "select action, reason, outcome ->> 'decision' as decision from operator_actions "
        "order by id"
    )
    modes = await scene.sql.fetch(
        "select seconds, began_by, ended_by, end_reason from private.approval_modes order by id"
    )
    bad = asyncpg.CheckViolationError
    await scene.refuses(bad, approvals.act("approvals_on", seconds=60, reason=" "))
    for action in ("halt", "resume"):
        await scene.refuses(asyncpg.InvalidParameterValueError, approvals.act(action, reason="r"))

    assert [each["changed"] for each in (again, shorter, ended)] == [False, True, True]
    assert [tuple(row) for row in kept] == [
        ("approvals_on", "expiry day", None),
        ("approvals_on", "again", None),
        ("approvals_on", "busy", None),
        ("approve", "approve", str(decision)),
        ("approvals_off", "over", None),
    ]
    assert [tuple(row) for row in modes] == [
        (60, "Asha", "Asha", "busy"),
        (30, "Asha", "Asha", "over"),
    ]


async def an_operator_is_told_what_waits(scene: Scene) -> None:
    approvals = await Approvals.on(scene)
    decision = await approvals.waiting()
    told: Any = await Office(scene).tell()

    assert told["approvals"]["mode"]["began_by"] == "Asha"
    assert [each["decision_id"] for each in told["approvals"]["waiting"]] == [str(decision)]


CHECKS: Final[tuple[Check, ...]] = (
    approvals_are_read_by_nobody_and_written_by_functions,
    a_grant_too_many_shows_no_approval,
    functions_of_approvals_are_for_their_role,
    functions_of_approvals_trust_no_search_path,
    who_operates_nothing_approves_nothing,
    what_is_said_of_approvals_has_its_form,
    a_record_that_cannot_be_shown_hides_no_other,
    approvals_stay_as_evidence,
    no_entry_is_claimed_without_the_yes_and_exits_always_are,
    a_halt_after_the_yes_counts,
    what_waits_when_the_mode_ends_needs_its_yes,
    the_first_answer_stands_whoever_gives_the_second,
    after_the_deadline_no_yes_counts,
    a_decision_is_left_once_and_waits_its_own_time_at_most,
    an_answer_is_told_until_it_was,
    what_operators_do_about_approvals_is_kept,
    an_operator_is_told_what_waits,
)

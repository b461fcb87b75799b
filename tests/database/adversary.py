"""What the book and the halts promise, whoever calls: each promise one check of an open
transaction, in which `test_adversary.py` has applied our migrations, or a mutant of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import orjson

from tests.database.conftest import Connection, acting_as

Row: TypeAlias = dict[str, Any]

TABLES: Final = ("order_states", "trades", "positions", "trading_halts", "user_limits")
ROLES: Final = ("anon", "authenticated", "service_role")
SERVICE: Final = {
    *("record_order_states", "record_trades", "record_positions"),
    *("halt_trading", "lift_halt", "halts_in_force", "claim_order"),
    *("account_credentials", "keep_judgement", "record_judged_outcome"),
    *("leave_order", "take_unresolved_orders", "trading_keys"),
    *("release_unresolved_order", "unresolved_order_told"),
    "impose_halt",
}
USERS: Final = {
    *("halt_own_trading", "lift_own_halt"),
}
# run as who calls them, and have no rights of their own
INVOKED: Final = {"own_account", "own_halts", "log_outcome"}
INNER: Final = {
    *("refuse_too_many", "halt_key", "wait_for_claims", "halt", "is_halted"),
    "has_unresolved_order",
    *("in_force", "halt_until", "is_stopped"),
}
HALT_COLUMNS: Final = {
    *("id", "user_id", "own", "reason", "flatten", "broker_kill", "since", "lifted_at"),
    *("all_orders", "until"),
}

ORDER: Final[Row] = {
    "dhan_order_id": "112111182198",
    "leg": "entry",
    "trading_date": "2026-11-20",
    "dhan_correlation_id": "AT1",
    "instrument": "NSE_EQ:2885",
    "symbol": "RELIANCE",
    "side": "BUY",
    "product": "INTRADAY",
    "order_type": "LIMIT",
    "status": "PENDING",
    "status_word": "PENDING",
    "quantity": 10,
    "filled": 0,
    "filled_value_paise": 0,
    "price_paise": 150_000,
    "trigger_paise": 0,
    "updated_at": "2026-11-20T04:00:00Z",
    "reason": "",
    "version": 5,
}
TRADE: Final[Row] = {
    "dhan_order_id": "112111182198",
    "trade_id": "15112111182045",
    "trading_date": "2026-11-20",
    "instrument": "NSE_EQ:2885",
    "symbol": "RELIANCE",
    "side": "BUY",
    "product": "INTRADAY",
    "quantity": 10,
    "price_paise": 150_000,
    "traded_at": "2026-11-20T04:00:01Z",
    "charges_paise": 812,
    "version": 5,
}
POSITION: Final[Row] = {
    "trading_date": "2026-11-20",
    "instrument": "NSE_EQ:2885",
    "symbol": "RELIANCE",
    "bought": 10,
    "bought_value_paise": 1_500_000,
    "sold": 10,
    "sold_value_paise": 1_510_000,
    "net": 0,
    "realised_paise": 10_000,
    "charges_paise": 1_800,
    "resting_stop": 0,
    "unprotected_ms": 40,
    "closed_by": "target",
    "by_trades": True,
    "agrees": True,
    "version": 5,
}
RECORDED: Final = {"order_states": ORDER, "trades": TRADE, "positions": POSITION}

_LONG: Final = "x" * 101
_COMMON: Final[Row] = {"instrument": "NSE_EQ", "symbol": _LONG, "version": -1}
# one value that each check of a column must refuse
BAD: Final[dict[str, Row]] = {
    "order_states": _COMMON
    | {"dhan_order_id": "with space", "leg": "stop", "dhan_correlation_id": "x" * 41}
    | {"side": "HOLD", "product": _LONG, "order_type": _LONG, "status": "pending"}
    | {"status_word": _LONG, "quantity": -1, "filled": -1, "filled_value_paise": -1}
    | {"price_paise": -1, "trigger_paise": -1, "reason": "x" * 4_001},
    "trades": _COMMON
    | {"dhan_order_id": "", "trade_id": "", "side": "HOLD", "product": _LONG}
    | {"quantity": 0, "price_paise": 0, "charges_paise": -1},
    "positions": _COMMON
    | {"bought": -1, "bought_value_paise": -1, "sold": -1, "sold_value_paise": -1}
    | {"charges_paise": -1, "resting_stop": -1, "unprotected_ms": -1, "closed_by": "My Phone"},
}
HALT: Final[Row] = {
    "user_id": None,
    "own": False,
    "halted_by": "Asha",
    "reason": "drill",
    "flatten": False,
    "broker_kill": False,
}
LIFTED: Final = (
    "insert into trading_halts (user_id, own, halted_by, reason, flatten, broker_kill, lifted_at, "
    "lifted_by, lift_reason) select $1, $3, 'x', 'r', false, false, clock_timestamp(), 'x', 'r' "
    "from generate_series(1, $2)"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Two users who may trade, and one transaction, undone after each check."""

    sql: Connection
    mine: UUID
    theirs: UUID

    @asynccontextmanager
    async def as_role(self, role: str, user: UUID | None = None) -> AsyncIterator[None]:
        """As `acting_as`, and what was done stays."""
        claims = {"role": role} | ({"sub": str(user)} if user else {})
        latest = "select id::text from auth.sessions where user_id = $1"
        if user and (session := await self.sql.fetchval(latest, user)):
            claims["session_id"] = session
        setting = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"
        async with self.sql.transaction():
            await self.sql.execute(setting, role, orjson.dumps(claims).decode())
            yield
            await self.sql.execute(setting, "none", "")

    async def service(self, query: str, *arguments: object) -> Any:
        async with self.as_role("service_role"):
            return await self.sql.fetchval(query, *arguments)

    async def user(self, user: UUID | None, query: str, *arguments: object) -> Any:
        async with self.as_role("authenticated", user):
            return await self.sql.fetchval(query, *arguments)

    async def refuses(self, error: type[Exception], call: Coroutine[Any, Any, Any]) -> None:
        """The call ends in `error`, and leaves nothing."""
        try:
            async with self.sql.transaction():
                await call
        except error:
            return
        raise AssertionError(f"not refused with {error.__name__}")

    async def record(self, table: str, *rows: Row, user: UUID | None = None) -> int:
        mine = [{"user_id": str(user or self.mine)} | row for row in rows]
        changed: int = await self.service(f"select record_{table}($1)", orjson.dumps(mine).decode())
        return changed

    async def only_row(self, table: str) -> Row:
        (row,) = await self.sql.fetch(f"select * from {table} where user_id = $1", self.mine)
        return dict(row)

    async def claim(self, user: UUID | None = None, *, closes: bool = False) -> str:
        """The status of a new claim; of a refused one its reason."""
        decision = await self.sql.fetchval(
            "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', 'r') "
            "returning id"
        )
        order = uuid4()
        answer = orjson.loads(
            await self.service(
                "select claim_order($1, $2, $3, $4, null, $5)",
                *(user or self.mine, decision, order, order.hex[:25], closes),
            )
        )
        return str(answer.get("reason") or answer["status"])

    async def halt(self, user: UUID | None, *, flatten: bool = False, kill: bool = False) -> Row:
        told = await self.service(
            "select halt_trading($1, 'Asha', 'drill', $2, $3)", user, flatten, kill
        )
        return dict(orjson.loads(told))

    async def lift(self, user: UUID | None) -> int:
        lifted: int = await self.service("select lift_halt($1, 'Asha', 'over')", user)
        return lifted

    async def limit(self, user: UUID | None = None, **limits: Any) -> None:
        """As an operator."""
        await self.service(
            "select set_user_limits($1, $2, 'Asha', 'agreed')",
            user or self.mine,
            orjson.dumps(limits).decode(),
        )

    async def lift_for_good(self) -> None:
        """Those that do not end by themselves."""
        await self.sql.execute(
            "update trading_halts set lifted_at = clock_timestamp(), lifted_by = 'x', "
            "lift_reason = 'y' where until is null"
        )

    async def in_force(self, known: str | None = None) -> Row:
        return dict(orjson.loads(await self.service("select halts_in_force($1)", known)))


Check: TypeAlias = Callable[[Scene], Awaitable[None]]


async def tables_grant_reading_to_whom_it_concerns_and_writing_to_nobody(scene: Scene) -> None:
    held = await scene.sql.fetch(
        "select t as table, r as role, p as privilege from unnest($1::text[]) t, unnest($2::text[])"
        " r, unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', "
        "'trigger']) p where has_table_privilege(r, 'public.' || t, p)",
        TABLES,
        ROLES,
    )
    columns = await scene.sql.fetch(
        "select attname from pg_attribute where attrelid = 'trading_halts'::regclass and attnum > 0"
        " and has_column_privilege('authenticated', attrelid, attname, 'select')"
    )

    readers = {(table, "service_role") for table in TABLES}
    readers |= {(table, "authenticated") for table in (*RECORDED, "user_limits")}
    assert {tuple(row) for row in held} == {(*reader, "select") for reader in readers}
    assert {row["attname"] for row in columns} == HALT_COLUMNS


async def functions_are_for_their_role(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, proname from pg_proc where proname = any ($1)) "
        "select proname, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        SERVICE | USERS | INNER | {"own_halts"},
        ("public", *ROLES),
    )

    wanted = {(name, "service_role") for name in SERVICE}
    of_users = USERS | {"own_halts"}
    assert {tuple(row) for row in rows} == wanted | {(name, "authenticated") for name in of_users}


async def functions_trust_no_search_path_and_entries_run_as_their_owner(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "select proname, prosecdef, coalesce(array_to_string(proconfig, ' '), '') as settings "
        "from pg_proc where proname = any ($1)",
        SERVICE | USERS | INNER | INVOKED,
    )

    assert {row["proname"] for row in rows if row["prosecdef"]} == SERVICE | USERS
    assert [row["proname"] for row in rows if 'search_path=""' not in row["settings"]] == []


async def everybody_reads_their_own_rows_only(scene: Scene) -> None:
    for user in (scene.mine, scene.theirs):
        for table, row in RECORDED.items():
            await scene.record(table, row, user=user)
        await scene.halt(user)
    await scene.halt(None)

    for table in RECORDED:
        async with acting_as(scene.sql, "authenticated", scene.mine):
            rows = await scene.sql.fetch(f"select user_id from {table}")
        assert [row["user_id"] for row in rows] == [scene.mine], table
        async with acting_as(scene.sql, "service_role"):
            assert await scene.sql.fetchval(f"select count(*) from {table}") == 2, table
    async with acting_as(scene.sql, "authenticated", scene.mine):
        rows = await scene.sql.fetch("select user_id from trading_halts order by id")
        halts = orjson.loads(await scene.sql.fetchval("select own_halts()"))["halts"]
    assert [row["user_id"] for row in rows] == [scene.mine, None]
    assert [(halt["own"], halt["everybody"]) for halt in halts] == [(False, False), (False, True)]
    async with acting_as(scene.sql, "service_role"):
        assert await scene.sql.fetchval("select count(*) from trading_halts") == 3


async def a_grant_too_many_still_shows_no_row(scene: Scene) -> None:
    """Row level security holds by itself, for roles without a policy too."""
    for table, row in RECORDED.items():
        await scene.record(table, row)
    await scene.halt(None)
    await scene.sql.execute(f"grant select on {', '.join(TABLES)} to anon")
    async with acting_as(scene.sql, "anon"):
        for table in TABLES:
            assert await scene.sql.fetchval(f"select count(*) from {table}") == 0, table


async def a_grant_too_many_shows_no_unresolved_order(scene: Scene) -> None:
    assert await scene.claim() == "claimed"
    await scene.sql.execute(
        "insert into private.unresolved_orders (user_id, decision_id, intent, partition, place)"
        " select user_id, decision_id, '{}', 0, 0 from private.order_claims"
    )
    await scene.sql.execute("grant usage on schema private to anon")
    await scene.sql.execute("grant select on private.unresolved_orders to anon")
    async with acting_as(scene.sql, "anon"):
        assert await scene.sql.fetchval("select count(*) from private.unresolved_orders") == 0


async def values_out_of_bounds_are_refused(scene: Scene) -> None:
    async with scene.as_role("service_role"):
        for table, row in RECORDED.items():
            for field, value in BAD[table].items():
                bad = [row | {"user_id": str(scene.mine), field: value}]
                call = scene.sql.execute(f"select record_{table}($1)", orjson.dumps(bad).decode())
                await scene.refuses(asyncpg.CheckViolationError, call)


async def rows_come_a_thousand_at_most_in_an_array(scene: Scene) -> None:
    many = orjson.dumps([{}] * 1_001).decode()
    for table in RECORDED:
        for given in (many, "{}", None):
            call = scene.service(f"select record_{table}($1)", given)
            await scene.refuses(asyncpg.InvalidParameterValueError, call)


async def what_is_repeated_or_older_changes_nothing(scene: Scene) -> None:
    changes: dict[str, Row] = {
        "order_states": {"status": "TRADED", "filled": 10},
        "trades": {"charges_paise": 900},
        "positions": {"net": 5, "sold": 5},
    }
    for table, row in RECORDED.items():
        changed = changes[table]
        counts = [
            await scene.record(table, row),
            await scene.record(table, row | changed),
            await scene.record(table, row | changed | {"version": 4}),
        ]
        before = await scene.only_row(table)
        counts.append(await scene.record(table, row | changed | {"version": 6}))
        after = await scene.only_row(table)

        assert counts == [1, 0, 0, 1], table
        assert before["version"] == 5
        assert all(before[field] == row[field] for field in changed), table
        assert all(after[field] == value for field, value in changed.items()), table


async def of_one_call_the_newest_of_a_row_counts(scene: Scene) -> None:
    for table, row in RECORDED.items():
        versions = [row | {"version": version} for version in (7, 9, 8)]

        assert await scene.record(table, *versions) == 1, table
        assert (await scene.only_row(table))["version"] == 9, table


async def what_was_traded_never_changes(scene: Scene) -> None:
    await scene.record("trades", TRADE)
    later = {"quantity": 1, "price_paise": 1, "side": "SELL", "charges_paise": 5, "version": 6}
    await scene.record("trades", TRADE | later)

    row = await scene.only_row("trades")

    assert (row["quantity"], row["price_paise"], row["side"]) == (10, 150_000, "BUY")
    assert row["charges_paise"] == 5


async def an_order_is_ours_by_its_claim(scene: Scene) -> None:
    assert await scene.claim() == "claimed"
    claim = await scene.sql.fetchrow(
        "select order_id, decision_id, correlation_id from private.order_claims where user_id = $1",
        scene.mine,
    )
    assert claim is not None
    named = ORDER | {"dhan_correlation_id": claim["correlation_id"]}

    await scene.record("order_states", named)
    await scene.record("order_states", named, user=scene.theirs)

    rows = await scene.sql.fetch("select user_id, order_id, decision_id from order_states")
    assert {row["user_id"]: row["order_id"] for row in rows} == {
        scene.mine: claim["order_id"],
        scene.theirs: None,
    }
    assert (await scene.only_row("order_states"))["decision_id"] == claim["decision_id"]


async def a_claim_has_a_name_that_dhan_takes(scene: Scene) -> None:
    for name in ("", "with space", None):
        call = scene.service("select claim_order($1, $2, $2, $3)", scene.mine, uuid4(), name)
        await scene.refuses(asyncpg.InvalidParameterValueError, call)


async def a_halt_stops_claims_of_whom_it_names(scene: Scene) -> None:
    claims = [await scene.claim()]
    await scene.halt(scene.theirs)
    claims += [await scene.claim(), await scene.claim(scene.theirs)]
    await scene.lift(scene.theirs)
    await scene.halt(None)
    claims += [await scene.claim(), await scene.claim(scene.theirs)]
    await scene.lift(None)
    claims += [await scene.claim(), await scene.claim(scene.theirs)]

    assert claims == ["claimed", *("claimed", "halted"), *("halted",) * 2, *("claimed",) * 2]


async def what_only_closes_passes_halts_and_the_switch(scene: Scene) -> None:
    await scene.halt(None, flatten=True)
    await scene.halt(scene.mine)
    await scene.user(scene.mine, "select halt_own_trading()")
    halted = await scene.claim(closes=True)
    await scene.sql.execute("update user_trading_keys set is_trading_enabled = false")
    switched_off = [await scene.claim(), await scene.claim(closes=True)]
    rows = await scene.sql.fetch("select closes from private.order_claims")

    assert (halted, switched_off) == ("claimed", ["switched_off", "claimed"])
    assert [row["closes"] for row in rows] == [True, True]


async def nobody_lifts_the_halt_of_another(scene: Scene) -> None:
    await scene.user(scene.mine, "select halt_own_trading()")
    await scene.user(scene.theirs, "select halt_own_trading()")
    operators = await scene.lift(scene.mine)
    own = await scene.claim()
    await scene.halt(scene.mine)
    await scene.halt(None)
    lifted = await scene.user(scene.mine, "select lift_own_halt()")
    still = await scene.in_force()
    others = await scene.lift(None), await scene.claim()
    ended = await scene.lift(scene.mine), await scene.claim(), await scene.claim(scene.theirs)

    assert (operators, own, lifted) == (0, "halted", True)
    assert {row["user_id"] for row in still["halts"]} == {
        str(scene.mine),
        str(scene.theirs),
        None,
    }
    assert others == (1, "halted")
    assert ended == (1, "claimed", "halted")


async def a_user_lifts_nothing_twice(scene: Scene) -> None:
    await scene.user(scene.mine, "select halt_own_trading()")
    lifted = [await scene.user(scene.mine, "select lift_own_halt()") for _ in range(2)]
    operators = await scene.lift(scene.mine), await scene.lift(None)

    assert (lifted, operators) == ([True, False], (0, 0))


async def a_halt_asked_for_again_is_one_and_asking_for_more_is_another(scene: Scene) -> None:
    first = [(await scene.halt(user))["first"] for user in (None, None, scene.mine)]
    more = [
        (await scene.halt(scene.mine, flatten=True))["first"],
        (await scene.halt(scene.mine, kill=True))["first"],
        (await scene.halt(scene.mine, flatten=True))["first"],
        (await scene.halt(scene.mine))["first"],
    ]
    own = orjson.loads(await scene.user(scene.mine, "select halt_own_trading()"))["first"]
    await scene.lift(scene.mine)
    again = (await scene.halt(scene.mine, flatten=True))["first"]

    assert (first, more, own) == ([True, False, True], [True, True, False, False], True)
    assert again is True
    assert await scene.lift(scene.mine) == 1


async def what_is_in_force_is_told_once_a_user_and_repeated_only_when_it_changed(
    scene: Scene,
) -> None:
    nothing = await scene.in_force()
    await scene.halt(scene.mine)
    await scene.halt(scene.mine, flatten=True)
    await scene.halt(scene.theirs, kill=True)
    both = await scene.in_force(nothing["digest"])
    same = await scene.in_force(both["digest"])
    await scene.lift(scene.theirs)
    one = await scene.in_force(both["digest"])

    assert nothing["halts"] == []
    assert [(row["user_id"], row["flatten"], row["broker_kill"]) for row in both["halts"]] == [
        (str(scene.mine), True, False),
        (str(scene.theirs), False, True),
    ]
    assert same == {"digest": both["digest"], "halts": None}
    assert [row["user_id"] for row in one["halts"]] == [str(scene.mine)]


async def the_audit_of_keys_takes_no_other_word(scene: Scene) -> None:
    audit = "insert into private.key_audit (user_id, action, actor_role) values ($1, 'read', 'x')"
    await scene.refuses(asyncpg.CheckViolationError, scene.sql.execute(audit, scene.mine))


async def a_halt_changes_once_and_stays(scene: Scene) -> None:
    await scene.halt(None)
    await scene.sql.execute("set local role postgres")  # who owns the tables
    lift = "lifted_at = now(), lifted_by = 'x', lift_reason = 'y'"
    for change in ("reason = 'z'", "halted_by = 'z'", "flatten = true", "broker_kill = true"):
        for statement in (f"set {change}", f"set {change}, {lift}"):
            await scene.refuses(
                asyncpg.InsufficientPrivilegeError,
                scene.sql.execute(f"update trading_halts {statement}"),
            )
    await scene.sql.execute(f"update trading_halts set {lift}")
    for statement in (
        f"update trading_halts set {lift}",
        "update trading_halts set lifted_at = null, lifted_by = null, lift_reason = null",
        "delete from trading_halts",
    ):
        await scene.refuses(
            asyncpg.InsufficientPrivilegeError,
            scene.sql.execute(statement),
        )


async def a_halt_names_who_and_why(scene: Scene) -> None:
    bad: list[Row] = [
        *({"halted_by": ""}, {"reason": ""}, {"own": True}, {"lifted_at": "now"}),
        *({"lifted_by": "", "lifted_at": "now", "lift_reason": "r"},),
        *({"lifted_by": "b", "lifted_at": "now", "lift_reason": ""},),
    ]
    for row in (HALT | each for each in bad):
        names = ", ".join(row)
        values = orjson.dumps(row).decode()
        insert = (
            f"insert into trading_halts ({names}) select {names} from "
            "jsonb_populate_record(null::trading_halts, $1)"
        )
        await scene.refuses(
            asyncpg.CheckViolationError,
            scene.sql.execute(insert, values),
        )


async def a_session_that_ended_halts_and_does_no_more(scene: Scene) -> None:
    await scene.sql.execute("delete from auth.sessions where user_id = $1", scene.mine)

    for statement in ("select halt_own_trading(true)", "select lift_own_halt()"):
        await scene.refuses(
            asyncpg.InsufficientPrivilegeError,
            scene.user(scene.mine, statement),
        )
    await scene.user(scene.mine, "select halt_own_trading()")
    assert await scene.claim() == "halted"


async def nobody_halts_without_signing_in(scene: Scene) -> None:
    for statement in (
        "select halt_own_trading()",
        "select halt_own_trading(true)",
        "select lift_own_halt()",
    ):
        await scene.refuses(asyncpg.InsufficientPrivilegeError, scene.user(None, statement))


async def a_user_lifts_twenty_halts_a_day(scene: Scene) -> None:
    await scene.sql.execute(LIFTED, scene.mine, 19, True)
    await scene.user(scene.mine, "select halt_own_trading()")
    twentieth = await scene.user(scene.mine, "select lift_own_halt()")
    await scene.user(scene.mine, "select halt_own_trading(true)")

    assert twentieth is True
    await scene.refuses(asyncpg.RaiseError, scene.user(scene.mine, "select lift_own_halt()"))
    assert await scene.claim() == "halted"
    await scene.sql.execute("alter table trading_halts disable trigger halts_change_once")
    await scene.sql.execute("update trading_halts set lifted_at = lifted_at - interval '1 day'")
    assert await scene.user(scene.mine, "select lift_own_halt()") is True


async def halts_of_operators_and_others_count_for_no_user(scene: Scene) -> None:
    await scene.sql.execute(LIFTED, scene.mine, 20, False)
    await scene.sql.execute(LIFTED, scene.theirs, 20, True)
    await scene.user(scene.mine, "select halt_own_trading()")

    assert await scene.user(scene.mine, "select lift_own_halt()") is True


async def what_the_gate_saw_last_is_kept_with_the_first_outcome_and_never_changes(
    scene: Scene,
) -> None:
    def saw(what: str) -> str:
        return orjson.dumps({"verdict": what}).decode()

    assert await scene.claim() == "claimed"
    claim = await scene.sql.fetchrow("select * from private.order_claims")
    assert claim is not None
    names = (scene.mine, claim["decision_id"], claim["order_id"])
    terms = {"side": "BUY", "quantity": 1, "price": 1, "event_time": 1, "symbol": "TCS"}
    terms |= {"instrument": "NSE_EQ:1"}
    write = "update private.order_claims set terms = $1 returning terms"
    read = "select terms from private.order_claims"
    keep = "select keep_judgement($1, $2, $3, $4)"
    record = "select record_judged_outcome($1, $2, $3, 'denied', null, 'halted', $4)"

    await scene.sql.execute(write, orjson.dumps(terms).decode())
    await scene.service(keep, *names, saw("without evidence"))
    without = orjson.loads(await scene.sql.fetchval(read))
    await scene.sql.execute(write, orjson.dumps(terms | {"evidence": {"asked": 1}}).decode())
    for key in ((scene.theirs, *names[1:]), (names[0], uuid4(), names[2]), (*names[:2], uuid4())):
        await scene.service(keep, *key, saw("another"))
    await scene.service(keep, *names, None)
    untouched = orjson.loads(await scene.sql.fetchval(read))
    await scene.service(keep, *names, saw("first"))
    told = orjson.loads(await scene.service(record, *names, saw("second")))
    await scene.service(keep, *names, saw("third"))
    again = orjson.loads(await scene.service(record, *names, saw("fourth")))

    assert without == terms
    assert untouched["evidence"] == {"asked": 1}
    assert (told["first"], told["outcome"], again["first"]) == (True, "denied", False)
    assert told["terms"] == again["terms"]
    assert told["terms"]["evidence"] == {"asked": 1, "judgement": {"verdict": "second"}}


async def what_is_kept_of_an_order_is_bounded(scene: Scene) -> None:
    assert await scene.claim() == "claimed"
    large = "update private.order_claims set terms = terms || $1"
    terms = {"side": "BUY", "quantity": 1, "price": 1, "event_time": 1, "symbol": "TCS"}
    terms |= {"instrument": "NSE_EQ:1"}
    await scene.sql.execute(
        "update private.order_claims set terms = $1", orjson.dumps(terms).decode()
    )
    more = orjson.dumps({"evidence": "x" * 16_384}).decode()
    await scene.refuses(asyncpg.CheckViolationError, scene.sql.execute(large, more))


async def a_stop_holds_back_what_closes_too_and_no_other_halt_does(scene: Scene) -> None:
    async def both(user: UUID) -> list[str]:
        return [await scene.claim(user), await scene.claim(user, closes=True)]

    impose = "select impose_halt($1, 'Asha', 'drill', $2)"
    await scene.service(impose, scene.theirs, True)
    mine, theirs = await both(scene.mine), await both(scene.theirs)
    told = await scene.in_force()
    await scene.lift(scene.theirs)
    await scene.service(impose, None, False)
    reducing = await both(scene.mine)
    again = orjson.loads(await scene.service(impose, None, True))["first"]
    stopped = await both(scene.mine)
    await scene.lift(None)

    assert (mine, theirs) == (["claimed"] * 2, ["stopped"] * 2)
    assert [row["all_orders"] for row in told["halts"]] == [True]
    assert (reducing, again, stopped) == (["halted", "claimed"], True, ["stopped"] * 2)
    assert await both(scene.mine) == ["claimed"] * 2


async def a_halt_may_end_by_itself(scene: Scene) -> None:
    impose = (
        "select impose_halt($1, 'ats', 'the loss of the day', $2, "
        "clock_timestamp() + $3 * interval '1 second')"
    )

    async def first(user: UUID | None, stop: bool, seconds: float) -> bool:
        return bool(orjson.loads(await scene.service(impose, user, stop, seconds))["first"])

    asked = [await first(scene.mine, False, seconds) for seconds in (60, 30, 90)]
    for_good = (await scene.halt(scene.mine))["first"]
    covered = await first(scene.mine, False, 9_000)
    halted, one = await scene.claim(), await scene.in_force()
    await scene.sql.execute("set local session_replication_role = replica")  # time passes
    await scene.sql.execute(
        "update trading_halts set since = since - interval '1 hour', until = until - interval "
        "'1 hour', all_orders = true"
    )
    await scene.sql.execute("set local session_replication_role = origin")
    await scene.lift_for_good()
    ended, none = await scene.claim(closes=True), await scene.in_force(one["digest"])
    told = await scene.claim()
    after = await first(scene.mine, False, 60)

    assert (asked, for_good, covered) == ([True, False, True], True, False)
    assert (halted, ended, told) == ("halted", "claimed", "claimed")
    assert (len(one["halts"]), none["halts"]) == (1, [])
    assert after is True


async def a_halt_keeps_its_kind_and_its_end(scene: Scene) -> None:
    await scene.service("select impose_halt(null, 'A', 'r', false, now() + interval '1 hour')")
    await scene.sql.execute("set local role postgres")
    for change in ("all_orders = true", "until = null", "until = until + interval '1 hour'"):
        call = scene.sql.execute(f"update trading_halts set {change}")
        await scene.refuses(asyncpg.InsufficientPrivilegeError, call)
    await scene.sql.execute("reset role")
    past = scene.service(
        "select impose_halt($1, 'A', 'r', false, now() - interval '1 hour')", scene.mine
    )
    await scene.refuses(asyncpg.CheckViolationError, past)


# The cheap ones first: a mutant is caught by the first that fails.
CHECKS: Final[tuple[Check, ...]] = (
    tables_grant_reading_to_whom_it_concerns_and_writing_to_nobody,
    functions_are_for_their_role,
    functions_trust_no_search_path_and_entries_run_as_their_owner,
    everybody_reads_their_own_rows_only,
    a_grant_too_many_still_shows_no_row,
    a_grant_too_many_shows_no_unresolved_order,
    rows_come_a_thousand_at_most_in_an_array,
    values_out_of_bounds_are_refused,
    what_is_repeated_or_older_changes_nothing,
    of_one_call_the_newest_of_a_row_counts,
    what_was_traded_never_changes,
    an_order_is_ours_by_its_claim,
    a_halt_names_who_and_why,
    the_audit_of_keys_takes_no_other_word,
    a_halt_changes_once_and_stays,
    a_session_that_ended_halts_and_does_no_more,
    nobody_halts_without_signing_in,
    nobody_lifts_the_halt_of_another,
    a_user_lifts_nothing_twice,
    a_halt_asked_for_again_is_one_and_asking_for_more_is_another,
    what_is_in_force_is_told_once_a_user_and_repeated_only_when_it_changed,
    a_claim_has_a_name_that_dhan_takes,
    a_halt_stops_claims_of_whom_it_names,
    what_only_closes_passes_halts_and_the_switch,
    halts_of_operators_and_others_count_for_no_user,
    a_user_lifts_twenty_halts_a_day,
    what_the_gate_saw_last_is_kept_with_the_first_outcome_and_never_changes,
    what_is_kept_of_an_order_is_bounded,
    a_stop_holds_back_what_closes_too_and_no_other_halt_does,
    a_halt_may_end_by_itself,
    a_halt_keeps_its_kind_and_its_end,
)

"""Row level security and grants, asked of Postgres itself for every table and role."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.database.conftest import Connection, acting_as
from tests.database.fixtures import SignedInUser, SupabaseStack, trading_user

TABLES = (
    "user_trading_keys",
    "daily_scans",
    "analysis_reports",
    "trade_decisions",
    "user_trade_logs",
)
KEY_COLUMNS = (
    "id, user_id, dhan_client_id, is_trading_enabled, token_expiry, created_at, updated_at"
)


@dataclass(frozen=True)
class Scene:
    """Two users, each with keys and one order for a decision of their own, and a decision nobody
    acted on.
    """

    mine: SignedInUser
    theirs: SignedInUser
    my_decision: UUID
    their_decision: UUID
    idle_decision: UUID


@pytest_asyncio.fixture
async def scene(supabase_stack: SupabaseStack, superuser: Connection) -> Scene:
    mine, _ = await trading_user(supabase_stack)
    theirs, _ = await trading_user(supabase_stack)
    my_decision, their_decision, idle_decision = [await a_decision(superuser) for _ in range(3)]
    for user, decision in ((mine, my_decision), (theirs, their_decision)):
        settled = "select public.record_order_outcome($1, $2, $3, 'denied', null, 'outside_hours')"
        await superuser.execute(settled, user.id, decision, uuid4())
    return Scene(mine, theirs, my_decision, their_decision, idle_decision)


async def a_decision(connection: Connection) -> UUID:
    scan_id = await connection.fetchval(
        "insert into daily_scans (date, symbol, scan_result, initial_signal)"
        " values ('2026-11-23', 'TCS', 'SHORTLISTED', 'BULLISH') returning id"
    )
    report = (
        "insert into analysis_reports (scan_id, agent_type, report_data, sentiment_score) "
        "values ($1, 'TECHNICAL', '{}', 5)"
    )
    await connection.execute(report, scan_id)
    decision = (
        "insert into trade_decisions (scan_id, symbol, action, reasoning) values ($1, "
        "'TCS', 'BUY', 'r') returning id"
    )
    decision_id: UUID = await connection.fetchval(decision, scan_id)
    return decision_id


async def visible(connection: Connection, table: str, column: str) -> set[UUID]:
    return {row[0] for row in await connection.fetch(f"select {column} from public.{table}")}


@pytest.mark.parametrize("table", TABLES)
async def test_anon_reaches_no_table(superuser: Connection, table: str) -> None:
    for statement in (
        f"select 1 from {table}",
        f"delete from {table}",
        f"update {table} set id = id",
    ):
        async with acting_as(superuser, "anon"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await superuser.execute(statement)


async def test_a_user_sees_only_their_own_rows(superuser: Connection, scene: Scene) -> None:
    async with acting_as(superuser, "authenticated", scene.mine.id):
        assert await visible(superuser, "user_trading_keys", "user_id") == {scene.mine.id}
        assert await visible(superuser, "user_trade_logs", "user_id") == {scene.mine.id}
        assert await visible(superuser, "trade_decisions", "id") == {scene.my_decision}


async def test_a_token_without_a_user_sees_no_row(superuser: Connection, scene: Scene) -> None:
    async with acting_as(superuser, "authenticated"):
        assert await visible(superuser, "user_trading_keys", "user_id") == set()
        assert await visible(superuser, "user_trade_logs", "user_id") == set()
        assert await visible(superuser, "trade_decisions", "id") == set()


async def test_a_user_turns_their_own_switch_and_no_other(
    superuser: Connection, scene: Scene
) -> None:
    async with acting_as(superuser, "authenticated", scene.mine.id):
        changed = await superuser.fetch(
            "update user_trading_keys set is_trading_enabled = false returning user_id"
        )

    assert [row["user_id"] for row in changed] == [scene.mine.id]


@pytest.mark.parametrize(
    "statement",
    [
        "update user_trading_keys set dhan_access_token = 'x'",
        "update user_trading_keys set dhan_client_id = '1'",
        "update user_trading_keys set token_expiry = now() + interval '9 years'",
        "update user_trading_keys set user_id = gen_random_uuid()",
        "insert into user_trading_keys (user_id) values (auth.uid())",
        "delete from user_trading_keys",
        "select dhan_access_token from user_trading_keys",
        "select * from user_trading_keys",
        "select user_id from user_trading_keys where dhan_access_token like 'd%'",
        "select user_id from user_trading_keys order by dhan_access_token",
        "update user_trading_keys set is_trading_enabled = false returning dhan_access_token",
        "select 1 from daily_scans",
        "select 1 from analysis_reports",
        "update trade_decisions set is_executed = true",
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', '')",
        (
            "insert into user_trade_logs (user_id, decision_id, status) values (auth.uid(), "
            "gen_random_uuid(), 'SUCCESS')"
        ),
        "update user_trade_logs set status = 'SUCCESS'",
        "delete from user_trade_logs",
        "select 1 from private.order_claims",
        "select 1 from private.key_audit",
        "select 1 from private.order_corrections",
        "select 1 from private.order_outcomes",
        "select 1 from private.hand_settlements",
        "delete from private.unpublished_corrections",
        "select begin_order_check(auth.uid(), 0)",
        (
            "select correct_order(auth.uid(), gen_random_uuid(), gen_random_uuid(), 'rejected', "
            "null, 'r')"
        ),
        "select settle_claim_by_hand(gen_random_uuid(), 'not_found', null, 'r', 'me', 0)",
        "select correct_order_by_hand(gen_random_uuid(), 'not_found', null, 'r', 'me')",
        "select * from list_open_claims()",
        (
            "select private.append_correction(auth.uid(), auth.uid(), auth.uid(), 'rejected',"
            " null, 'r', 'me')"
        ),
        "select private.signed_in_user()",
        "select claim_order(auth.uid(), gen_random_uuid(), gen_random_uuid(), 'AT1')",
        (
            "select record_order_outcome(auth.uid(), gen_random_uuid(), gen_random_uuid(), "
            "'denied', null, "
            "null)"
        ),
        "select reconcile_order(auth.uid(), gen_random_uuid())",
        "select leave_order(auth.uid(), gen_random_uuid(), '{}', 0, 0)",
        "select take_unresolved_orders(1, 1)",
        "select 1 from private.unresolved_orders",
        "select encrypted_password from auth.users",
    ],
)
async def test_a_user_may_do_nothing_else(superuser: Connection, statement: str) -> None:
    async with acting_as(superuser, "authenticated", uuid4()):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.execute(statement)


@pytest.mark.parametrize(
    "statement", ["store_dhan_token('1100000001', 'x', now())", "disconnect_dhan()"]
)
async def test_only_a_signed_in_user_touches_a_token(superuser: Connection, statement: str) -> None:
    for role in ("anon", "service_role", "authenticated"):
        async with acting_as(superuser, role):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await superuser.execute(f"select {statement}")


async def test_the_service_reads_every_users_switch_but_no_token(
    superuser: Connection, scene: Scene
) -> None:
    async with acting_as(superuser, "service_role"):
        rows = await superuser.fetch(f"select {KEY_COLUMNS} from user_trading_keys")
        assert {scene.mine.id, scene.theirs.id} <= {row["user_id"] for row in rows}
        assert {scene.mine.id, scene.theirs.id} <= await visible(
            superuser, "user_trade_logs", "user_id"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "select dhan_access_token from user_trading_keys",
        "select * from user_trading_keys",
        "select user_id from user_trading_keys where dhan_access_token like 'd%'",
        "update user_trading_keys set is_trading_enabled = true",
        (
            "insert into user_trade_logs (user_id, decision_id, status) values (gen_random_uuid(), "
            "gen_random_uuid(), 'SUCCESS')"
        ),
        "update user_trade_logs set status = 'SUCCESS'",
        "update trade_decisions set reasoning = 'better'",
        "update trade_decisions set is_executed = true",
        (
            "insert into trade_decisions (symbol, action, reasoning, is_executed) values ('TCS', "
            "'BUY', '', true)"
        ),
        "update analysis_reports set sentiment_score = 100",
        "update daily_scans set symbol = 'INFY'",
        "delete from trade_decisions",
        "truncate daily_scans",
        "select 1 from private.order_claims",
        "select 1 from private.key_audit",
    ],
)
async def test_the_service_key_cannot_read_tokens_or_rewrite_history(
    superuser: Connection, statement: str
) -> None:
    async with acting_as(superuser, "service_role"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.execute(statement)


async def test_the_service_writes_scans_reports_and_decisions(superuser: Connection) -> None:
    async with acting_as(superuser, "service_role"):
        decision = await a_decision(superuser)

        assert await visible(superuser, "trade_decisions", "id") >= {decision}


async def test_a_scan_report_and_decision_are_written_once_through_the_real_client(
    supabase_stack: SupabaseStack, superuser: Connection
) -> None:
    service = await supabase_stack.service()
    scan = {"id": str(uuid4()), "date": "2026-11-23", "symbol": "TCS"}
    scan |= {"scan_result": "SHORTLISTED", "initial_signal": "BULLISH"}
    decision = {
        "id": str(uuid4()),
        "scan_id": scan["id"],
        "symbol": "TCS",
        "action": "BUY",
        "reasoning": "first",
    }

    for reasoning in ("first", "second"):
        await service.table("daily_scans").upsert(scan, ignore_duplicates=True).execute()
        row = decision | {"reasoning": reasoning}
        await service.table("trade_decisions").upsert(row, ignore_duplicates=True).execute()

    stored = await superuser.fetchrow(
        "select reasoning, is_executed from trade_decisions where id = $1", UUID(decision["id"])
    )
    assert stored is not None
    assert tuple(stored) == ("first", False)


async def test_a_value_off_the_list_is_refused(superuser: Connection) -> None:
    for statement in (
        (
            "insert into daily_scans (date, symbol, scan_result, initial_signal) values (now(), "
            "'A', 'MAYBE', 'BULLISH')"
        ),
        (
            "insert into daily_scans (date, symbol, scan_result, initial_signal) values (now(), "
            "'A', 'DISCARDED', 'UP')"
        ),
        "insert into trade_decisions (symbol, action, reasoning) values ('A', 'WAIT', '')",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await superuser.execute(statement)


async def test_a_user_who_traded_cannot_be_deleted(superuser: Connection, scene: Scene) -> None:
    with pytest.raises(
        asyncpg.IntegrityConstraintViolationError, match=r"user_trade_logs|order_claims"
    ):
        await superuser.execute("delete from auth.users where id = $1", scene.mine.id)

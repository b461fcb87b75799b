"""What must hold for every table and function, also for those a later migration adds. Asked of
Postgres's catalogue.

Three times: on the embedded server, as on an older hosted project (where default privileges grant
everything to the API roles), and on Postgres 15, the oldest a hosted project may have.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import migrate
from tests.database.conftest import Connection
from tests.database.fixtures import MIGRATIONS, short_home

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")  # where Debian puts it
API_ROLES = ("anon", "authenticated", "service_role")
# on purpose: no user reads the first two; operators read the others through functions
WITHOUT_POLICY = {"daily_scans", "analysis_reports", "operators", "operator_actions"}
# beside the five of the contract
ADDED = {
    *("order_states", "trades", "positions", "trading_halts", "user_limits"),
    *("family_members", "preflights", "operators", "operator_actions"),
}
SERVICE_FUNCTIONS = {
    "claim_order",
    "record_order_outcome",
    "settle_order",
    "reconcile_order",
    *("leave_order", "take_unresolved_orders"),
    *("release_unresolved_order", "unresolved_order_told"),
    "report_platform",
    "refuse_token",
    *("trading_keys", "trading_keys_digest"),
    *("question_token", "vouch_for_token"),
    "account_credentials",
    *("correct_order", "unpublished_corrections", "correction_published"),
    *("users_to_check", "begin_order_check", "mark_orders_final"),
    *("list_open_claims", "settle_claim_by_hand", "correct_order_by_hand"),
    *("record_order_states", "record_trades", "record_positions"),
    *("halt_trading", "lift_halt", "halts_in_force"),
    *("keep_judgement", "record_judged_outcome"),
    *("set_user_limits", "limits_in_force", "user_limits_told", "impose_halt"),
    *("declare_member", "end_membership", "members_declared"),
    "record_preflight",
    *("claim_orders", "record_order_outcomes"),
    *("add_operator", "remove_operator"),
    *("set_approvals", "leave_decision", "take_approvals", "approval_told"),
    *("answer_approval", "approvals_view"),
}
USER_FUNCTIONS = {
    *("store_dhan_token", "disconnect_dhan"),
    *("begin_dhan_consent", "abandon_dhan_consent", "take_dhan_consents"),
    *(
        "own_account",
        "own_halts",
        "own_connection_and_orders",
        "own_order_times",
        "own_corrections",
        "own_denials",
        "own_orders_are_used_up",
        "own_consent_is_open",
        "platform_status",
    ),
    *("switch_trading_on", "doubt_dhan_token", "trust_dhan_token", "own_doubts"),
    *("halt_own_trading", "lift_own_halt", "tighten_own_limits", "widen_own_limits"),
    *("own_limits_and_checks", "own_limit_changes", "operator_limits"),
    *("is_operator", "operator_view", "operator_actions_before", "operator_act"),
    "operator_approve",
}


@asynccontextmanager
async def postgres_15() -> AsyncIterator[EmbeddedPostgres]:
    if not (POSTGRES_15 / "postgres").exists():
        pytest.skip(f"no Postgres 15 in {POSTGRES_15}")
    home = short_home()
    try:
        async with EmbeddedPostgres(home / "data", durable=False, binaries=POSTGRES_15) as server:
            await migrate(server.dsn(), MIGRATIONS, shim=True)
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def an_older_hosted_project(server: EmbeddedPostgres) -> str:
    admin = await asyncpg.connect(server.dsn())
    await admin.execute("create database older_project")
    await admin.close()
    dsn = server.dsn(database="older_project")
    owner = await asyncpg.connect(dsn)
    for kind in ("tables", "functions", "sequences"):
        to = "postgres, anon, authenticated, service_role"
        await owner.execute(
            f"alter default privileges for role postgres in schema public grant all on {kind} to "
            f"{to}"
        )
    await owner.close()
    await migrate(dsn, MIGRATIONS, shim=True)
    return dsn


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=["embedded", "older hosted project", "Postgres 15"]
)
async def database(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres
) -> AsyncIterator[str]:
    match request.param:
        case "embedded":
            yield postgres.dsn()
        case "older hosted project":
            yield await an_older_hosted_project(postgres)
        case _:
            async with postgres_15() as server:
                yield server.dsn()


@pytest_asyncio.fixture
async def catalogue(database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def names(catalogue: Connection, query: str, *values: object) -> set[str]:
    return {row[0] for row in await catalogue.fetch(query, *values)}


async def test_every_table_has_row_level_security(catalogue: Connection) -> None:
    without = await names(
        catalogue,
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') and not "
        "relrowsecurity and relnamespace in ('public'::regnamespace, 'private'::regnamespace)",
    )

    assert without == set()


async def test_every_public_table_has_a_policy_or_none_on_purpose(catalogue: Connection) -> None:
    tables = await names(catalogue, "select tablename from pg_tables where schemaname = 'public'")
    with_policy = await names(
        catalogue, "select tablename from pg_policies where schemaname = 'public'"
    )

    assert tables - with_policy == WITHOUT_POLICY


async def test_every_policy_names_its_role_and_asks_for_the_user_once(
    catalogue: Connection,
) -> None:
    policies = await catalogue.fetch(
        "select policyname, roles, coalesce(qual, with_check) as test from pg_policies"
    )

    assert policies
    for policy in policies:
        assert policy["roles"] == ["authenticated"], policy["policyname"]
        # inside a sub-select the call is made once a query, not once a row
        assert (
            policy["test"].count("auth.uid()")
            == policy["test"].count("( SELECT auth.uid() AS uid)")
            > 0
        )


async def test_anon_has_no_right_at_all(catalogue: Connection) -> None:
    tables = await names(
        catalogue,
        "select c.oid::regclass::text from pg_class c, unnest(array['select', 'insert', 'update', "
        "'delete', 'truncate', 'references', 'trigger']) as privilege where relkind in ('r', 'v', "
        "'m', 'p') and relnamespace in ('public'::regnamespace, 'private'::regnamespace)"
        " and has_table_privilege('anon', c.oid, privilege)",
    )
    columns = await names(
        catalogue,
        "select c.oid::regclass::text from pg_class c where relkind = 'r' and relnamespace = "
        "'public'::regnamespace and has_any_column_privilege('anon', c.oid, 'select, insert, "
        "update, references')",
    )
    functions = await names(
        catalogue,
        "select oid::regproc::text from pg_proc where pronamespace in ('public'::regnamespace, "
        "'private'::regnamespace) and has_function_privilege('anon', oid, 'execute')",
    )

    assert (tables, columns, functions) == (set(), set(), set())


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_api_role_reads_or_writes_a_token(catalogue: Connection, role: str) -> None:
    for privilege in ("select", "insert", "update"):
        held = await catalogue.fetchval(
            "select has_column_privilege($1, 'public.user_trading_keys', 'dhan_access_token', $2)",
            role,
            privilege,
        )
        assert held is False, privilege


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_api_role_enters_the_private_schema(catalogue: Connection, role: str) -> None:
    assert (
        await catalogue.fetchval("select has_schema_privilege($1, 'private', 'usage')", role)
        is False
    )
    tables = await names(catalogue, "select tablename from pg_tables where schemaname = 'private'")
    assert {"order_claims", "key_audit"} <= tables


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_api_role_rewrites_trade_logs_or_empties_a_table(
    catalogue: Connection, role: str
) -> None:
    rewriting = await names(
        catalogue,
        "select tablename || '.' || privilege from pg_tables, unnest(array['delete', 'truncate', "
        "'trigger']) as privilege where schemaname = 'public' and has_table_privilege($1, "
        "'public.' || tablename, privilege) union select privilege from unnest(array['insert', "
        "'update']) as privilege where has_table_privilege($1, 'public.user_trade_logs', "
        "privilege)",
        role,
    )

    assert rewriting == set()


async def test_each_function_is_for_its_own_role_only(catalogue: Connection) -> None:
    callable_by = {
        role: await names(
            catalogue,
            "select proname from pg_proc where pronamespace = 'public'::regnamespace"
            " and has_function_privilege($1, oid, 'execute')",
            role,
        )
        for role in API_ROLES
    }

    assert callable_by == {
        "anon": set(),
        "authenticated": USER_FUNCTIONS,
        "service_role": SERVICE_FUNCTIONS,
    }


async def test_every_function_of_ours_has_an_empty_search_path(catalogue: Connection) -> None:
    loose = await names(
        catalogue,
        "select oid::regproc::text from pg_proc where pronamespace in ('public'::regnamespace, "
        "'private'::regnamespace) and not coalesce('search_path=\"\"' = any (proconfig), false)",
    )

    assert loose == set()


async def test_no_function_of_ours_is_for_everyone(catalogue: Connection) -> None:
    public = await names(
        catalogue,
        "select p.oid::regproc::text from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', "
        "p.proowner))) as granted where pronamespace in ('public'::regnamespace, "
        "'private'::regnamespace) and granted.grantee = 0",
    )

    assert public == set()


async def test_a_definer_function_runs_as_no_superuser(catalogue: Connection) -> None:
    owners = await names(
        catalogue,
        "select distinct r.rolname from pg_proc p join pg_roles r on r.oid = p.proowner where "
        "p.prosecdef",
    )

    assert owners == {"postgres"}
    assert (
        await catalogue.fetchval("select rolsuper from pg_roles where rolname = 'postgres'")
        is False
    )


async def test_every_foreign_key_and_policy_column_leads_an_index(catalogue: Connection) -> None:
    leading = await names(catalogue, "select indrelid || '.' || indkey[0] from pg_index")
    referencing = await names(
        catalogue,
        "select conrelid || '.' || conkey[1] from pg_constraint where contype = 'f' and "
        "connamespace in ('public'::regnamespace, 'private'::regnamespace)",
    )
    users = await names(
        catalogue,
        "select attrelid || '.' || attnum from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where c.relkind = 'r' and attname = 'user_id' and c.relnamespace = "
        "'public'::regnamespace",
    )

    assert len(users) == 11
    assert referencing | users <= leading


async def test_the_five_tables_have_exactly_the_columns_of_the_contract(
    catalogue: Connection,
) -> None:
    rows = await catalogue.fetch(
        "select table_name, string_agg(column_name || ' ' || data_type, ', ' order by "
        "ordinal_position) as columns from information_schema.columns where table_schema = "
        "'public' and table_name <> all ($1) group by table_name",
        ADDED,
    )

    moment = "timestamp with time zone"
    assert {row["table_name"]: row["columns"] for row in rows} == {
        "user_trading_keys": "id uuid, user_id uuid, dhan_client_id text, dhan_access_token text, "
        f"is_trading_enabled boolean, token_expiry {moment}, created_at {moment}, updated_at "
        f"{moment}",
        "daily_scans": "id uuid, date date, symbol text, scan_result text, initial_signal text",
        "analysis_reports": "id uuid, scan_id uuid, agent_type text, report_data jsonb, "
        "sentiment_score integer",
        "trade_decisions": "id uuid, scan_id uuid, symbol text, action text, reasoning text, "
        "is_executed boolean",
        "user_trade_logs": "id uuid, user_id uuid, decision_id uuid, dhan_order_id text, status "
        "text, failure_reason text",
    }


async def test_an_order_is_claimed_and_settled_on_every_server(catalogue: Connection) -> None:
    story = catalogue.transaction()
    await story.start()
    user = await catalogue.fetchval(
        "insert into auth.users (email) values ('a@example.test') returning id"
    )
    decision = await catalogue.fetchval(
        "insert into trade_decisions (symbol, action, reasoning) values ('TCS', 'BUY', '') "
        "returning id"
    )
    await catalogue.execute(
        "insert into user_trading_keys (user_id, dhan_client_id, dhan_access_token, token_expiry, "
        "is_trading_enabled) values ($1, '1100000001', 'token', now() + interval '1 hour', true)",
        user,
    )

    order = "00000000-0000-0000-0000-000000000001"
    claim = await catalogue.fetchval(
        "select claim_order($1, $2, $3, 'AT1') ->> 'access_token'", user, decision, order
    )
    settled = await catalogue.fetchval(
        "select record_order_outcome($1, $2, $3, 'accepted', '42')", user, decision, order
    )
    status = await catalogue.fetchval("select status from user_trade_logs where user_id = $1", user)
    await story.rollback()

    assert claim == "token"
    assert '"first": true' in settled
    assert status == "SUCCESS"

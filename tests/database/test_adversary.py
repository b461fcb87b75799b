"""The book and the halts keep their promises, and each grant, policy, check and guard of their
migrations is needed for it: without any one of them a promise is broken.

The migrations before are applied once, as on an older hosted project, where the API's roles are
granted everything that is new. Ours, or mutants of them, live in one transaction that is undone.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import migrate
from tests.database import (
    adversary,
    adversary_approvals,
    adversary_batches,
    adversary_family,
    adversary_limits,
    adversary_operators,
    adversary_preflight,
)
from tests.database.adversary import Check, Scene
from tests.database.conftest import Connection
from tests.database.fixtures import MIGRATIONS, an_order_worker_reports
from tests.database.mutants import Mutant, mutants, said_by, sql_of

FIRST = "20261129180000"  # every migration from here on is mutated
PARTS = 4  # of the mutants: all of them take longer than one test may
MODULES = (
    adversary,
    adversary_family,
    adversary_preflight,
    adversary_batches,
    adversary_operators,
    adversary_approvals,
    adversary_limits,
)
CHECKS = tuple(check for module in MODULES for check in module.CHECKS)
EARLIER = [file for file in sorted(MIGRATIONS.glob("*.sql")) if file.name < FIRST]
OURS = [file for file in sorted(MIGRATIONS.glob("*.sql")) if file.name >= FIRST]
WORDS = re.compile(r"[a-z_]{4,}")
SPOKEN = {check: set(WORDS.findall(inspect.getsource(check))) for check in CHECKS}
SPOKEN_BY = Counter(word for words in SPOKEN.values() for word in words)


@dataclass(frozen=True, slots=True)
class Before:
    """A database with the migrations before ours, and two users who may trade."""

    dsn: str
    users: tuple[UUID, UUID]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def before(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Before:
    folder = tmp_path_factory.mktemp("earlier")
    for file in EARLIER:
        shutil.copy(file, folder)
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute("create database adversary")
    await admin.close()
    dsn = postgres.dsn(database="adversary")
    await migrate(dsn, folder, shim=True)
    await an_order_worker_reports(dsn)
    owner = await asyncpg.connect(dsn)
    for kind in ("tables", "functions", "sequences"):
        await owner.execute(
            f"alter default privileges for role postgres grant all on {kind} to anon, "
            "authenticated, service_role"
        )
    users = (await a_trading_user(owner), await a_trading_user(owner))
    await owner.close()
    return Before(dsn, users)


async def a_trading_user(sql: Connection) -> UUID:
    user: UUID = await sql.fetchval("insert into auth.users default values returning id")
    await sql.execute("insert into auth.sessions (user_id) values ($1)", user)
    await sql.execute(
        "insert into user_trading_keys (user_id, dhan_client_id, dhan_access_token, token_expiry, "
        "is_trading_enabled) values ($1, $2, 'token', now() + interval '1 hour', true)",
        *(user, f"33{user.int % 10**10:010}"),
    )
    return user


@asynccontextmanager
async def applied(before: Before, sql: Connection, said: Iterable[str]) -> AsyncIterator[Scene]:
    """Inside, these statements are applied; undone at the end."""
    undo = sql.transaction()
    await undo.start()
    try:
        await say(sql, said)
        yield Scene(sql, *before.users)
    finally:
        await undo.rollback()


async def say(sql: Connection, said: Iterable[str]) -> None:
    """Execute statements of migrations as a hosted project does."""
    to, back = (f"set local session authorization {who}" for who in ("postgres", "default"))
    await sql.execute(sql_of((to, *said, back)))


async def broken(scene: Scene, checks: Iterable[Check]) -> Check | None:
    """The first promise that does not hold."""
    for check in checks:
        undo = scene.sql.transaction()
        await undo.start()
        try:
            await check(scene)
        except (AssertionError, asyncpg.PostgresError):
            return check
        finally:
            await undo.rollback()
    return None


def likely_first(mutant: Mutant, noticed: Mapping[Check, Sequence[set[str]]]) -> list[Check]:
    """All checks; first those that noticed a mutant like this one, or speak of what it lacks, where
    rare words weigh more.
    """
    words = set(WORDS.findall(mutant.name))
    weight = sum(1 / SPOKEN_BY[word] for word in words if word in SPOKEN_BY) or 1

    def likeness(check: Check) -> float:
        alike = max((len(words & one) / len(words | one) for one in noticed[check]), default=0.0)
        return alike + sum(1 / SPOKEN_BY[word] for word in words & SPOKEN[check]) / weight

    return sorted(CHECKS, key=likeness, reverse=True)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_is_kept(before: Before, check: Check) -> None:
    sql = await asyncpg.connect(before.dsn)
    async with applied(before, sql, [file.read_text() for file in OURS]) as scene:
        await check(scene)
    await sql.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(PARTS))
async def test_none_can_be_taken_away_unnoticed(before: Before, part: int) -> None:
    sql = await asyncpg.connect(before.dsn)
    unnoticed = []
    noticed: dict[Check, list[set[str]]] = {check: [] for check in CHECKS}
    async with applied(before, sql, ()) as scene:
        said: tuple[str, ...] = ()
        for mutant in islice(mutants(OURS), part, None, PARTS):
            # mutants come in the order of what they change: all before it stays
            await say(sql, mutant.before[len(said) :])
            said = mutant.before
            async with applied(before, sql, (*mutant.instead, *mutant.after)):
                if by := await broken(scene, likely_first(mutant, noticed)):
                    noticed[by].append(set(WORDS.findall(mutant.name)))
                else:
                    unnoticed.append(mutant.name)
        await say(sql, said_by(OURS)[len(said) :])
        wrongly_noticed = await broken(scene, CHECKS)
    await sql.close()

    assert unnoticed == []
    assert wrongly_noticed is None


def test_every_check_is_listed() -> None:
    said = {
        each
        for module in MODULES
        for each in vars(module).values()
        if inspect.iscoroutinefunction(each) and each.__module__ == module.__name__
    }

    assert said == set(CHECKS)


def test_the_mutants_name_every_right_policy_and_check_of_the_migrations() -> None:
    names = [mutant.name for mutant in mutants(OURS)]
    text = "\n".join(said_by(OURS))

    tables = re.findall(r"alter table (\S+) drop constraint ", text)
    replaced = sum(f"create table {table} " in text for table in tables)
    assert sum("unchecked: " in name for name in names) == text.count("check (") - replaced
    assert sum("create policy" in name for name in names) == 2 * text.count("create policy")
    assert sum("enable row level" in name for name in names) == text.count("enable row level")


def test_a_mutant_lacks_one_thing(tmp_path: Path) -> None:
    file = tmp_path / "1.sql"
    file.write_text(
        "create table t (a int check (a > (0)), b int); -- a; comment\n"
        "revoke all on t from public, anon;\ngrant select (a, b) on t to anon;\n"
    )

    made = list(mutants([file]))

    assert [mutant.name for mutant in made] == [
        "unchecked: check (a > (0)), in create table t (a int check (a > (0)), b int)",
        "without: revoke all on t from anon",
        "without: grant select (a) on t to anon",
        "without: grant select (b) on t to anon",
    ]
    assert [[*mutant.instead, *mutant.after][-1] for mutant in made] == [
        *["grant select (a, b) on t to anon"] * 2,
        "grant select (b) on t to anon",
        "grant select (a) on t to anon",
    ]
    assert made[0].instead == ("create table t (a int check (true), b int)",)
    assert [len(mutant.before) for mutant in made] == [0, 1, 2, 2]

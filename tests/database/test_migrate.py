from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from schemas.errors import Misconfigured, TryLater
from simulator.supabase import migrate
from tests.database.fixtures import MIGRATIONS


@pytest_asyncio.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"empty_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres.dsn())
    await admin.execute(f"create database {name}")
    yield postgres.dsn(database=name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


def write(directory: Path, **migrations: str) -> Path:
    for name, text in migrations.items():
        (directory / f"{name.removeprefix('v')}.sql").write_text(text)
    return directory


async def test_migrations_run_once_in_order_and_are_recorded_where_the_cli_looks(
    empty_database: str,
) -> None:
    applied = await migrate(empty_database, MIGRATIONS, shim=True)
    again = await migrate(empty_database, MIGRATIONS, shim=True)

    connection = await asyncpg.connect(empty_database)
    rows = await connection.fetch(
        "select version, name from supabase_migrations.schema_migrations order by version"
    )
    await connection.close()
    files = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert [f"{row['version']}_{row['name']}" for row in rows] == files
    assert applied == [name[:14] for name in files]
    assert again == []


async def test_two_processes_that_migrate_at_once_apply_each_migration_once(
    empty_database: str,
) -> None:
    applied = await asyncio.gather(
        *(migrate(empty_database, MIGRATIONS, shim=True) for _ in range(3))
    )

    assert sorted(map(len, applied)) == [0, 0, len(list(MIGRATIONS.glob("*.sql")))]


async def test_a_failing_migration_is_named_and_leaves_nothing(
    empty_database: str, tmp_path: Path
) -> None:
    directory = write(
        tmp_path,
        v20260101000000_good="create table good (id integer);",
        v20260102000000_bad="create table half (id integer); select 1 / 0;",
    )

    with pytest.raises(Misconfigured, match=r"20260102000000_bad\.sql failed: division by zero"):
        await migrate(empty_database, directory, shim=True)

    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval(
        "select to_regclass('good') is not null and to_regclass('half') is null"
    )
    await connection.close()


async def test_a_database_ahead_of_the_code_is_refused(empty_database: str, tmp_path: Path) -> None:
    await migrate(empty_database, MIGRATIONS, shim=True)

    with pytest.raises(Misconfigured, match="has migrations that"):
        await migrate(empty_database, write(tmp_path, v20260101000000_old="select 1;"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no migrations"),
        (["1_short.sql"], "not a migration's name"),
        (["20260101000000_a.sql", "20260101000000_b.sql"], "two migrations have version"),
    ],
)
async def test_a_folder_that_is_not_in_the_clis_layout_is_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1;")

    with pytest.raises(Misconfigured, match=message):
        await migrate("postgresql://nowhere", tmp_path)


async def test_a_database_that_is_away_is_for_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="cannot reach the database"):
        await migrate(f"postgresql://postgres@/postgres?host={tmp_path}", MIGRATIONS)

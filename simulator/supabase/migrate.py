"""Apply migrations in the Supabase CLI's layout to any Postgres, and record them where the CLI
looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import structlog

from schemas.errors import Misconfigured, TryLater

SHIM: Final = Path(__file__).with_name("shim.sql")
OWNER: Final = "postgres"  # who owns the tables on Supabase
_NAME: Final = re.compile(r"(?P<version>\d{14})_(?P<name>\w+)\.sql")
_ONE_AT_A_TIME: Final = 0x415453  # "ATS": key of the advisory lock
_HISTORY: Final = """
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
      version text primary key, statements text[], name text
    )"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `<14 digits>_<name>.sql`."""

    version: str
    name: str
    path: Path


def migrations_in(directory: Path) -> list[Migration]:
    """The migrations of a folder, oldest first.

    Raises:
        Misconfigured: none there, a name that is not `<timestamp>_<name>.sql`, or a version used
            twice.
    """
    found: dict[str, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if not match:
            raise Misconfigured(f"not a migration's name: {path} (expected <14 digits>_<name>.sql)")
        if match["version"] in found:
            raise Misconfigured(f"two migrations have version {match['version']}: rename {path}")
        found[match["version"]] = Migration(match["version"], match["name"], path)
    if not found:
        raise Misconfigured(f"no migrations in {directory}")
    return list(found.values())


async def migrate(dsn: str, directory: Path, *, shim: bool = False) -> list[str]:
    """Apply what is not applied yet, each migration in its own transaction.

    Returns the versions applied now.

    Args:
        dsn: Connects as the owner of the schema; with `shim`, as a superuser.
        directory: Holds the migrations.
        shim: Make a plain Postgres look like a Supabase project first. The migrations then run as
            `postgres`, which is no superuser, as on Supabase.

    Raises:
        Misconfigured: a migration fails, or the database has one that `directory` lacks.
        TryLater: the database cannot be reached.
    """
    migrations = migrations_in(directory)
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    except (OSError, asyncpg.CannotConnectNowError) as error:
        raise TryLater(f"cannot reach the database to migrate it: {error}") from error
    try:
        await connection.execute("select pg_advisory_lock($1)", _ONE_AT_A_TIME)
        if shim:
            async with connection.transaction():
                await connection.execute(SHIM.read_text())
            await connection.execute(f"set session authorization {OWNER}")
        return await _apply(connection, migrations, directory)
    finally:
        await connection.close()


async def _apply(
    connection: asyncpg.Connection[Any], migrations: list[Migration], directory: Path
) -> list[str]:
    await connection.execute(_HISTORY)
    rows = await connection.fetch("select version from supabase_migrations.schema_migrations")
    applied = {row["version"] for row in rows}
    if unknown := applied - {migration.version for migration in migrations}:
        raise Misconfigured(
            f"the database has migrations that {directory} lacks: {', '.join(sorted(unknown))}. "
            "Update the code."
        )
    pending = [migration for migration in migrations if migration.version not in applied]
    for migration in pending:
        await _apply_one(connection, migration)
        log.info("migration.applied", version=migration.version, name=migration.name)
    return [migration.version for migration in pending]


async def _apply_one(connection: asyncpg.Connection[Any], migration: Migration) -> None:
    text = migration.path.read_text()
    recorded = (
        "insert into supabase_migrations.schema_migrations (version, name, statements) "
        "values ($1, $2, $3)"
    )
    try:
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(recorded, migration.version, migration.name, [text])
    except asyncpg.PostgresError as error:
        raise Misconfigured(f"migration {migration.path.name} failed: {error}") from error

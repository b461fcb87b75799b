"""One-off commands on topics and database: create, check, migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from ats.settings import load
from bus import topics as bus_topics
from schemas.topics import CATALOGUE
from simulator.supabase.migrate import migrate as apply_migrations


def migrations() -> Path:
    """The migrations' folder: beside us in a checkout, inside the package when installed."""
    ats = Path(__file__).resolve().parents[1]
    packaged = ats / "migrations"
    return packaged if packaged.is_dir() else ats.parent / "supabase" / "migrations"


async def create_topics() -> None:
    """Create the topics that are missing, and print their names."""
    settings = load()
    created = await bus_topics.create_topics(
        settings.kafka(), settings.plan(), settings.kafka_replication_factor
    )
    typer.echo("\n".join(f"created {name}" for name in created) or "every topic is there already")


async def check_topics() -> None:
    """Print that every topic is there as it should be.

    Raises:
        Misconfigured: one is missing, or has other partitions or settings than it needs.
    """
    settings = load()
    await bus_topics.check_topics(settings.kafka(), settings.plan(), CATALOGUE)
    typer.echo(f"all {len(CATALOGUE)} topics are there as they should be")


async def migrate() -> None:
    """Apply the migrations that the database of `SUPABASE_DB_URL` lacks, and print their names."""
    settings = load()
    settings.need("SUPABASE_DB_URL")
    applied = await apply_migrations(
        settings.supabase_db_url.get_secret_value(), migrations(), shim=False
    )
    typer.echo("\n".join(f"applied {name}" for name in applied) or NOTHING_NEW)


NOTHING_NEW: Final = "the database is up to date"

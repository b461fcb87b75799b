"""Commands to set it up and to check it: topics, database, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.options import MOST_PORT, finish, terminal
from schemas.errors import Misconfigured

topics = group("Create and check the Kafka topics.")
database = group("Migrate the database, or serve a local one.")


@topics.command("create")
def topics_create() -> None:
    """Create what is missing; refuse a topic with another number of partitions."""
    from ats.commands.admin import create_topics

    finish(create_topics())


@topics.command("check")
def topics_check() -> None:
    """Say whether every topic is there as the catalogue wants it."""
    from ats.commands.admin import check_topics

    finish(check_topics())


@topics.command("list")
def topics_list() -> None:
    """Print the catalogue."""
    from rich.table import Table

    from schemas.topics import CATALOGUE

    table = Table("topic", "key", "partitioned by", "kept", "message")
    for topic in CATALOGUE:
        kept = "compacted" if topic.compacted else f"{topic.retention_days} days"
        table.add_row(
            topic.name,
            topic.key,
            topic.family,
            kept,
            topic.message.__name__ if topic.message else "binary",
        )
    terminal().print(table)


@database.command("migrate")
def db_migrate() -> None:
    """Apply the migrations that the database at SUPABASE_DB_URL has not seen."""
    from ats.commands.admin import migrate

    finish(migrate())


@database.command("serve")
def db_serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=MOST_PORT)
    ] = 54321,
    directory: Annotated[
        Path | None, typer.Option(help="Where the data lives; default in ATS_STATE_DIR.")
    ] = None,
) -> None:
    """A local Supabase: real Postgres with the real policies behind a stand-in for the REST and
    Auth API.
    """
    from ats.commands.db_serve import serve_database

    finish(serve_database(port, directory))


def show_config() -> None:
    """Print every setting in force, secrets only as set or not set, and what is wrong with the
    files and names in them.
    """
    import asyncio

    from rich.table import Table

    from ats.commands.doctor import problems
    from ats.settings import load

    settings = load()
    table = Table("variable", "value")
    for name, value in settings.shown().items():
        table.add_row(name, value)
    terminal().print(table)
    if wrong := asyncio.run(problems(settings)):
        raise Misconfigured("; ".join(finding.note for finding in wrong))


def doctor() -> None:
    """Try everything the settings point at, and say what to do about what fails."""
    from ats.commands.doctor import examine

    finish(examine(terminal()))

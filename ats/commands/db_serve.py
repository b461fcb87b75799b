"""A Supabase served on this machine instead of the real one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Final

import orjson
import structlog
import typer

from ats.commands.admin import migrations
from ats.embedded.postgres import EmbeddedPostgres
from ats.runtime.logs import configure
from ats.runtime.shutdown import until_signalled
from ats.settings import Settings, load
from schemas.errors import Misconfigured
from simulator.supabase import Keys, SupabaseStandIn, migrate

KEYS_FILE: Final = "keys.json"

log = structlog.get_logger(__name__)


async def serve_database(port: int, directory: Path | None) -> None:
    """Run Postgres and the stand-in until told to stop; migrations are applied first."""
    settings = ready("db")
    home = directory or settings.ats_state_dir / "supabase"
    keys = local_keys(home)
    async with EmbeddedPostgres(home / "postgres", durable=directory is None) as postgres:
        await migrate(postgres.dsn(), migrations(), shim=True)
        stand_in = SupabaseStandIn(keys)
        await stand_in.start(
            postgres.dsn("authenticator"), postgres.dsn("supabase_auth_admin"), port=port
        )
        typer.echo(
            f"SUPABASE_URL={stand_in.url}\n# publishable key, SUPABASE_SERVICE_KEY: see "
            f"{home / KEYS_FILE}\nCtrl-C ends it."
        )
        try:
            await until_signalled()
        finally:
            await stand_in.stop()


def local_keys(home: Path) -> Keys:
    """The keys of the local database in `home`, made on first use and readable by their owner only.

    Raises:
        Misconfigured: the file is there but is not what we wrote.
    """
    path = home / KEYS_FILE
    if path.exists():
        try:
            return Keys(**orjson.loads(path.read_bytes()))
        except (orjson.JSONDecodeError, TypeError) as error:
            raise Misconfigured(
                f"{path} cannot be read ({error}): delete it to make new keys"
            ) from None
    home.mkdir(parents=True, exist_ok=True)
    keys = Keys()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(orjson.dumps(dataclasses.asdict(keys)))
    return keys


def ready(service: str) -> Settings:
    """The settings in force, with logging set up as they say."""
    settings = load()
    configure(
        service,
        style=settings.ats_log_format,
        level=settings.ats_log_level,
        secrets=settings.secrets(),
    )
    return settings

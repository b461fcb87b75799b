"""What can be served on this machine instead of the real thing: a Supabase and a Dhan."""

from __future__ import annotations

import dataclasses
import os
from datetime import date
from pathlib import Path
from typing import Final

import orjson
import structlog
import typer

from ats.admin import migrations
from ats.embedded.postgres import EmbeddedPostgres
from ats.lifetime import until_signalled
from ats.logs import configure
from ats.settings import Settings, load
from schemas.errors import Misconfigured
from simulator.config import RegisteredApp, SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from simulator.supabase import Keys, SupabaseStandIn, migrate

LOCAL_CLIENT_ID: Final = "1000000001"
LOCAL_TOKEN: Final = "simulated-token"  # noqa: S105  opens nothing but the simulator
KEYS_FILE: Final = "keys.json"

log = structlog.get_logger(__name__)


async def serve_database(port: int, directory: Path | None) -> None:
    """Run Postgres and the stand-in until told to stop; migrations are applied first."""
    settings = _ready("db")
    home = directory or settings.ats_state_dir / "supabase"
    keys = local_keys(home)
    async with EmbeddedPostgres(home / "postgres", durable=directory is None) as postgres:
        await migrate(postgres.dsn(), migrations(), shim=True)
        stand_in = SupabaseStandIn(keys)
        await stand_in.start(postgres.dsn("authenticator"), postgres.dsn("supabase_auth_admin"), port=port)
        typer.echo(
            f"SUPABASE_URL={stand_in.url}\n# publishable key, SUPABASE_SERVICE_KEY: see {home / KEYS_FILE}\nCtrl-C ends it."
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
            raise Misconfigured(f"{path} cannot be read ({error}): delete it to make new keys") from None
    home.mkdir(parents=True, exist_ok=True)
    keys = Keys()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(orjson.dumps(dataclasses.asdict(keys)))
    return keys


async def serve_simulator(
    port: int, *, market: Path | None, speed: float | None, seed: int, day: date, wait: bool, redirect_url: str
) -> None:
    """Run the simulator until told to stop."""
    settings = _ready("simulator")
    user = SimulatedUser(
        settings.admin_dhan_client_id or LOCAL_CLIENT_ID,
        settings.admin_dhan_access_token.get_secret_value() or LOCAL_TOKEN,
    )
    config = SimulatorConfig(
        port=port,
        seed=seed,
        day=None if market else day,
        market=market,
        speed=speed,
        autostart=not wait,
        users=(user,),
        apps=(RegisteredApp(redirect_url=redirect_url),),
    )
    simulator = Simulator(config)
    await simulator.start()
    feed = simulator.url.replace("http", "ws", 1)
    typer.echo(
        f"DHAN_API_URL={simulator.url}/v2\nDHAN_FEED_URL={feed}/feed\n"
        f"DHAN_INSTRUMENTS_URL={simulator.url}/instruments/api-scrip-master-detailed.csv\n"
        f"OPENAI_BASE_URL={simulator.url}/v1\nADMIN_DHAN_CLIENT_ID={user.client_id}\n"
        f"# ADMIN_DHAN_ACCESS_TOKEN: {'yours' if settings.admin_dhan_access_token else LOCAL_TOKEN}\nCtrl-C ends it."
    )
    try:
        await until_signalled()
    finally:
        await simulator.stop()


def _ready(service: str) -> Settings:
    settings = load()
    configure(service, style=settings.ats_log_format, level=settings.ats_log_level, secrets=settings.secrets())
    return settings

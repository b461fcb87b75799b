"""`ats gateway`: shows admitted browsers what the topics say, each user their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import structlog

from ats.gateway.board import LIVE, Audience, Board
from ats.gateway.following import TopicsReader
from ats.gateway.keys import Keys, PublishedKeys, SharedSecret
from ats.gateway.lags import LagReader, lags_of
from ats.gateway.market import Hours
from ats.gateway.metrics import ViewerMetrics
from ats.gateway.office import NoOffice, Office, SupabaseOffice
from ats.gateway.platform import WATCHED, PlatformFold
from ats.gateway.server import GatewayDeps, GatewayServer
from ats.services.calendars import calendar_of
from ats.services.context import Context
from ats.settings import Settings
from bus.metrics import ShellMetrics
from executors.charges.rates import shipped_rates
from schemas.units import UtcNs

OFFICE_WITHIN: Final = 3.0  # seconds for the database's answer; an operator waits for it
KEYS_WITHIN: Final = 3.0  # seconds for the project's public keys; a viewer waits for them
# A long weekend: on its last day the bars of the session before it are still there.
LOOK_BACK: Final = UtcNs.minutes(4 * 24 * 60)

log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Serve until told to stop.

    Raises:
        Misconfigured: a setting or a topic is missing, or the port cannot be had.
        TryLater: no broker answers.
    """
    settings, shell, viewers = context.settings, ShellMetrics(), ViewerMetrics()
    rates, connection = shipped_rates(), settings.kafka()
    hours = Hours(calendar_of(settings), replayed=settings.ats_clock == "market")
    board, plan = Board(secrets.token_hex(8), rates, hours=hours), settings.plan()
    fold = PlatformFold(rates, board)
    async with keys_of(settings) as keys, office_of(settings) as office:
        deps = GatewayDeps(
            fold=fold,
            keys=keys,
            office=office,
            lags=LagReader(lambda: lags_of(connection, plan), time.monotonic),
            origins=frozenset(settings.ats_gateway_origins),
            most_viewers=settings.ats_gateway_max_viewers,
            record=connection,
            rates=rates,
            wall=time.time,
            monotonic=time.monotonic,
            metrics=viewers,
        )
        context.records += [shell, viewers]
        server = GatewayServer(deps)
        reader = TopicsReader(connection, WATCHED, fold.apply, shell, LIVE)

        def told(audience: Audience) -> None:
            shell.last_progress = time.monotonic()
            viewers.users = board.users
            server.told(audience)

        port = await server.start(settings.ats_gateway_host, settings.ats_gateway_port)
        log.info("gateway_listens", host=settings.ats_gateway_host, port=port)
        following = asyncio.create_task(_follow(reader, deps, shell, told))
        stopped = asyncio.create_task(context.stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            stopped.cancel()
            await asyncio.gather(following, stopped, return_exceptions=True)
            await server.stop()


async def _follow(
    reader: TopicsReader, deps: GatewayDeps, shell: ShellMetrics, told: Callable[[Audience], None]
) -> None:
    await reader.catch_up(UtcNs(time.time_ns() - LOOK_BACK))
    deps.ready.set()
    shell.joined = True
    log.info("gateway_at_work", records=shell.records, users=deps.board.users)
    await reader.run(told)


@asynccontextmanager
async def keys_of(settings: Settings) -> AsyncIterator[Keys]:
    """What tokens are checked with: the shared secret where one is given, else the public keys.

    Raises:
        Misconfigured: neither the secret nor the project's address is given.
    """
    secret = settings.supabase_jwt_secret.get_secret_value()
    if secret:
        yield SharedSecret(secret)
        return
    settings.need("SUPABASE_URL")
    async with httpx.AsyncClient(timeout=KEYS_WITHIN) as http:
        yield PublishedKeys(settings.supabase_url, http, time.monotonic)


@asynccontextmanager
async def office_of(settings: Settings) -> AsyncIterator[Office]:
    """Whom operators are known from: the database's REST API, where both its settings are given."""
    if not (settings.supabase_url and settings.supabase_anon_key):
        log.warning("console_is_closed", reason="SUPABASE_URL or SUPABASE_ANON_KEY is not set")
        yield NoOffice()
        return
    async with httpx.AsyncClient(timeout=OFFICE_WITHIN) as http:
        yield SupabaseOffice(settings.supabase_url, settings.supabase_anon_key, http)

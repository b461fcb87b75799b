"""`ats executors`: decisions into each active user's orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import structlog
from httpx import HTTPError
from postgrest.exceptions import APIError
from supabase import AsyncClient

from ats.services.context import Context, database, instrument_master
from bus.metrics import ShellMetrics
from dhan.transport import open_client
from executors.app import Ports, run_executors
from executors.clock import ChainClock, LiveClock
from executors.modes import Mode, ModeRules, rules_of
from executors.planning import UserLimits
from schemas.units import Paise

KILL_SWITCH: Final = "KILL"  # while a file of this name lies in ATS_STATE_DIR, no order leaves
REPORT_EVERY: Final = 15.0  # seconds; the account page takes us for gone after a minute

log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Run the order workers until told to stop."""
    settings, metrics = context.settings, ShellMetrics()
    context.records.append(metrics)
    rules = rules_of(Mode(settings.ats_mode), settings.dhan_api_url, settings.admin_dhan_client_id)
    kill_switch = settings.ats_state_dir / KILL_SWITCH
    connection, master = settings.kafka(), await instrument_master(settings)
    instance = f"executors-{settings.ats_instance}"
    limits = UserLimits(
        max_order_value=Paise.from_rupees(settings.ats_max_order_value_rupees),
        max_orders_per_day=settings.ats_max_orders_per_day,
    )
    async with AsyncExitStack() as stack:
        ports = Ports(
            connection=connection,
            plan=settings.plan(),
            database=await stack.enter_async_context(database(settings)),
            http=await stack.enter_async_context(open_client()),
            rules=rules,
            instruments=master.by_id,
            limits=limits,
            clock=ChainClock() if settings.ats_clock == "market" else LiveClock(),
            kill_switch=kill_switch.exists,
        )
        await stack.enter_async_context(reporting(ports.database, platform_report(instance, rules, limits)))
        await run_executors(ports, instance=instance, stop=context.stop, metrics=metrics)


def platform_report(instance: str, rules: ModeRules, limits: UserLimits) -> dict[str, Any]:
    """Mode and limits as `public.report_platform` takes them: what a user is told before switching on."""
    return {
        "p_instance": instance,
        "p_mode": rules.mode.value,
        "p_own_client_id": rules.own_client_id,
        "p_max_order_value_rupees": limits.max_order_value // Paise.from_rupees(1),
        "p_max_orders_per_day": limits.max_orders_per_day,
    }


@asynccontextmanager
async def reporting(client: AsyncClient, report: dict[str, Any]) -> AsyncIterator[None]:
    """Inside: the database is told every 15 seconds that these order workers live."""
    task = asyncio.create_task(_report(client, report))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _report(client: AsyncClient, report: dict[str, Any]) -> None:
    while True:
        try:
            await client.rpc("report_platform", report).execute()
        except (APIError, HTTPError) as error:  # trading does not depend on it; the page says that nobody reports
            log.warning("platform_not_reported", error=str(error))
        await asyncio.sleep(REPORT_EVERY)

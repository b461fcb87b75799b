"""`ats executors`: decisions into each active user's orders."""

from __future__ import annotations

from contextlib import AsyncExitStack

from ats.services.context import Context, database, instrument_master
from bus.metrics import ShellMetrics
from dhan.transport import open_client
from executors.app import Ports, run_executors
from executors.clock import ChainClock, LiveClock
from executors.modes import Mode, rules_of
from executors.planning import UserLimits
from schemas.units import Paise

KILL_SWITCH = "KILL"  # while a file of this name lies in ATS_STATE_DIR, no order leaves


async def run(context: Context) -> None:
    """Run the order workers until told to stop."""
    settings, metrics = context.settings, ShellMetrics()
    context.records.append(metrics)
    rules = rules_of(Mode(settings.ats_mode), settings.dhan_api_url, settings.admin_dhan_client_id)
    kill_switch = settings.ats_state_dir / KILL_SWITCH
    connection, master = settings.kafka(), await instrument_master(settings)
    async with AsyncExitStack() as stack:
        ports = Ports(
            connection=connection,
            plan=settings.plan(),
            database=await stack.enter_async_context(database(settings)),
            http=await stack.enter_async_context(open_client()),
            rules=rules,
            instruments=master.by_id,
            limits=UserLimits(
                max_order_value=Paise.from_rupees(settings.ats_max_order_value_rupees),
                max_orders_per_day=settings.ats_max_orders_per_day,
            ),
            clock=ChainClock() if settings.ats_clock == "market" else LiveClock(),
            kill_switch=kill_switch.exists,
        )
        await run_executors(ports, instance=f"executors-{settings.ats_instance}", stop=context.stop, metrics=metrics)

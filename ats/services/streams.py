"""`ats streams`: ticks into candles, indicators and signals."""

from __future__ import annotations

import asyncio
import time

import structlog

from ats.services.context import Context
from ats.settings import Settings
from bus.metrics import ShellMetrics
from bus.stateful import StatefulService, run_stateful
from streams.engine.machine import warm_up
from streams.service import EngineStats, engine_service

log = structlog.get_logger(__name__)


def service_of(settings: Settings, stats: EngineStats | None = None) -> StatefulService:  # noqa: ARG001 (rules come from it)
    """What `ats streams` runs under `settings`."""
    return engine_service(stats=stats)


async def run(context: Context) -> None:
    """Run the engine until told to stop."""
    settings, stats, metrics = context.settings, EngineStats(), ShellMetrics()
    context.records += [metrics, stats]
    connection = settings.kafka()
    began = time.monotonic()
    await asyncio.to_thread(warm_up)
    log.info("engine_compiled", seconds=round(time.monotonic() - began, 1))
    await run_stateful(
        service_of(settings, stats),
        connection,
        settings.plan(),
        instance=f"streams-{settings.ats_instance}",
        stop=context.stop,
        metrics=metrics,
    )

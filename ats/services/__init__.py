"""Each service put together from the settings.

The only place where rooms, clients and secrets meet. One module a service, each with
`async def run(context)`; only the one asked for is imported, because agno, numba and pandas take
seconds.
"""

from __future__ import annotations

import importlib

from ats.runtime.logs import configure
from ats.runtime.metrics import MetricsServer
from ats.runtime.shutdown import stop_on_signals
from ats.services.context import Context
from ats.settings import load


async def run_service(name: str, metrics_port: int) -> None:
    """Run `ats.services.<name>` until a signal.

    Raises:
        Misconfigured: before anything starts, when a setting is missing.
    """
    settings = load()
    configure(
        name,
        style=settings.ats_log_format,
        level=settings.ats_log_level,
        secrets=settings.secrets(),
    )
    context = Context(settings, stop_on_signals())
    server = (
        MetricsServer(name, metrics_port, context.records, context.health) if metrics_port else None
    )
    if server:
        await server.start()
    try:
        await importlib.import_module(f"ats.services.{name}").run(context)
    finally:
        if server:
            await server.stop()

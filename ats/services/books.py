"""`ats books`: every user's orders, fills and positions, kept true by what their broker shows."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from random import SystemRandom

from ats.services.context import Context, database, instrument_master
from ats.services.executors import mode_rules
from bus.metrics import ShellMetrics
from executors.book_app import BookDeps, run_books
from executors.clock import LiveClock, ReplayClock
from executors.metrics import BookMetrics
from executors.quotes import QuoteCache


async def run(context: Context) -> None:
    """Keep the books until told to stop."""
    settings, metrics, books = context.settings, ShellMetrics(), BookMetrics()
    context.records += [metrics, books]
    rules = mode_rules(settings)
    connection, master = settings.kafka(), await instrument_master(settings)
    async with AsyncExitStack() as stack:
        ports = BookDeps(
            connection=connection,
            plan=settings.plan(),
            database=await stack.enter_async_context(database(settings)),
            http=await stack.enter_async_context(rules.open_client()),
            rules=rules,
            instruments=master.by_id,
            clock=ReplayClock() if settings.ats_clock == "market" else LiveClock(),
            quotes=QuoteCache(settings.plan().instrument),
            wall=time.time_ns,
            random=SystemRandom(),
            read_every=settings.ats_book_read_seconds,
            metrics=books,
        )
        await run_books(
            ports, instance=f"books-{settings.ats_instance}", stop=context.stop, metrics=metrics
        )

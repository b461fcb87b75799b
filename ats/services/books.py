"""`ats books`: every user's orders, fills and positions, kept true by what their broker shows."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from random import SystemRandom

from ats.services.calendars import calendar_of, with_auction_shares
from ats.services.context import Context, database, instrument_master
from ats.services.executors import announce_egress, limits_of, mode_rules, square_off_of
from ats.services.manifests.common import log_of
from ats.services.manifests.orders import (
    halt_inputs,
    limit_inputs,
    member_inputs,
    order_inputs,
)
from bus.metrics import ShellMetrics
from executors.book_app import BookDeps, Guards, run_books
from executors.clock import LiveClock, ReplayClock
from executors.metrics import BookMetrics
from executors.orders.guardian_metrics import GuardianMetrics
from executors.orders.last_owned import LastOwned
from executors.quotes import QuoteCache
from schemas.units import Paise


async def run(context: Context) -> None:
    """Keep the books until told to stop."""
    settings, metrics, books = context.settings, ShellMetrics(), BookMetrics()
    instance = f"books-{settings.ats_instance}"
    owned = settings.ats_state_dir / f"{instance}.owned"
    rules = mode_rules(settings)
    announce_egress(rules)
    connection, master = settings.kafka(), await instrument_master(settings)
    calendar = with_auction_shares(calendar_of(settings), master)
    manifests = log_of(connection, settings, "books")
    # not waited for: positions are guarded also while Kafka is away
    manifests.change(
        order_inputs(
            settings,
            rules=rules,
            limits=limits_of(settings),
            square_off=square_off_of(settings),
            calendar=calendar,
            master=master,
        )
    )
    exits = GuardianMetrics()
    loss = settings.ats_pnl_exit_loss_rupees
    guards = Guards(
        calendar,
        square_off_of(settings),
        limits_of(settings),
        None if loss is None else Paise.from_rupees(loss),
        exits,
        on_limits=lambda found: manifests.change(limit_inputs(found)),
        on_halts=lambda found: manifests.change(halt_inputs(found)),
        on_members=lambda found: manifests.change(member_inputs(found)),
    )
    context.records += [metrics, books, exits]
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
            guards=guards,
            read_every=settings.ats_book_read_seconds,
            last_owned=LastOwned(owned, settings.plan().user),
            metrics=books,
        )
        await run_books(ports, instance=instance, stop=context.stop, metrics=metrics)

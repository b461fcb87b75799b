"""`ats agents`: the Scout when the day has no shortlist yet, then signals into decisions."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from agents.app import decision_service
from agents.books import ScanBook, follow_answers, follow_scans
from ats.services.context import Context, trading_date
from ats.services.desk import agent_store, desk_of, news_of, scout_the_day, terms_of
from bus.metrics import ShellMetrics
from bus.publisher import Publisher
from bus.stateless import run_stateless
from bus.topics import check_topics
from schemas import topics
from schemas.units import UtcNs

SCAN_PATIENCE = 2.0  # seconds to read `ats.scans` before concluding that today has none
DAY = UtcNs.minutes(24 * 60)


async def run(context: Context) -> None:
    """Run the committee until told to stop."""
    settings, metrics, scans = context.settings, ShellMetrics(), ScanBook()
    news, terms = news_of(settings), terms_of(settings)
    context.records.append(metrics)
    connection = settings.kafka()
    await check_topics(connection, settings.plan(), (topics.SCANS, topics.LLM))
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(desk_of(settings))
        store = await stack.enter_async_context(agent_store(settings))
        publisher = await stack.enter_async_context(Publisher(connection))
        followers = await stack.enter_async_context(asyncio.TaskGroup())
        yesterday = UtcNs(time.time_ns() - DAY)
        await follow_answers(connection, desk.book, desk.ledger, yesterday, until_end=True)
        tasks = [
            followers.create_task(follow_scans(connection, scans)),
            followers.create_task(follow_answers(connection, desk.book, desk.ledger, "end")),
        ]
        if await scans.of(trading_date(settings), patience=SCAN_PATIENCE) is None:
            await scout_the_day(settings, desk, store, publisher)
        await run_stateless(
            decision_service(desk=desk, scans=scans, store=store, publisher=publisher, news=news, terms=terms),
            connection,
            settings.plan(),
            instance=f"agents-{settings.ats_instance}",
            stop=context.stop,
            metrics=metrics,
        )
        for task in tasks:
            task.cancel()

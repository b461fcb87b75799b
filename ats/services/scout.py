"""`ats agents --scout-only`: make today's shortlist and end."""

from __future__ import annotations

from contextlib import AsyncExitStack

from agents.served import count_users
from ats.services.context import Context, trading_date
from ats.services.llm import agent_store, llm_gateway, news_of, record_agents, scout_the_day
from bus.publisher import Publisher
from bus.topics import check_topics
from schemas import topics


async def run(context: Context) -> None:
    """Scan the trading day once and publish the shortlist."""
    settings = context.settings
    connection = settings.kafka()
    await check_topics(connection, settings.plan(), (topics.SCANS, topics.DAILY_BARS, topics.LLM))
    manifests = await record_agents(connection, settings, news_of(settings), "scout")
    async with AsyncExitStack() as stack:
        llm = await stack.enter_async_context(llm_gateway(settings, "scout"))
        store = await stack.enter_async_context(agent_store(settings))
        if llm.ledger.a_user is not None:
            await count_users(llm.ledger, store.count_users)
        publisher = await stack.enter_async_context(Publisher(connection))
        await scout_the_day(
            trading_date(settings),
            connection=connection,
            settings=settings,
            llm=llm,
            store=store,
            publisher=publisher,
            manifests=manifests,
        )

"""`ats agents`: the Scout of each trading day, and signals into decisions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any, Final

from agents.app import LlmGateway, decision_service
from agents.caches import ScanCache, sync_llm_calls, sync_scans
from agents.daily import DailyScout, day_due
from agents.feeds.polled import PolledNews
from agents.market import LiveMarket
from agents.metrics import DecisionMetrics
from agents.past import DecisionHistory, sync_decisions
from agents.recorded_market import ContextCache, read_volumes, sync_bars, sync_contexts
from agents.recorded_news import NewsCache, sync_news
from agents.served import count_users, keep_users
from ats.services.calendars import calendar_of
from ats.services.context import Context, credentials_of, symbols_of, trading_date
from ats.services.llm import (
    agent_store,
    llm_gateway,
    news_of,
    options_of,
    record_agents,
    scout_the_day,
    shares_of,
)
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.publisher import Publisher
from bus.stateless import run_stateless
from bus.topics import check_topics
from schemas import topics
from schemas.errors import AtsError, TryLater
from schemas.units import UtcNs

SCAN_TIMEOUT: Final = 2.0  # seconds to read `ats.scans` before concluding that a day has none
# seconds that signals wait for the first scan: 250 instruments take one minute
FIRST_SCAN_WITHIN: Final = 300.0
_TOPICS: Final = (
    topics.SCANS,
    topics.DAILY_BARS,
    topics.CANDLES,
    topics.INDICATORS,
    topics.MARKET_CONTEXT,
    topics.NEWS,
    topics.LLM,
    topics.DECISIONS,
)
DAY: Final = UtcNs.minutes(24 * 60)
VOLUMES: Final = 7 * DAY  # which hold the sessions that say what is usual


async def run(context: Context) -> None:
    """Run the committee until told to stop."""
    try:
        await _run(context)
    except BaseExceptionGroup as group:  # a reader's end takes the whole process with it
        if (known := _first_known(group)) is None:
            raise
        raise known from group


async def _run(context: Context) -> None:
    settings, metrics, decisions = context.settings, ShellMetrics(), DecisionMetrics()
    context.records += [metrics, decisions]
    news, options, due = news_of(settings), options_of(settings), due_of(settings)
    credentials_of(settings)
    symbols_of(settings)
    connection = settings.kafka()
    await check_topics(connection, settings.plan(), _TOPICS)
    known = _Known(LiveMarket(options.session))
    manifests = await record_agents(connection, settings, news, "agents")
    async with AsyncExitStack() as stack:
        llm = replace(
            await stack.enter_async_context(llm_gateway(settings, "agents")), metrics=decisions
        )
        store = await stack.enter_async_context(agent_store(settings))
        endless = list[Coroutine[Any, Any, None]]()
        if llm.ledger.a_user is not None:
            await count_users(llm.ledger, store.count_users)
            endless.append(keep_users(llm.ledger, store.count_users))
        broken = asyncio.get_running_loop().create_future()
        publisher = await stack.enter_async_context(Publisher(connection, partial(_broken, broken)))
        readers = await stack.enter_async_context(asyncio.TaskGroup())
        yesterday = UtcNs(time.time_ns() - DAY)
        await known.read_up(connection, llm, yesterday)
        scout = partial(
            scout_the_day,
            connection=connection,
            settings=settings,
            llm=llm,
            store=store,
            publisher=publisher,
            manifests=manifests,
        )
        daily = DailyScout(known.scans, due=due, scout=scout, scan_timeout=SCAN_TIMEOUT)
        endless += [*known.following(connection, llm, yesterday), daily.keep(), _until(broken)]
        if isinstance(news, PolledNews):
            endless.append(news.keep(partial(shares_of, settings)))
        tasks = [readers.create_task(each) for each in endless]
        await daily.first(FIRST_SCAN_WITHIN)
        await run_stateless(
            decision_service(
                llm=llm,
                scans=known.scans,
                store=store,
                publisher=publisher,
                news=news,
                options=options,
                history=known.history,
                answers=known.answers,
                market=known.market,
                contexts=known.contexts,
            ),
            connection,
            settings.plan(),
            instance=f"agents-{settings.ats_instance}",
            stop=context.stop,
            metrics=metrics,
        )
        for task in tasks:
            task.cancel()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is recorded, as decisions need it."""

    market: LiveMarket
    scans: ScanCache = field(default_factory=ScanCache)
    history: DecisionHistory = field(default_factory=DecisionHistory)
    answers: NewsCache = field(default_factory=NewsCache)
    contexts: ContextCache = field(default_factory=ContextCache)

    async def read_up(self, connection: KafkaConnection, llm: LlmGateway, since: UtcNs) -> None:
        """Know what was recorded since, before the first signal is judged."""
        await sync_llm_calls(connection, llm.cache, llm.ledger, since, until_end=True)
        await sync_decisions(connection, self.history, since, until_end=True)
        await sync_news(connection, self.answers, since, until_end=True)
        await sync_contexts(connection, self.contexts, since, until_end=True)

    def following(
        self, connection: KafkaConnection, llm: LlmGateway, since: UtcNs
    ) -> Iterator[Coroutine[Any, Any, None]]:
        """What keeps it up to date; bars from `since` on."""
        yield sync_scans(connection, self.scans)
        yield sync_llm_calls(connection, llm.cache, llm.ledger, "end")
        yield sync_decisions(connection, self.history, "end")
        yield sync_news(connection, self.answers, "end")
        yield sync_contexts(connection, self.contexts, "end")
        yield sync_bars(connection, self.market, since, self.scans.may_trade)
        yield read_volumes(connection, self.market, UtcNs(since - VOLUMES))


def _broken(broken: asyncio.Future[None], error: BaseException) -> None:
    """Whether this publisher has failed: one that failed once never writes again.

    Without this, a scan that cannot be published would cost the whole day.
    """
    if not broken.done():
        broken.set_exception(
            TryLater(f"Kafka did not take a record ({error!r}); start the process again")
        )


async def _until(broken: asyncio.Future[None]) -> None:
    await broken


def due_of(settings: Settings) -> Callable[[], date | None]:
    """The day that should have a scan now.

    Live it is each trading day in turn; a replay's day, or one that is named, stays the same.
    """
    if settings.ats_clock == "wall" and settings.ats_trading_date is None:
        calendar = calendar_of(settings)
        return lambda: day_due(UtcNs(time.time_ns()), calendar)
    day = trading_date(settings)
    return lambda: day


def _first_known(group: BaseExceptionGroup[BaseException]) -> AtsError | None:
    """The first of our own errors in `group`, however deep: it says what must happen next."""
    for error in group.exceptions:
        found = _first_known(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, AtsError):
            return found
    return None

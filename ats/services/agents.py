"""`ats agents`: the Scout of each trading day, and signals into decisions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any, Final

from agents.app import AgentOptions, LlmGateway
from agents.caches import ScanCache
from agents.daily import DailyScout, day_due
from agents.decision_inputs import DecisionInputs
from agents.feeds.polled import PolledNews
from agents.market import LiveMarket
from agents.metrics import DecisionMetrics
from agents.news import NewsSource
from agents.recorded_market import sync_books
from agents.sectors import Sectors
from agents.served import count_users, keep_users
from agents.store import SupabaseStore
from ats.services.calendars import calendar_of
from ats.services.context import Context, credentials_of, symbols_of, trading_date
from ats.services.llm import (
    agent_store,
    llm_gateway,
    news_of,
    options_of,
    record_agents,
    scout_the_day,
    sectors_of,
    shares_of,
)
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.manifests import ManifestLog
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
_DEPTH: Final = (topics.DEPTH,)
DAY: Final = UtcNs.minutes(24 * 60)


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
    news, options, sectors = news_of(settings), options_of(settings), sectors_of(settings)
    credentials_of(settings)
    symbols_of(settings)
    connection = settings.kafka()
    depth = settings.ats_depth == "on"
    await check_topics(connection, settings.plan(), (*_TOPICS, *_DEPTH) if depth else _TOPICS)
    manifests = await record_agents(connection, settings, news, "agents")
    async with _opened(settings, connection, decisions) as parts, asyncio.TaskGroup() as readers:
        inputs, yesterday = parts.inputs(options, sectors), UtcNs(time.time_ns() - DAY)
        read_up = await inputs.read_up(connection, yesterday)
        daily = _daily(settings, connection, parts, inputs.scans, manifests)
        endless = [
            *inputs.following(connection, yesterday, read_up),
            *parts.endless(settings, news),
            daily.keep(),
        ]
        if depth:
            endless.append(sync_books(connection, inputs.market, inputs.scans.may_trade))
        tasks = [readers.create_task(each) for each in endless]
        await daily.first(FIRST_SCAN_WITHIN)
        await run_stateless(
            inputs.service(parts.store, parts.publisher, news, options),
            connection,
            settings.plan(),
            instance=f"agents-{settings.ats_instance}",
            stop=context.stop,
            metrics=metrics,
        )
        for task in tasks:
            task.cancel()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is open for as long as the process decides; `broken` fails when the publisher does."""

    llm: LlmGateway
    store: SupabaseStore
    publisher: Publisher
    broken: asyncio.Future[None]

    def inputs(self, options: AgentOptions, sectors: Sectors) -> DecisionInputs:
        return DecisionInputs(self.llm, LiveMarket(options.session, sectors=sectors))

    def endless(self, settings: Settings, news: NewsSource) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on beside the decisions, besides readers and Scout."""
        yield _until(self.broken)
        if self.llm.ledger.a_user is not None:
            yield keep_users(self.llm.ledger, self.store.count_users)
        if isinstance(news, PolledNews):
            yield news.keep(partial(shares_of, settings))


@asynccontextmanager
async def _opened(
    settings: Settings, connection: KafkaConnection, metrics: DecisionMetrics
) -> AsyncIterator[_Parts]:
    async with AsyncExitStack() as stack:
        llm = await stack.enter_async_context(llm_gateway(settings, "agents"))
        store = await stack.enter_async_context(agent_store(settings))
        if llm.ledger.a_user is not None:
            await count_users(llm.ledger, store.count_users)
        broken = asyncio.get_running_loop().create_future()
        publisher = await stack.enter_async_context(Publisher(connection, partial(_broken, broken)))
        yield _Parts(replace(llm, metrics=metrics), store, publisher, broken)


def _daily(
    settings: Settings,
    connection: KafkaConnection,
    parts: _Parts,
    scans: ScanCache,
    manifests: ManifestLog,
) -> DailyScout:
    scout = partial(
        scout_the_day,
        connection=connection,
        settings=settings,
        llm=parts.llm,
        store=parts.store,
        publisher=parts.publisher,
        manifests=manifests,
    )
    return DailyScout(scans, due=due_of(settings), scout=scout, scan_timeout=SCAN_TIMEOUT)


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

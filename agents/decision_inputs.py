"""What decisions need of what is recorded: read before the first signal, then kept up to date."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agents.app import AgentOptions, LlmGateway, decision_service
from agents.caches import ScanCache, sync_llm_calls, sync_scans
from agents.market import LiveMarket
from agents.news import NewsSource
from agents.past import DecisionHistory, sync_decisions
from agents.recorded_market import ContextCache, read_volumes, sync_bars, sync_contexts
from agents.recorded_news import NewsCache, sync_news
from agents.store import Store
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.reader import extents_of
from bus.records import TopicPartition
from bus.stateless import StatelessService
from bus.stored import Since
from schemas import topics
from schemas.units import UtcNs

# what must be known before the first signal is judged
_READ_UP: Final = (topics.LLM, topics.DECISIONS, topics.NEWS, topics.MARKET_CONTEXT)
VOLUMES: Final = UtcNs.minutes(7 * 24 * 60)  # which hold the sessions that say what is usual

Offsets = dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """The caches of `agents.app.decision_service`, and the readers that feed them."""

    llm: LlmGateway
    market: LiveMarket
    scans: ScanCache = field(default_factory=ScanCache)
    history: DecisionHistory = field(default_factory=DecisionHistory)
    answers: NewsCache = field(default_factory=NewsCache)
    contexts: ContextCache = field(default_factory=ContextCache)

    async def read_up(self, connection: KafkaConnection, since: UtcNs) -> Offsets:
        """Know what was recorded since, and return from where on to follow.

        That is where the topics ended before they were read: what is written meanwhile is read
        twice rather than not at all, and counts once.
        """
        extents = await extents_of(connection, *_READ_UP)
        for reading in self._readers(connection, since, until_end=True):
            await reading
        return {place: end for place, (_, end) in extents.items()}

    def following(
        self, connection: KafkaConnection, since: UtcNs, read_up: Offsets
    ) -> Iterator[Coroutine[Any, Any, None]]:
        """What keeps it up to date from `read_up` on; bars are read from `since`."""
        yield sync_scans(connection, self.scans, self.market.sectors.learn)
        yield from self._readers(connection, read_up)
        yield sync_bars(connection, self.market, since, self.scans.may_trade)
        yield read_volumes(connection, self.market, UtcNs(since - VOLUMES))

    def service(
        self, store: Store, publisher: Publisher, news: NewsSource, options: AgentOptions
    ) -> StatelessService:
        """The decision service that these are the inputs of."""
        return decision_service(
            llm=self.llm,
            scans=self.scans,
            store=store,
            publisher=publisher,
            news=news,
            options=options,
            history=self.history,
            answers=self.answers,
            market=self.market,
            contexts=self.contexts,
        )

    def _readers(
        self, connection: KafkaConnection, since: Since, *, until_end: bool = False
    ) -> Iterator[Coroutine[Any, Any, None]]:
        llm = self.llm
        yield sync_llm_calls(connection, llm.cache, llm.ledger, since, until_end=until_end)
        yield sync_decisions(connection, self.history, since, until_end=until_end)
        yield sync_news(connection, self.answers, since, until_end=until_end)
        yield sync_contexts(connection, self.contexts, since, until_end=until_end)

"""The agents on recorded answers: reports and decisions once more, and nobody asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.app import AgentOptions, outputs_of
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.entries import Circumstances
from agents.journal import LlmCallCache, Question, checked
from agents.market import NoMarket
from agents.news import Headline
from agents.recorded_market import ContextCache, RecordedMarket
from agents.recorded_news import NewsCache, RecordedNews
from agents.scout import ScoutOptions
from bus.records import Output
from schemas.errors import TryLater
from schemas.inputs import NewsAnswer
from schemas.market import trading_day
from schemas.market_context import MarketContext
from schemas.messages import Decision, LlmCall, Scan, Signal
from schemas.units import UtcNs

NO_HURRY: Final = Deadline(1e6, lambda: 0.0)  # seconds; recorded answers are there at once


@dataclass(frozen=True, slots=True)
class AgentsAsSet:
    """How the agents were set on the day; of `options` only what decides."""

    options: AgentOptions = field(default_factory=AgentOptions)
    scout: ScoutOptions = field(default_factory=ScoutOptions)


@dataclass(slots=True)
class RecordedJournal:
    """Serves what is recorded, and remembers what was asked in vain.

    Attributes:
        unanswered: Questions without a recorded answer, in the order asked.
    """

    cache: LlmCallCache
    unanswered: list[Question] = field(default_factory=list)

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:  # noqa: ARG002 - of the protocol
        """The recorded call; None where there is none.

        Raises Unaskable as the live journal does.
        """
        found = self.cache.recall(question)
        if found is None:
            self.unanswered.append(checked(question))
        return found

    async def again(
        self,
        question: Question,
        failed: LlmCall,  # noqa: ARG002 - of the protocol
        deadline: Deadline,  # noqa: ARG002 - of the protocol
    ) -> LlmCall | None:
        """The recorded second try; None where its deadline left no time for one."""
        return self.cache.recall(question)


@dataclass(slots=True)
class _NoSource:
    """Stands in for the source of headlines, which is not asked; remembers whether it was to be."""

    asked: bool = False

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        """Raises TryLater, always: none are recorded."""
        self.asked = True
        raise TryLater("no headlines are recorded for this signal")


async def written_already(answer: NewsAnswer | MarketContext) -> None:
    """What is replayed is not recorded once more."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What models and the source of headlines answered on the day, and the market they saw."""

    calls: LlmCallCache
    news: NewsCache
    market: ContextCache = field(default_factory=lambda: ContextCache(limit=None))


@dataclass(frozen=True, slots=True)
class Answered:
    """What one signal or one day's scan came to.

    Attributes:
        unanswered: Why it may differ from the record: what was asked and has no recorded answer.
        without_news: Headlines were asked for, and no answer of their source is recorded.
    """

    outputs: tuple[Output, ...]
    unanswered: tuple[Question, ...] = ()
    without_news: bool = False

    @property
    def note(self) -> str:
        """In words; empty where every answer was there."""
        asked = sorted({f"{each.agent.value}, attempt {each.attempt}" for each in self.unanswered})
        if self.without_news:
            asked.append("headlines")
        return f"no recorded answer to the question for {'; '.join(asked)}" if asked else ""


async def decide_again(
    signal: Signal,
    scan: Scan | None,
    earlier: Sequence[Decision],
    recorded: Recorded,
    agents: AgentsAsSet,
) -> tuple[Answered, Decision]:
    """The reports and the decision on `signal`, and the decision by itself.

    `scan` is what stood there when it was decided; `earlier` are the decisions of the instrument
    on signals before it.
    """
    journal, options, source = RecordedJournal(recorded.calls), agents.options, _NoSource()
    session = options.session(trading_day(signal.event_time), signal.instrument.segment)
    result = await run_committee(
        signal,
        scan,
        news=RecordedNews(source, recorded.news, signal, written_already),
        market=RecordedMarket(NoMarket(), recorded.market, written_already),
        journal=journal,
        deadline=NO_HURRY,
        validity=options.validity,
        limits=options.limits,
        around=Circumstances(session, earlier),
    )
    again = Answered(outputs_of(result), tuple(journal.unanswered), source.asked)
    return again, result.decision

"""The decisions of one side: recorded answers where there are any, and what nobody answered yet.

A decision that wants an answer nobody gave is unknown. Decisions after it see in its place the one
of the recorded side, a HOLD where that has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import UUID

from agents.app import AgentOptions
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.entries import Circumstances
from agents.journal import Question, checked
from agents.market import NoMarket
from agents.news import Headline, bounded
from agents.past import DecisionHistory
from agents.recorded_market import ContextCache, RecordedMarket
from agents.recorded_news import NewsCache
from agents.scout import scan_of
from audit.replay.answers import NO_HURRY, written_already
from audit.replay.scans import Scans, assessed
from audit.whatif.kept import KnownAnswers
from audit.whatif.setup import Setup
from schemas.errors import TryLater
from schemas.ids import InstrumentId, SignalId
from schemas.inputs import Answered, NewsAnswer
from schemas.market import trading_day
from schemas.messages import Decision, LlmCall, Scan, Signal
from schemas.units import UtcNs

AT_ONCE: Final = 8  # instruments whose signals are judged side by side; each asks one thing or two


class Asking(Protocol):
    """Asks a model; `audit.whatif.asking.Asker` does."""

    async def ask(self, question: Question) -> LlmCall | None:
        """The answer, kept before it is returned; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What came from outside on the day, and who may be asked for more.

    Attributes:
        news: Recorded headlines by signal.
        market: The recorded market by signal; of a signal that did not exist nobody knows it.
        headlines: The same by instrument, oldest first, for signals that did not exist.
        scans: Of each day the first.
        decided: When the decision on a signal was published, in machine time.
        asking: None: nobody is asked.
        silent: Questions that the recorded side has no answer to either: they are no difference.
    """

    answers: KnownAnswers
    news: NewsCache = field(default_factory=NewsCache)
    market: ContextCache = field(default_factory=ContextCache)
    headlines: Mapping[InstrumentId, Sequence[NewsAnswer]] = field(default_factory=dict)
    scans: Scans = field(default_factory=Scans)
    decided: Mapping[UUID, UtcNs] = field(default_factory=dict)
    asking: Asking | None = None
    silent: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """One signal and what was decided on it.

    Attributes:
        decision: Worth nothing while something is `unanswered`.
        unanswered: What would have to be asked first.
        silent: Its unanswered questions have no answer on the recorded side either.
        guessed_news: Its headlines are those of another signal on the instrument.
    """

    signal: Signal
    decision: Decision
    unanswered: tuple[Question, ...] = ()
    silent: bool = False
    guessed_news: bool = False

    @property
    def known(self) -> bool:
        """Whether the decision is what would have been decided."""
        return not self.unanswered


@dataclass(slots=True)
class _Journal:
    """Serves what is known; asks where that is allowed."""

    told: Told
    setup: Setup
    unanswered: list[Question] = field(default_factory=list)
    silent: bool = False

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:  # noqa: ARG002
        """The answer; None where nobody gave one."""
        asked = checked(replace(question, told=self.setup.told_to(question.agent)))
        if found := self.told.answers.recall(asked):
            return found
        if asked.id() in self.told.silent:
            self.silent = True
            return None
        made = await self.told.asking.ask(asked) if self.told.asking else None
        if made is None:
            self.unanswered.append(asked)
        return made

    async def again(
        self,
        question: Question,
        failed: LlmCall,  # noqa: ARG002 - of the protocol
        deadline: Deadline,  # noqa: ARG002 - of the protocol
    ) -> LlmCall | None:
        """The recorded second try; who asks anew tries twice by itself."""
        return self.told.answers.recall(replace(question, told=self.setup.told_to(question.agent)))


@dataclass(slots=True)
class _News:
    """The recorded headlines of a signal, else the nearest of its instrument."""

    told: Told
    signal: Signal
    guessed: bool = False

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        """Raises TryLater where the source did not answer on the day."""
        answer = self.told.news.of(SignalId(self.signal.id))
        if answer is None:
            known = self.told.headlines.get(self.signal.instrument, ())
            before = [each for each in known if each.event_time <= as_of]
            answer = (*known[:1], *before)[-1] if known else None
            self.guessed = answer is not None
        if answer is None:
            return ()
        if answer.outcome is not Answered.OK:
            raise TryLater(answer.detail)
        return bounded(
            [
                Headline(published_at=each.published_at, source=each.source, text=each.text)
                for each in answer.headlines
            ],
            as_of,
        )


async def judge_all(
    signals: Sequence[Signal], setup: Setup, told: Told, instead: Mapping[UUID, Decision]
) -> list[Judged]:
    """Decide on `signals`, those of one instrument in their order; returns them in that given.

    `instead` are the recorded side's decisions by signal: they stand in where one is unknown.
    """
    of: dict[InstrumentId, list[Signal]] = {}
    for signal in signals:
        of.setdefault(signal.instrument, []).append(signal)
    slots, judged = asyncio.Semaphore(AT_ONCE), dict[UUID, Judged]()

    async def one(mine: Sequence[Signal]) -> None:
        async with slots:
            past = DecisionHistory()
            for place, signal in enumerate(mine, 1):
                made = await _judge(signal, setup, told, past.before(place, signal))
                judged[signal.id] = made
                stands = made.decision if made.known else instead.get(signal.id, made.decision)
                past.note(place, stands)

    await asyncio.gather(*map(one, of.values()))
    return [judged[signal.id] for signal in signals]


async def _judge(signal: Signal, setup: Setup, told: Told, earlier: Sequence[Decision]) -> Judged:
    options: AgentOptions = setup.agents.options
    journal, news = _Journal(told, setup), _News(told, signal)
    session = options.session(trading_day(signal.event_time), signal.instrument.segment)
    result = await run_committee(
        signal,
        told.scans.known_to(signal, told.decided.get(signal.id)),
        news=news,
        market=RecordedMarket(NoMarket(), told.market, written_already),
        journal=journal,
        deadline=NO_HURRY,
        validity=options.validity,
        limits=options.limits,
        around=Circumstances(session, earlier),
    )
    return Judged(signal, result.decision, tuple(journal.unanswered), journal.silent, news.guessed)


async def scans_under(
    recorded: Scans, setup: Setup, told: Told
) -> tuple[Scans, tuple[Question, ...]]:
    """The day's scans, from the features that stand in the recorded ones.

    One that nobody answered stays the recorded one; its question is returned.
    """
    made, unanswered = Scans(), list[Question]()
    for published_at, scan in recorded.by_day.values():
        journal = _Journal(told, setup)
        again = await _scan(scan, journal, setup)
        unanswered += journal.unanswered
        given = scan if journal.unanswered or journal.silent else again
        made.add(given, published_at)
    return made, tuple(unanswered)


async def _scan(scan: Scan, journal: _Journal, setup: Setup) -> Scan:
    return await scan_of(
        scan.trading_date,
        scan.event_time,
        [assessed(entry) for entry in scan.entries],
        journal=journal,
        deadline=NO_HURRY,
        options=setup.agents.scout,
    )

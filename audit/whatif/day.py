"""A recorded day on both sides of a change: read once, judged, and compared. Writes nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from agents.journal import LlmCallCache, Question
from agents.recorded_market import ContextCache
from agents.recorded_news import NewsCache
from audit.replay.folds import Fold
from audit.replay.orders import RecordedOrders
from audit.replay.reading import Progress, whole
from audit.replay.recorded import Span
from audit.replay.scans import Scans
from audit.whatif.books import Book, OrderName
from audit.whatif.decisions import Asking, Judged, Told, judge_all, scans_under
from audit.whatif.kept import KeptAnswers, KnownAnswers
from audit.whatif.orders import RecordedUsers, Side, make_orders
from audit.whatif.pairing import Difference, Result, differ, outcomes
from audit.whatif.paths import Path, Paths
from audit.whatif.setup import Setup
from bus.reader import extents_of
from bus.records import Record
from bus.stateful import StatefulService
from bus.stored import Topics
from executors.charges.rates import Rates
from schemas import ticks
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId
from schemas.inputs import NewsAnswer
from schemas.market import Action, trading_day
from schemas.market_context import MarketContext
from schemas.messages import (
    Decision,
    Execution,
    FanOut,
    LlmCall,
    Message,
    OrderIntent,
    Scan,
    Signal,
)
from schemas.topics import (
    DECISIONS,
    EXECUTIONS,
    FANOUTS,
    LLM,
    MARKET_CONTEXT,
    NEWS,
    ORDER_EVENTS,
    ORDERS,
    SCANS,
    SIGNALS,
    TICKS,
    PartitionPlan,
    Topic,
)
from schemas.units import Paise, UtcNs

M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class RecordedDay:
    """What is recorded of the days, as far as both sides need it.

    Attributes:
        before: Signals of the recorded rules, derived again.
        after: Those of the changed rules.
        decided: When the decision on a signal was published, in machine time.
        decisions: The recorded ones, by signal.
        foreign: Recorded decisions that come out differently here, though nothing was changed.
    """

    before: list[Signal] = field(default_factory=list)
    after: list[Signal] = field(default_factory=list)
    scans: Scans = field(default_factory=Scans)
    calls: LlmCallCache = field(default_factory=LlmCallCache)
    news: NewsCache = field(default_factory=lambda: NewsCache(limit=None))
    market: ContextCache = field(default_factory=lambda: ContextCache(limit=None))
    headlines: dict[InstrumentId, list[NewsAnswer]] = field(default_factory=dict)
    decided: dict[UUID, UtcNs] = field(default_factory=dict)
    decisions: dict[UUID, Decision] = field(default_factory=dict)
    users: RecordedUsers = field(default_factory=lambda: RecordedUsers(RecordedOrders()))
    foreign: int = 0

    def take(self, message: Message, published_at: UtcNs) -> None:
        """Take one record in, in the order of its partition."""
        match message:
            case Scan():
                self.scans.add(message, published_at)
            case LlmCall():
                self.calls.remember(message)
            case MarketContext():
                self.market.add(message)
            case NewsAnswer():
                self.news.add(message)
                self.headlines.setdefault(message.instrument, []).append(message)
            case Decision():
                self.decided.setdefault(message.signal_id, published_at)
                self.decisions.setdefault(message.signal_id, message)
            case FanOut() | OrderIntent() | Execution():
                self.users.add(message)

    @property
    def symbols(self) -> dict[InstrumentId, str]:
        """As the scans name them."""
        return {
            entry.instrument: entry.symbol
            for _, scan in self.scans.by_day.values()
            for entry in scan.entries
        }


@dataclass(frozen=True, slots=True)
class Judgements:
    """Both sides' decisions.

    Attributes:
        scans: Questions of the Scout that nobody answered; the recorded lists stand.
    """

    before: tuple[Judged, ...]
    after: tuple[Judged, ...]
    scans: tuple[Question, ...] = ()


class WhatIf:
    """One comparison of `before` with `after` over the recorded days of `span`."""

    def __init__(
        self,
        connection: Topics,
        span: Span,
        before: Setup,
        after: Setup,
        *,
        rates: Rates,
        tell: Progress = lambda *_: None,
    ) -> None:
        self._connection = connection
        self._span = span
        self._before, self._after = before, after
        self._rates = rates
        self._tell = tell

    async def read(self) -> RecordedDay:
        """All that is recorded, and the signals of both sides.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers.
        """
        day = RecordedDay()
        same = self._before.engine is self._after.engine
        engines = [self._before.engine] if same else [self._before.engine, self._after.engine]
        found = await self._signals(engines)
        day.before, day.after = found[0], found[-1]
        kinds: tuple[tuple[Topic, type[Message]], ...] = (
            (SCANS, Scan), (LLM, LlmCall), (NEWS, NewsAnswer), (MARKET_CONTEXT, MarketContext),
            (DECISIONS, Decision),
            (FANOUTS, FanOut), (ORDERS, OrderIntent), (EXECUTIONS, Execution),
        )  # fmt: skip
        for topic, kind in kinds:
            async with aclosing(self._messages(topic, kind)) as messages:
                async for message, published_at in messages:
                    day.take(message, published_at)
        for known in day.headlines.values():
            known.sort(key=lambda each: each.event_time)
        day.users.close(day.decisions.values())
        return day

    async def judge(
        self, day: RecordedDay, kept: KeptAnswers, asking: Asking | None = None
    ) -> Judgements:
        """Both sides' decisions; without `asking` nobody is asked.

        Raises:
            Misconfigured: an answer could not be kept.
        """
        told = Told(
            KnownAnswers(day.calls), day.news, day.market, day.headlines, day.scans, day.decided
        )
        judged = await judge_all(day.before, self._before, told, {})
        # what has no recorded answer was decided without one, and is no question of this change
        silent = frozenset(question.id() for each in judged for question in each.unanswered)
        before = tuple(replace(each, unanswered=()) for each in judged)
        day.foreign = sum(_differs(day.decisions.get(e.signal.id), e.decision) for e in before)
        told = replace(
            told,
            answers=KnownAnswers(day.calls, kept, self._after.model),
            asking=asking,
            silent=silent,
        )
        scans, questions = await scans_under(day.scans, self._after, told)
        told = replace(told, scans=scans)
        instead = {each.signal.id: each.decision for each in before}
        after = await judge_all(day.after, self._after, told, instead)
        return Judgements(before, tuple(after), questions)

    async def compare(self, day: RecordedDay, judged: Judgements) -> Difference:
        """Orders and rupees of both sides, paired by signal.

        Raises:
            Misconfigured, TryLater: as `read`.
        """
        instead = {each.signal.id: each.decision for each in judged.before}
        recorded = [each.decision for each in judged.before]
        changed = [
            each.decision if each.known else instead.get(each.signal.id, each.decision)
            for each in judged.after
        ]
        acted = (each for each in (*recorded, *changed) if each.action is not Action.HOLD)
        paths = await self._paths(frozenset(each.instrument for each in acted))
        before = Side(self._before, day.users, Book(paths))
        after = Side(self._after, day.users, Book(paths), beside=before)
        make_orders(before, after, recorded, changed)
        return differ(
            outcomes(judged.before, before.placed, self._results(before)),
            outcomes(judged.after, after.placed, self._results(after)),
            day.symbols,
        )

    def _results(self, side: Side) -> dict[OrderName, Result]:
        made = {}
        for name, trades in side.book.ended.items():
            decision = side.placed[name].decision
            kind = side.setup.instruments[decision.instrument].kind
            day = trading_day(decision.event_time)
            bills = [each.charges(day, kind, self._rates) for each in trades]
            known = [each for each in bills if each is not None]
            charges = Paise(sum(known)) if len(known) == len(bills) else None
            gross = Paise(sum(each.gross for each in trades))
            made[name] = Result(gross, charges, tuple(each.why for each in trades))
        return made

    async def _signals(self, engines: Sequence[StatefulService]) -> list[list[Signal]]:
        instruments = len(await extents_of(self._connection, TICKS))
        users = len(await extents_of(self._connection, ORDER_EVENTS))
        folds = [Fold(engine, PartitionPlan(instruments, users)) for engine in engines]
        found: list[list[Signal]] = [[] for _ in folds]
        async with aclosing(self._records(TICKS, "replaying ats.ticks")) as records:
            async for record in records:
                for fold, signals in zip(folds, found, strict=True):
                    made = (each for each in fold.apply(record) if each.topic is SIGNALS)
                    signals.extend(self._of_span(decode(Signal, each.value) for each in made))
        return found

    def _of_span(self, signals: Iterable[Signal]) -> list[Signal]:
        return [each for each in signals if each.event_time in self._span]

    async def _paths(self, wanted: frozenset[InstrumentId]) -> Mapping[InstrumentId, Path]:
        """Of those instruments that were traded on either side."""
        paths = Paths(wanted)
        if not wanted:
            return {}
        async with aclosing(self._records(TICKS, "following prices")) as records:
            async for record in records:
                try:
                    batch = ticks.decode(record.value or b"")
                except Unreadable:  # history, or what the engine passed over too
                    continue
                if len(batch.rows) and batch.clock in self._span:
                    paths.add(batch)
        return paths.whole()

    async def _messages(self, topic: Topic, kind: type[M]) -> AsyncGenerator[tuple[M, UtcNs], None]:
        async with aclosing(self._records(topic, f"reading {topic.name}")) as records:
            async for record in records:
                try:
                    message = decode(kind, record.value)
                except Unreadable:  # `ats replay --verify` names it
                    continue
                if message.event_time in self._span:
                    yield message, record.published_at

    def _records(self, topic: Topic, what: str) -> AsyncGenerator[Record, None]:
        return whole(self._connection, [topic], what, self._tell)


def _differs(recorded: Decision | None, derived: Decision) -> bool:
    if recorded is None:
        return True
    return (recorded.action, recorded.reason_code) != (derived.action, derived.reason_code)

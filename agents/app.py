"""The agents as processes: signals in, reports and decisions out; and the Scout, once a day.

A signal's decision is in the database before it is on the topic, and the signal is committed only
after that. Calls of many signals are under way at once; those of one instrument stay in order.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Final, TypeAlias

import structlog

from agents import scout
from agents.caches import ScanCache
from agents.committee import VALIDITY, CommitteeResult, run_committee
from agents.deadline import Deadline
from agents.entries import Circumstances
from agents.freshness import Age, NewestSignals, always_fresh, live_age, staleness
from agents.journal import REMEMBERED, Journal, LiveJournal, LlmCallCache, ModelTier
from agents.limits import Limits
from agents.market import MarketSource, NoMarket
from agents.metrics import DecisionMetrics
from agents.news import NewsSource, NoNews
from agents.open_spend import OpenSpend
from agents.past import DecisionHistory
from agents.recorded_history import RecordedHistory
from agents.recorded_market import ContextCache, RecordedMarket
from agents.recorded_news import NewsCache, RecordedNews
from agents.spend import SpendLedger
from agents.store import Store
from bus.publisher import Publisher
from bus.records import Output, Record, message_output
from bus.stateless import StatelessService
from schemas import topics
from schemas.codec import decode
from schemas.errors import AtsError, TryLater, Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.inputs import DailyBars, NewsAnswer
from schemas.market import Instrument, Session, trading_day
from schemas.market_context import MarketContext
from schemas.messages import LlmCall, Scan, Signal
from schemas.topics import Topic
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

GROUP: Final = "ats-agents"
OF_A_DECISION: Final = "ATS_MODEL_BUDGET_RUPEES_PER_DECISION"
# UTC ns, in the year 2116; far from the 64 bits of Kafka's and Postgres's numbers
END_OF_TIME: Final = 1 << 62

Publish: TypeAlias = Callable[[LlmCall], Awaitable[None]]
SessionOf: TypeAlias = Callable[[date, Segment], Session | None]


def _unknown_session(_day: date, _segment: Segment) -> Session | None:
    return None


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Configuration of the decision service.

    Attributes:
        deadline: Seconds for one committee, machine time; two model calls in a row and a retry fit.
        scan_timeout: Seconds to wait for the day's scan when a signal is there first.
        validity: Market time a decision may be acted on.
        in_flight: Signals worked on at once.
        limits: What a BUY or SELL must keep to, or it becomes a HOLD.
        session: The trading session of a day at an exchange; None where it is not known.
        age: How old a signal is, in market time. From `validity` on no model is asked about it.
    """

    deadline: float = 45.0
    scan_timeout: float = 10.0
    validity: UtcNs = VALIDITY
    in_flight: int = 64
    limits: Limits = field(default_factory=Limits)
    session: SessionOf = _unknown_session
    age: Age = live_age


@dataclass(frozen=True, slots=True)
class LlmGateway:
    """The way to the models: their tiers, the day's money, and the calls already recorded.

    Attributes:
        tiers: Best model first.
        decision_cap: What all calls for one decision may cost together; None for no such limit.
    """

    tiers: Sequence[ModelTier]
    ledger: SpendLedger
    cache: LlmCallCache = field(default_factory=partial(LlmCallCache, limit=REMEMBERED))
    clock: Callable[[], float] = time.monotonic
    metrics: DecisionMetrics = field(default_factory=DecisionMetrics)
    decision_cap: Paise | None = None

    @classmethod
    def with_cap(
        cls,
        tiers: Sequence[ModelTier],
        rupees_a_day: int,
        rupees_a_decision: int | None = None,
        open_spend: OpenSpend | None = None,
        rupees_a_user: int | None = None,
    ) -> LlmGateway:
        """A gateway whose models may cost `rupees_a_day` in one day of market time.

        With `rupees_a_user` no more than that for each user: the caller counts them
        (`agents.served`).
        What `open_spend` says a killed process had under way counts as spent.
        """
        cap = None if rupees_a_decision is None else Paise.from_rupees(rupees_a_decision)
        a_user = None if rupees_a_user is None else Paise.from_rupees(rupees_a_user)
        ledger = SpendLedger(Paise.from_rupees(rupees_a_day), a_user=a_user)
        if open_spend is not None:
            ledger.note = open_spend.note
            for day, amount in open_spend.lost.items():
                ledger.spend(day, Paise(amount))
        return cls(tiers, ledger, decision_cap=cap)

    def journal(
        self, publish: Publish, stale: Callable[[], str] = always_fresh, cap: Paise | None = None
    ) -> Journal:
        """A journal for one subject.

        `stale` says why it has grown too old to ask about; `cap` is what it may cost.
        """
        return LiveJournal(
            self.tiers,
            self.ledger,
            self.cache,
            publish,
            self.clock,
            stale,
            decision=None if cap is None else SpendLedger(cap, setting=OF_A_DECISION),
        )


def decision_service(
    *,
    llm: LlmGateway,
    scans: ScanCache,
    store: Store,
    publisher: Publisher,
    news: NewsSource | None = None,
    options: AgentOptions | None = None,
    history: DecisionHistory | None = None,
    answers: NewsCache | None = None,
    market: MarketSource | None = None,
    contexts: ContextCache | None = None,
) -> StatelessService:
    """The service over `ats.signals`.

    The caller keeps `scans`, `llm.cache`, `history`, `answers` and `contexts` fed (`agents.caches`,
    `agents.past`, `agents.recorded_news`, `agents.recorded_market`), and what `market` reads.
    """
    deciding = _Deciding(
        llm,
        scans,
        store,
        publisher,
        news or NoNews(),
        options or AgentOptions(),
        history or DecisionHistory(),
        answers or NewsCache(),
        market or NoMarket(),
        contexts or ContextCache(),
    )
    return StatelessService(
        group=GROUP,
        handlers={topics.SIGNALS: deciding.decide},
        outputs=(topics.REPORTS, topics.DECISIONS),
        in_flight=deciding.options.in_flight,
        queued=deciding.queued,
    )


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What decisions are made with; see `decision_service`."""

    llm: LlmGateway
    scans: ScanCache
    store: Store
    publisher: Publisher
    news: NewsSource
    options: AgentOptions
    history: DecisionHistory
    answers: NewsCache
    market: MarketSource
    contexts: ContextCache
    newest: NewestSignals = field(default_factory=NewestSignals)

    def queued(self, record: Record) -> None:
        """A signal waits."""
        with suppress(Unreadable):  # the handler makes it a dead letter
            self.newest.note(_signal_of(record))

    async def decide(self, record: Record) -> Sequence[Output]:
        """The reports and the decision of a record's signal, kept in the database.

        Raises:
            Unreadable: it is none.
        """
        signal, began = _signal_of(record), self.llm.clock()
        result = await self._committee(signal, record)
        seconds = self.llm.clock() - began
        self.history.note(record.offset, result.decision)
        await self.store.save_result(result.reports, result.decision)
        self.llm.metrics.decided(result.decision)
        self.llm.metrics.decision_seconds.observe(seconds)
        _log(result, seconds)
        return outputs_of(result)

    async def _committee(self, signal: Signal, record: Record) -> CommitteeResult:
        options, part, day = self.options, record.partition, trading_day(signal.event_time)
        scan = await self.scans.of(day, options.scan_timeout)

        def age() -> UtcNs:
            return options.age(signal.event_time, record.published_at)

        superseded = self.newest.superseded(signal, age())

        def stale() -> str:
            return superseded or staleness(age(), options.validity)

        note_news = _recording(self.publisher, topics.NEWS, part)
        note_market = _recording(self.publisher, topics.MARKET_CONTEXT, part)
        note_call = _publishing(self.publisher, part, self.llm.metrics)
        return await run_committee(
            signal,
            scan,
            news=RecordedNews(self.news, self.answers, signal, note_news),
            market=RecordedMarket(self.market, self.contexts, note_market),
            journal=self.llm.journal(note_call, stale, self.llm.decision_cap),
            deadline=Deadline.after(options.deadline, self.llm.clock),
            validity=options.validity,
            limits=options.limits,
            around=Circumstances(
                options.session(day, signal.instrument.segment),
                self.history.before(record.offset, signal),
            ),
        )


def _signal_of(record: Record) -> Signal:
    """Raises Unreadable, also for a moment with which no later moment could be written down."""
    signal = decode(Signal, record.value)
    if not 0 <= signal.event_time < END_OF_TIME:
        raise Unreadable(f"{int(signal.event_time)} is no moment of a market", "event_time")
    return signal


def outputs_of(result: CommitteeResult) -> tuple[Output, ...]:
    """Reports first: who sees the decision can already read what it rests on."""
    key = str(result.decision.instrument)
    reports = (message_output(topics.REPORTS, report, key) for report in result.reports)
    return (*reports, message_output(topics.DECISIONS, result.decision, key))


async def run_scout(
    day: date,
    universe: Sequence[Instrument],
    history: scout.History,
    *,
    opens: UtcNs,
    llm: LlmGateway,
    store: Store,
    publisher: Publisher,
    limiter: scout.RateLimiter,
    options: scout.ScoutOptions | None = None,
    model_deadline: float = 60.0,
    progress: scout.Progress = lambda _done, _all: None,
    recorded: dict[InstrumentId, DailyBars] | None = None,
) -> Scan:
    """Scan the universe for `day`, store the rows, then publish the shortlist.

    `opens` is when the day's first session begins; `recorded` are histories that are written down
    already.

    Raises:
        TryLater: no history could be had, or the database or Kafka is away.
    """
    known = {} if recorded is None else recorded
    recording = _recording(publisher, topics.DAILY_BARS)
    scan = await scout.scan(
        day,
        universe,
        RecordedHistory(history, day, opens, known, recording),
        opens=opens,
        journal=llm.journal(_publishing(publisher, None, llm.metrics)),
        model_seconds=model_deadline,
        limiter=limiter,
        options=options or scout.ScoutOptions(),
        progress=progress,
    )
    await store.save_scan(scan)
    await publisher.send_and_wait(message_output(topics.SCANS, scan, day.isoformat()))
    shortlisted = [entry.symbol for entry in scan.entries if entry.rank is not None]
    log.info("scan_published", day=day.isoformat(), origin=scan.origin, shortlisted=shortlisted)
    return scan


def _publishing(publisher: Publisher, partition: int | None, metrics: DecisionMetrics) -> Publish:
    async def publish(call: LlmCall) -> None:
        metrics.called(call)
        await _write(publisher, message_output(topics.LLM, call, str(call.id), partition))

    return publish


def _recording(
    publisher: Publisher, topic: Topic, partition: int | None = None
) -> Callable[[NewsAnswer | DailyBars | MarketContext], Awaitable[None]]:
    async def record(answer: NewsAnswer | DailyBars | MarketContext) -> None:
        await _write(publisher, message_output(topic, answer, str(answer.instrument), partition))

    return record


async def _write(publisher: Publisher, output: Output) -> None:
    try:
        await publisher.send_and_wait(output)
    except AtsError:
        raise
    except Exception as error:  # of the broker: what is not written down may not be used
        raise TryLater(
            f"{output.topic.name} was not written: {error!r}; start the process again"
        ) from error


def _log(result: CommitteeResult, seconds: float) -> None:
    decision = result.decision
    log.info(
        "decided",
        symbol=decision.symbol,
        action=decision.action.value,
        origin=decision.origin.value,
        reason_code=decision.reason_code,
        signal=str(decision.signal_id),
        seconds=round(seconds, 3),
    )

"""Replays recorded days, stage by stage: each stage gets what the one before it derived.

Ticks make candles, indicators and signals; signals with scans and answers make decisions; decisions
with the users of their fan-outs make intents; intents with what the gate saw make outcomes;
observations make trades and positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

from agents.journal import LlmCallCache
from agents.past import DecisionHistory
from agents.recorded_news import NewsCache
from audit.replay.answers import (
    AgentsAsSet,
    Answered,
    Recorded,
    decide_again,
)
from audit.replay.comparison import (
    Comparison,
    Difference,
    FieldDifference,
    Kind,
    field_difference,
    first_of,
)
from audit.replay.folds import Fold
from audit.replay.orders import OrdersAsSet, RecordedOrders, fan_out_again, outcomes_again
from audit.replay.profits import DayResult, day_results
from audit.replay.reading import Progress, whole
from audit.replay.recorded import RecordedTopic, Span, Stored
from audit.replay.scans import Histories, Scans, scan_again, without_bars
from bus.reader import extents_of, record_at, there
from bus.records import Output, Record, TopicPartition, message_output
from bus.routing import Router
from bus.stateful import StatefulService
from bus.stored import Topics
from executors.orders.book_machine import book_service
from executors.preflights import preflight
from executors.risk.preflight import judge_preflight
from schemas.codec import decode, head_of
from schemas.errors import Unreadable
from schemas.ids import OrderId
from schemas.inputs import DailyBars, NewsAnswer
from schemas.market import Action
from schemas.market_context import MarketContext
from schemas.messages import (
    Decision,
    Execution,
    FanOut,
    LlmCall,
    Message,
    OrderIntent,
    Position,
    Preflight,
    Scan,
    Signal,
)
from schemas.topics import (
    CANDLES,
    DAILY_BARS,
    DECISIONS,
    EXECUTIONS,
    FANOUTS,
    INDICATORS,
    LLM,
    MARKET_CONTEXT,
    NEWS,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    PREFLIGHTS,
    REPORTS,
    SCANS,
    SIGNALS,
    TICKS,
    TRADES,
    PartitionPlan,
    Topic,
)
from schemas.units import UtcNs

# causes first, as a difference of one follows from those before it
COMPARED: Final = (
    CANDLES, INDICATORS, SIGNALS, SCANS, REPORTS, DECISIONS, FANOUTS, ORDERS, EXECUTIONS,
    ORDER_EVENTS, TRADES, POSITIONS, PREFLIGHTS,
)  # fmt: skip
# outputs of a fold: which record caused them follows from the inputs too
CAUSED: Final = (CANDLES, INDICATORS, SIGNALS, TRADES, POSITIONS)
# of observations only those that follow from an accepted order are derived
_PLACED: Final = b'"observed_by":"placement"'

M = TypeVar("M", bound=Message)
Use = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Cores:
    """The pure cores as they were set on the day.

    Attributes:
        engine: Candles, indicators and rules.
        orders: None where the day's instruments are not known; then no intent is derived.
        books: Trades and positions from observations.
        notes: What a reader of the result has to know of how they are set.
    """

    engine: StatefulService
    agents: AgentsAsSet = field(default_factory=AgentsAsSet)
    orders: OrdersAsSet | None = None
    books: StatefulService = field(default_factory=book_service)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay.

    Attributes:
        comparisons: By topic, causes first.
        inputs: Records that went in as they stand, by topic.
        results: What each user's days came to.
        notes: What a reader has to know to judge the result.
    """

    comparisons: tuple[Comparison, ...]
    inputs: dict[str, int]
    results: tuple[DayResult, ...]
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything that was derived stands on the topics, and nothing else."""
        return not any(each.differences for each in self.comparisons)

    @property
    def empty(self) -> bool:
        """Whether nothing was derived, and nothing stands there: another day, most likely."""
        return not any(each.derived or each.differences for each in self.comparisons)

    @property
    def first(self) -> Difference | None:
        """The first difference, of the first topic that has any."""
        return first_of(self.comparisons)


class Replay:
    """One replay of `span`. Nothing is written, and no consumer group is joined."""

    def __init__(
        self,
        connection: Topics,
        span: Span,
        cores: Cores,
        *,
        verify: bool,
        tell: Progress = lambda *_: None,
        on_derived: Callable[[Output], None] = lambda _: None,
    ) -> None:
        """`on_derived` is told of each derived message that is compared, or would be."""
        self._connection = connection
        self._span = span
        self._cores = cores
        self._tell = tell
        self._inputs: dict[str, int] = {}
        self._notes = list(cores.notes)
        self._comparisons = {
            topic.name: Comparison(
                topic,
                span,
                RecordedTopic(caused=topic in CAUSED) if verify else None,
                on_derived=on_derived,
            )
            for topic in COMPARED
        }
        self._recorded = RecordedOrders()

    async def run(self) -> Replayed:
        """Derive everything again, and compare it where that was asked for.

        Raises:
            Misconfigured: a topic does not exist.
            TryLater: no broker answers.
        """
        plan = await self._plan()
        signals = await self._engine(plan)
        decisions = await self._agents(signals, plan)
        await self._orders(decisions, plan)
        positions = await self._books(plan)
        await self._preflights()
        for comparison in self._comparisons.values():
            comparison.close()
        results = tuple(day_results(positions))
        compared = tuple(self._comparisons.values())
        return Replayed(compared, self._inputs, results, tuple(self._notes))

    async def field_of(self, difference: Difference) -> FieldDifference | None:
        """The first field in which what stands on the topic differs from what was derived."""
        stored = None
        if difference.offset is not None:
            place = difference.topic, difference.partition, difference.offset
            record = await record_at(self._connection, *place)
            caused = difference.topic in CAUSED
            stored = Stored.of_record(record, caused=caused) if record else None
        return field_difference(stored, difference.replayed)

    # The stages

    async def _engine(self, plan: PartitionPlan) -> list[Output]:
        await self._index(CANDLES, INDICATORS, SIGNALS)
        return await self._fold(self._cores.engine, plan, SIGNALS)

    async def _agents(self, signals: Sequence[Output], plan: PartitionPlan) -> list[Output]:
        """Scans, reports and decisions; returns the decisions."""
        agents, scans = self._cores.agents, Scans()
        told = await self._told()
        decided: dict[UUID, UtcNs] = {}

        def known(record: Record) -> None:
            if (decision := _read(Decision, record)) is not None:
                decided.setdefault(decision.signal_id, record.published_at)

        def scanned(record: Record) -> None:
            if (scan := _read(Scan, record)) is not None:
                scans.add(scan, record.published_at)

        await self._index(SCANS, use=scanned)
        await self._index(REPORTS)
        await self._index(DECISIONS, use=known)
        await self._scout(scans, told.calls)
        router = Router({SIGNALS.name: SIGNALS}, (REPORTS, DECISIONS), plan)
        decisions, past = list[Output](), DecisionHistory()
        for done, output in enumerate(signals, 1):
            signal = decode(Signal, output.value)
            known_then = scans.known_to(signal, decided.get(signal.id))
            earlier = past.before(done, signal)
            made, decision = await decide_again(signal, known_then, earlier, told, agents)
            past.note(done, decision)  # their order counts, not their numbers
            routed = tuple(router.route(_as_read(output), made.outputs))
            self._take_answered(Answered(routed, made.unanswered), self._comparisons)
            decisions += [each for each in routed if each.topic is DECISIONS]
            self._tell("replaying the agents", done, len(signals))
        return decisions

    async def _scout(self, scans: Scans, calls: LlmCallCache) -> None:
        """The scan of each day, from the daily bars that were recorded when it was published."""
        histories, orders = Histories(), self._cores.orders
        await self._take(DAILY_BARS, DailyBars, histories.add)
        named = orders.instruments if orders else {}
        for day, (published_at, scan) in scans.by_day.items():
            bars = histories.used_by(day, published_at)
            made = await scan_again(scan, bars, named, calls, self._cores.agents)
            self._take_answered(made, self._comparisons)
            self._notes += filter(None, [without_bars(scan, bars)])
        for day in sorted(histories.by_day.keys() - scans.by_day.keys()):
            self._notes.append(f"of {day} daily bars are recorded, and no scan: none is derived")

    async def _told(self) -> Recorded:
        """What models and the source of headlines answered, and the market they saw."""
        told = Recorded(LlmCallCache(), NewsCache(limit=None))
        await self._take(LLM, LlmCall, lambda call, _: told.calls.remember(call))
        await self._take(NEWS, NewsAnswer, lambda answer, _: told.news.add(answer))
        await self._take(MARKET_CONTEXT, MarketContext, lambda each, _: told.market.add(each))
        return told

    def _take_answered(self, made: Answered, comparisons: dict[str, Comparison]) -> None:
        for output in made.outputs:
            comparisons[output.topic.name].take(output, made.note)

    async def _orders(self, decisions: Sequence[Output], plan: PartitionPlan) -> None:
        """Fan-outs, intents and outcomes."""

        def remember(kind: type[FanOut | OrderIntent | Execution]) -> Use:
            def use(record: Record) -> None:
                if (message := _read(kind, record)) is not None:
                    self._recorded.add(message)

            return use

        await self._index(FANOUTS, use=remember(FanOut))
        await self._index(ORDERS, use=remember(OrderIntent))
        await self._index(EXECUTIONS, use=remember(Execution))
        await self._index(ORDER_EVENTS, only=_PLACED)
        orders, acted = self._cores.orders, [decode(Decision, each.value) for each in decisions]
        if orders is None or not _all_known(acted, orders):
            for topic in (FANOUTS, ORDERS, EXECUTIONS, ORDER_EVENTS):
                self._comparisons[topic.name].recorded = None  # what is there is not judged
            self._notes.append(
                "the day's instruments are not known here, so fan-outs, orders and outcomes are "
                "neither derived nor compared"
            )
            return
        fan_out = Router({DECISIONS.name: DECISIONS}, (FANOUTS, ORDERS), plan)
        worker = Router({ORDERS.name: ORDERS}, (EXECUTIONS, ORDER_EVENTS), plan)
        for done, (output, decision) in enumerate(zip(decisions, acted, strict=True), 1):
            made = fan_out_again(decision, self._recorded, orders)
            for routed in fan_out.route(_as_read(output), made):
                self._comparisons[routed.topic.name].take(routed)
                if routed.topic is ORDERS:
                    self._outcomes(routed, worker)
            self._tell("replaying orders", done, len(decisions))

    def _outcomes(self, order: Output, worker: Router) -> None:
        intent = decode(OrderIntent, order.value)
        told = self._recorded.outcomes.get(intent.id, [])
        for routed in worker.route(_as_read(order), outcomes_again(intent, told)):
            self._comparisons[routed.topic.name].take(routed)
        if not told:
            self._without_outcome(order, intent.id, intent.event_time)

    def _without_outcome(self, order: Output, id_: OrderId, moment: UtcNs) -> None:
        comparison = self._comparisons[EXECUTIONS.name]
        if comparison.recorded is not None:
            note = f"order {id_} has no recorded outcome"
            place = order.partition or 0, None, None
            comparison.note(
                Difference(EXECUTIONS, Kind.MISSING, str(id_), moment, *place, note=note)
            )

    async def _books(self, plan: PartitionPlan) -> list[Position]:
        await self._index(TRADES, POSITIONS)
        outputs = await self._fold(self._cores.books, plan, POSITIONS)
        return [decode(Position, each.value) for each in outputs]

    async def _preflights(self) -> None:
        """What was seen is an input, the verdict follows from it."""
        comparison = self._comparisons[PREFLIGHTS.name]

        def judged(record: Record) -> None:
            if (told := _read(Preflight, record)) is not None:
                again = preflight(told.user_id, told.facts, judge_preflight(told.facts))
                output = message_output(PREFLIGHTS, again, str(told.user_id), record.partition)
                comparison.take(output)

        await self._index(PREFLIGHTS, use=judged)

    # Reading

    async def _plan(self) -> PartitionPlan:
        """As many partitions as the topics have, whatever the settings say."""
        ticks = await extents_of(self._connection, TICKS)
        users = await extents_of(self._connection, ORDER_EVENTS)
        return PartitionPlan(len(ticks), len(users))

    async def _index(self, *topics: Topic, use: Use | None = None, only: bytes = b"") -> None:
        """Note what stands on `topics` of the span; each record of it is also handed to `use`."""
        for topic in topics:
            recorded = self._comparisons[topic.name].recorded
            if recorded is None and use is None:
                continue
            records = whole(self._connection, [topic], f"reading {topic.name}", self._tell)
            async with aclosing(records):
                async for record in records:
                    if only and only not in (record.value or b""):
                        continue
                    if recorded is not None:
                        recorded.add(record, self._span)
                    if use and self._of_span(record):
                        use(record)

    def _of_span(self, record: Record) -> bool:
        head = head_of(record.value or b"")
        return head is not None and head.event_time in self._span

    async def _take(self, topic: Topic, kind: type[M], use: Callable[[M, UtcNs], object]) -> None:
        """Hand every message of the span to `use`, and when it was published: an input."""
        count = unreadable = 0
        if not await there(self._connection, [topic]):
            self._notes.append(f"the record is older than {topic.name}")
            return
        records = whole(self._connection, [topic], f"reading {topic.name}", self._tell)
        async with aclosing(records):
            async for record in records:
                message = _read(kind, record)
                if message is None:
                    unreadable += 1
                elif message.event_time in self._span:
                    count += 1
                    use(message, record.published_at)
        self._inputs[topic.name] = count
        if unreadable:
            self._notes.append(_passed_over(unreadable, topic.name))

    async def _fold(
        self, service: StatefulService, plan: PartitionPlan, kept: Topic
    ) -> list[Output]:
        """Compare all that `service` makes of its source; returns what it makes on `kept`."""
        fold, found, count = Fold(service, plan), list[Output](), 0
        what = f"replaying {service.source.name}"
        records = whole(self._connection, [service.source], what, self._tell)
        async with aclosing(records):
            async for record in records:
                count += 1
                for output in fold.apply(record):
                    of_span = self._comparisons[output.topic.name].take(output)
                    if of_span and output.topic is kept:
                        found.append(output)
        self._inputs[service.source.name] = count
        self._notes += _notes_of(fold)
        return found


def _all_known(decisions: Iterable[Decision], orders: OrdersAsSet) -> bool:
    acted = (each for each in decisions if each.action is not Action.HOLD)
    return all(each.instrument in orders.instruments for each in acted)


def _read(kind: type[M], record: Record) -> M | None:
    """None of what cannot be read: it is counted where the topic is compared."""
    try:
        return decode(kind, record.value)
    except Unreadable:
        return None


def _as_read(output: Output) -> Record:
    """What a service would read of `output`; where it stands is of no matter to it."""
    place = TopicPartition(output.topic.name, output.partition or 0)
    return Record(*place, 0, output.key, output.value, UtcNs(0), dict(output.headers))


def _notes_of(fold: Fold) -> Iterable[str]:
    source = fold.service.source.name
    for number, offset in sorted(fold.begun.items()):
        if offset:
            yield (
                f"{source}-{number} begins at offset {offset}: what was known before it is not "
                "recorded, so what has a long memory may differ"
            )
    if fold.unreadable:
        yield _passed_over(fold.unreadable, source)


def _passed_over(count: int, topic: str) -> str:
    return f"{count:,} records of {topic} are no message; they are passed over"

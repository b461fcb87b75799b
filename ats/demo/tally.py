"""What the demo counts and which promises it checks, from the records of the topics alone.

Pure: `take` a record, ask for `promises`. A repeat (same id) counts once; a repeat with other bytes
is a broken promise.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import quantiles
from uuid import UUID

from audit.manifest import named_by
from bus.records import Record
from executors.reasons import for_user
from executors.risk.denial import Denial
from executors.risk.situation import closes
from schemas import ticks, topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.ids import InstrumentId, UserId
from schemas.manifest import Manifest
from schemas.market import Action, Side
from schemas.messages import (
    CallOutcome,
    DeadLetter,
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    ExitReason,
    FanOut,
    FeedEvent,
    LlmCall,
    Message,
    OrderIntent,
    Origin,
    Outcome,
    Position,
    Signal,
    Trade,
)
from schemas.topics import Topic
from schemas.units import NS_PER_SECOND, Paise, UtcNs

FOLLOWED: tuple[Topic, ...] = tuple(
    topic for topic in topics.CATALOGUE if not topic.holds_snapshots
)
# a manifest, which a service writes before it has one to name, and what is signed of other topics
_UNNAMED = frozenset(
    topic.name
    for topic in (topics.MANIFEST, topics.MANIFEST_CONTENTS, topics.LEDGER, topics.CHECKPOINTS)
)
RECENT = 8  # decisions in the live view


class Promise(StrEnum):
    """What is checked on the topics, in the words of the summary."""

    READABLE = "every record can be read"
    SAME_BYTES = "a record that comes again has the same bytes"
    NO_SECRETS = "no token stands on any topic"
    ANSWERED = "every signal got a decision, every order an outcome"
    ONE_OUTCOME = "no order has two outcomes, no outcome is without an order"
    ONE_ORDER = "a user has one order at most for each decision"
    OFF_IS_OFF = "who is switched off got no order"
    DHAN_KNOWS = "every accepted order has Dhan's order id"
    NAMED = "every record names the manifest it was made under, and ats.manifest has it"
    EXITS_WORK = "no closing order was denied by the day's number of orders"


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of machine time between two records, over all messages so far."""

    p50: float
    p99: float
    count: int


@dataclass(slots=True)
class Tally:
    """Counts and evidence.

    Attributes:
        inactive: Users who must get no order.
        tokens: Secrets that must stand in no record.
        denials: Orders that were not accepted, by outcome and reason in words.
        recent: The last decisions to buy or sell.
        trades: Each fill once, by user.
        positions: What was told last, by user and instrument.
        exits: Why the guardian sent its closing orders, by their names at Dhan.
        thinking: Paise that all model calls cost.
        calls: Model calls by how they ended.
        answer_tokens: Tokens of the answers that came, and the seconds in which they did.
        answer_seconds: From question to answer, one call after the other.
    """

    inactive: frozenset[UserId] = frozenset()
    tokens: frozenset[bytes] = frozenset()
    ticks: int = 0
    clock: UtcNs = field(default_factory=lambda: UtcNs(0))
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    denials: Counter[tuple[Outcome, str]] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    decisions: dict[UUID, Decision] = field(default_factory=dict)
    orders: dict[UUID, OrderIntent] = field(default_factory=dict)
    executions: dict[UUID, Execution] = field(default_factory=dict)
    corrections: dict[UUID, Execution] = field(default_factory=dict)
    signals: dict[UUID, Signal] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    feed: list[FeedEvent] = field(default_factory=list)
    recent: deque[Decision] = field(default_factory=lambda: deque(maxlen=RECENT))
    trades: dict[UserId, list[Trade]] = field(default_factory=lambda: defaultdict(list))
    positions: dict[UserId, dict[InstrumentId, Position]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    exits: dict[str, ExitReason] = field(default_factory=dict)
    thinking: Paise = field(default_factory=lambda: Paise(0))
    calls: Counter[CallOutcome] = field(default_factory=Counter)
    answer_tokens: int = 0
    answer_seconds: float = 0.0
    _replaced: set[UUID] = field(default_factory=set)
    _bytes_of: dict[tuple[str, UUID], bytes] = field(default_factory=dict)
    _published: dict[UUID, UtcNs] = field(default_factory=dict)
    _waits: dict[str, list[float]] = field(default_factory=dict)
    _broken: dict[Promise, list[str]] = field(default_factory=lambda: defaultdict(list))
    _asked: Counter[UUID] = field(default_factory=Counter)
    _ends: dict[UUID, Counter[tuple[Outcome, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    _without: dict[UUID, FanOut] = field(default_factory=dict)
    _manifests: set[UUID] = field(default_factory=set)
    _made_under: dict[UUID | None, str] = field(default_factory=dict)
    _held: Counter[tuple[UserId, InstrumentId]] = field(default_factory=Counter)

    @property
    def progress(self) -> int:
        """A number that grows while anything comes of ticks; a feed may tell of itself for ever."""
        return self.ticks + self.counts.total() - self.counts[topics.FEED.name]

    def take(self, record: Record) -> None:
        """Count one record of any followed topic."""
        self._look_for_tokens(record)
        self._name(record)
        if record.topic == topics.TICKS.name:
            self._take_ticks(record)
            return
        if record.topic == topics.DEPTH.name:
            return  # there are many, and what was told of one stands on a context
        topic = topics.BY_NAME[record.topic]
        assert topic.message is not None
        try:
            message = decode(topic.message, record.value)
        except Unreadable as error:
            self._unreadable(record, error)
            return
        if self._first_time(record, message):
            self.counts[topic.name] += 1
            self._published[message.id] = record.published_at
            self._note(message, record)

    def _name(self, record: Record) -> None:
        """Remember the first record of each manifest, and of none."""
        if record.topic in _UNNAMED:
            return
        try:
            name = named_by(record)
        except Unreadable:
            name = None
        self._made_under.setdefault(name, str(record))

    def _take_ticks(self, record: Record) -> None:
        if is_history(record.value):
            return
        try:
            batch = ticks.decode(record.value or b"")
        except Unreadable as error:
            self._unreadable(record, error)
            return
        self.ticks += len(batch.rows)
        self.clock = max(self.clock, batch.clock)

    def _unreadable(self, record: Record, error: Unreadable) -> None:
        where = f"{record.topic} offset {record.offset}"
        self._broken[Promise.READABLE].append(f"{where} cannot be read: {error}")

    def _first_time(self, record: Record, message: Message) -> bool:
        value = record.value or b""
        known = self._bytes_of.setdefault((record.topic, message.id), value)
        if known is value:
            return True
        if known != value:
            self._broken[Promise.SAME_BYTES].append(
                f"{record.topic}: two records with id {message.id} differ"
            )
        return False

    def _note(self, message: Message, record: Record) -> None:
        match message:
            case Signal():
                self.signals[message.id] = message
            case Decision():
                self._note_decision(message, record)
            case OrderIntent():
                self.orders[message.id] = message
                self._asked[message.decision_id] += 1
            case Execution():
                self._note_execution(message, record)
            case DeadLetter():
                self.dead_letters.append(message)
            case FanOut():
                self._without[message.decision_id] = message
            case FeedEvent():
                self.feed.append(message)
            case Manifest():
                self._manifests.add(message.id)
            case _:
                self._note_books(message)

    def _note_books(self, message: Message) -> None:
        match message:
            case Trade():
                self.trades[message.user_id].append(message)
            case Position():
                self.positions[message.user_id][message.instrument] = message
            case ExitOrder(action=ExitAction.PLACE_CLOSE):
                self.exits[message.dhan_correlation_id] = message.reason_code
            case LlmCall():
                self._note_call(message)
            case _:
                pass

    def _note_call(self, call: LlmCall) -> None:
        self.thinking = Paise(self.thinking + call.cost)
        self.calls[call.outcome] += 1
        if call.outcome is CallOutcome.OK:
            self.answer_tokens += call.output_tokens
            self.answer_seconds += call.latency_ms / 1e3

    def thoughts(self) -> str:
        """How the model gets on, in words."""
        answered = self.calls[CallOutcome.OK]
        speed = self.answer_tokens / self.answer_seconds if self.answer_seconds else 0.0
        return (
            f"model: {answered:,} of {self.calls.total():,} calls answered, "
            f"{self.answer_tokens:,} tokens, {speed:.1f} tokens/s a call"
        )

    def failures(self) -> list[tuple[str, int]]:
        """Why no model decided, in the decisions' own words, the most frequent first."""
        failed = (d.reasoning for d in self.decisions.values() if d.origin is Origin.FAILSAFE)
        return Counter(failed).most_common()

    def _note_decision(self, decision: Decision, record: Record) -> None:
        self.decisions[decision.id] = decision
        self.actions[f"{decision.action} by {decision.origin}"] += 1
        self._wait("signal to decision", decision.signal_id, record)
        if decision.action is not Action.HOLD:
            self.recent.append(decision)

    def _note_execution(self, execution: Execution, record: Record) -> None:
        if execution.corrects is None:
            self.executions[execution.id] = execution
            self._look_for_a_closed_exit(execution)
            self._wait("decision to order outcome", execution.decision_id, record)
        else:
            self.corrections[execution.id] = execution
            self._replace(execution.corrects)
        if execution.id not in self._replaced:
            self._count(execution, 1)

    def _look_for_a_closed_exit(self, execution: Execution) -> None:
        held = self._held[execution.user_id, execution.instrument]
        used_up = execution.reason_code == Denial.ORDERS_OF_THE_DAY_USED_UP
        if used_up and closes(execution.side, execution.quantity, held):
            what = f"user {execution.user_id} could not close {execution.symbol}"
            self._broken[Promise.EXITS_WORK].append(what)

    def _replace(self, replaced: UUID) -> None:
        """What a correction replaces counts no more, also when it comes later."""
        self._replaced.add(replaced)
        if known := self.executions.get(replaced) or self.corrections.get(replaced):
            self._count(known, -1)
            self.outcomes += Counter()  # drops what has come to nothing
            self.denials += Counter()

    def _count(self, execution: Execution, step: int) -> None:
        words = "" if execution.outcome is Outcome.ACCEPTED else in_words(execution)
        self.outcomes[execution.outcome] += step
        self._ends[execution.decision_id][execution.outcome, words] += step
        if execution.outcome is Outcome.ACCEPTED:
            bought = execution.quantity if execution.side is Side.BUY else -execution.quantity
            self._held[execution.user_id, execution.instrument] += step * bought
        else:
            self.denials[execution.outcome, words] += step

    def _wait(self, name: str, cause: UUID, record: Record) -> None:
        if (since := self._published.get(cause)) is not None:
            self._waits.setdefault(name, []).append(
                (record.published_at - since) * 1e3 / NS_PER_SECOND
            )

    def _look_for_tokens(self, record: Record) -> None:
        if any(
            token in part
            for part in (record.key or b"", record.value or b"")
            for token in self.tokens
        ):
            where = f"{record.topic} offset {record.offset}"
            self._broken[Promise.NO_SECRETS].append(f"{where} holds a token")

    def latencies(self) -> dict[str, Latency]:
        """Milliseconds between records of one chain, by name."""
        return {name: _latency(waits) for name, waits in self._waits.items() if len(waits) > 1}

    def pending(self) -> str:
        """What is still on its way, in words; empty when everything has an end."""
        undecided = self.signals.keys() - {
            decision.signal_id for decision in self.decisions.values()
        }
        open_orders = self.orders.keys() - {
            execution.order_id for execution in self.executions.values()
        }
        parts = [f"{len(undecided)} signals without a decision"] if undecided else []
        parts += [f"{len(open_orders)} orders without an outcome"] if open_orders else []
        return ", ".join(parts)

    def fate(self, decision: Decision) -> str:
        """What became of a decision so far, in words."""
        ends = self._ends.get(decision.id, Counter())
        parts = [
            f"{count} {outcome}{f': {words}' if words else ''}"
            for (outcome, words), count in sorted(ends.items())
            if count
        ]
        if under_way := self._asked[decision.id] - ends.total():
            parts.append(f"{under_way} under way")
        if parts:
            return ", ".join(parts)
        fan_out = self._without.get(decision.id)
        if fan_out is None or fan_out.orders:
            return "on its way to the users"
        reasons = {for_user(one.reason_code) or one.reason_code for one in fan_out.without}
        return f"no order: {', '.join(sorted(reasons)) or 'nobody trades'}"

    def accepted(self) -> list[Execution]:
        """Orders accepted as far as is known now."""
        told = (*self.executions.values(), *self.corrections.values())
        return [e for e in told if e.id not in self._replaced and e.outcome is Outcome.ACCEPTED]

    def accepted_by_user(self) -> Counter[UserId]:
        return Counter(e.user_id for e in self.accepted())

    def promises(self) -> Mapping[Promise, list[str]]:
        """Each promise with what breaks it. Ask when nothing is pending any more."""
        found: dict[Promise, list[str]] = {each: list(self._broken[each]) for each in Promise}
        broken = (*self._of_orders(), *self._of_accepted(), *self._of_manifests())
        for promise, problem in broken:
            found[promise].append(problem)
        if waiting := self.pending():
            found[Promise.ANSWERED].append(waiting)
        return found

    def problems(self) -> list[str]:
        """Everything that breaks a promise, each in one line."""
        return [problem for problems in self.promises().values() for problem in problems]

    def _of_orders(self) -> Iterator[tuple[Promise, str]]:
        for order in self.orders.values():
            if order.user_id in self.inactive:
                who = f"user {order.user_id} is switched off but got order {order.id}"
                yield Promise.OFF_IS_OFF, who
        per_order = Counter(execution.order_id for execution in self.executions.values())
        for id_, count in per_order.items():
            if count > 1:
                yield Promise.ONE_OUTCOME, f"order {id_} has {count} outcomes"
        for id_ in per_order.keys() - self.orders.keys():
            yield Promise.ONE_OUTCOME, f"outcome for an order nobody asked for: {id_}"
        told = self.executions.keys() | self.corrections.keys()
        for correction in self.corrections.values():
            if correction.corrects not in told:
                what = f"correction of an outcome that was never told: {correction.order_id}"
                yield Promise.ONE_OUTCOME, what

    def _of_manifests(self) -> Iterator[tuple[Promise, str]]:
        for name, place in self._made_under.items():
            if name is None:
                yield Promise.NAMED, f"{place} names no manifest"
            elif name not in self._manifests:
                yield Promise.NAMED, f"{place} names manifest {name}, which nobody wrote"

    def _of_accepted(self) -> Iterator[tuple[Promise, str]]:
        accepted = self.accepted()
        per_pair = Counter((e.user_id, e.decision_id) for e in accepted)
        for (user, decision), count in per_pair.items():
            if count > 1:
                what = f"user {user} has {count} orders for decision {decision}"
                yield Promise.ONE_ORDER, what
        for execution in accepted:
            if not execution.dhan_order_id:
                what = f"order {execution.order_id} is accepted without Dhan's order id"
                yield Promise.DHAN_KNOWS, what


def in_words(execution: Execution) -> str:
    """Why an order was not accepted."""
    return execution.reason or for_user(execution.reason_code) or execution.reason_code


def _latency(waits: list[float]) -> Latency:
    cuts = quantiles(waits, n=100, method="inclusive")
    return Latency(p50=cuts[49], p99=cuts[98], count=len(waits))

"""What the demo counts and which promises it checks, from the records of the topics alone.

Pure: `take` a record, ask for `problems`. A repeat (same id) counts once; a repeat with other bytes
is a broken promise.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import quantiles
from uuid import UUID

from bus.records import Record
from schemas import ticks, topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.ids import UserId
from schemas.market import Action
from schemas.messages import (
    DeadLetter,
    Decision,
    Execution,
    FeedEvent,
    Message,
    OrderIntent,
    Outcome,
    Signal,
)
from schemas.topics import Topic
from schemas.units import NS_PER_SECOND, UtcNs

FOLLOWED: tuple[Topic, ...] = tuple(
    topic for topic in topics.CATALOGUE if topic is not topics.SNAPSHOTS
)
RECENT = 8  # lines in the live view


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
    """

    inactive: frozenset[UserId] = frozenset()
    tokens: frozenset[bytes] = frozenset()
    ticks: int = 0
    clock: UtcNs = field(default_factory=lambda: UtcNs(0))
    counts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    decisions: dict[UUID, Decision] = field(default_factory=dict)
    orders: dict[UUID, OrderIntent] = field(default_factory=dict)
    executions: dict[UUID, Execution] = field(default_factory=dict)
    corrections: dict[UUID, Execution] = field(default_factory=dict)
    signals: dict[UUID, Signal] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    feed: list[FeedEvent] = field(default_factory=list)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))
    _replaced: set[UUID] = field(default_factory=set)
    _bytes_of: dict[tuple[str, UUID], bytes] = field(default_factory=dict)
    _published: dict[UUID, UtcNs] = field(default_factory=dict)
    _waits: dict[str, list[float]] = field(default_factory=dict)
    _broken: list[str] = field(default_factory=list)

    def take(self, record: Record) -> None:
        """Count one record of any followed topic."""
        self._look_for_tokens(record)
        if record.topic == topics.TICKS.name:
            self._take_ticks(record)
            return
        topic = topics.BY_NAME[record.topic]
        assert topic.message is not None
        try:
            message = decode(topic.message, record.value)
        except Unreadable as error:
            self._broken.append(f"{record.topic} offset {record.offset} cannot be read: {error}")
            return
        if self._first_time(record, message):
            self.counts[topic.name] += 1
            self._published[message.id] = record.published_at
            self._note(message, record)

    def _take_ticks(self, record: Record) -> None:
        if is_history(record.value):
            return
        try:
            batch = ticks.decode(record.value or b"")
        except Unreadable as error:
            self._broken.append(f"{record.topic} offset {record.offset} cannot be read: {error}")
            return
        self.ticks += len(batch.rows)
        self.clock = max(self.clock, batch.clock)

    def _first_time(self, record: Record, message: Message) -> bool:
        if record.topic == topics.SESSIONS.name:
            return True  # a state, not an event: the same id may say something new
        value = record.value or b""
        known = self._bytes_of.setdefault((record.topic, message.id), value)
        if known is value:
            return True
        if known != value:
            self._broken.append(f"{record.topic}: two records with id {message.id} differ")
        return False

    def _note(self, message: Message, record: Record) -> None:
        match message:
            case Signal():
                self.signals[message.id] = message
            case Decision():
                self._note_decision(message, record)
            case OrderIntent():
                self.orders[message.id] = message
            case Execution():
                self._note_execution(message, record)
            case DeadLetter():
                self.dead_letters.append(message)
            case FeedEvent():
                self.feed.append(message)
            case _:
                pass

    def _note_decision(self, decision: Decision, record: Record) -> None:
        self.decisions[decision.id] = decision
        self.actions[f"{decision.action} by {decision.origin}"] += 1
        self._wait("signal to decision", decision.signal_id, record)
        if decision.action is not Action.HOLD:
            at = decision.event_time.ist().strftime("%H:%M")
            self.recent.append(
                f"{at}  {decision.action} {decision.symbol} at {decision.reference_price}: {decision.reasoning}"
            )

    def _note_execution(self, execution: Execution, record: Record) -> None:
        if execution.corrects is None:
            self.executions[execution.id] = execution
            self._wait("decision to order outcome", execution.decision_id, record)
        else:
            self.corrections[execution.id] = execution
            self._replace(execution.corrects)
        if execution.id not in self._replaced:
            self._count(execution, 1)

    def _replace(self, replaced: UUID) -> None:
        """What a correction replaces counts no more, also when it comes later."""
        self._replaced.add(replaced)
        if known := self.executions.get(replaced) or self.corrections.get(replaced):
            self._count(known, -1)
            self.outcomes += Counter()  # drops what has come to nothing
            self.denials += Counter()

    def _count(self, execution: Execution, step: int) -> None:
        self.outcomes[execution.outcome] += step
        if execution.outcome is not Outcome.ACCEPTED:
            self.denials[execution.reason_code] += step

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
            self._broken.append(f"{record.topic} offset {record.offset} holds a token")

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

    def accepted(self) -> list[Execution]:
        """Orders accepted as far as is known now."""
        told = (*self.executions.values(), *self.corrections.values())
        return [e for e in told if e.id not in self._replaced and e.outcome is Outcome.ACCEPTED]

    def accepted_by_user(self) -> Counter[UserId]:
        return Counter(e.user_id for e in self.accepted())

    def problems(self) -> list[str]:
        """Broken promises, each in one line. Ask when nothing is pending any more."""
        found = list(self._broken)
        found += [
            f"user {order.user_id} is switched off but got order {order.id}"
            for order in self._of_inactive()
        ]
        found += self._outcome_problems()
        if waiting := self.pending():
            found.append(waiting)
        return found

    def _of_inactive(self) -> Iterable[OrderIntent]:
        return (order for order in self.orders.values() if order.user_id in self.inactive)

    def _outcome_problems(self) -> list[str]:
        per_order = Counter(execution.order_id for execution in self.executions.values())
        accepted = self.accepted()
        per_pair = Counter((e.user_id, e.decision_id) for e in accepted)
        found = [
            f"order {order} has {count} outcomes" for order, count in per_order.items() if count > 1
        ]
        found += [
            f"user {user} has {count} orders for decision {d}"
            for (user, d), count in per_pair.items()
            if count > 1
        ]
        found += [
            f"outcome for an order nobody asked for: {order}"
            for order in per_order.keys() - self.orders.keys()
        ]
        found += [
            f"order {e.order_id} is accepted without Dhan's order id"
            for e in accepted
            if not e.dhan_order_id
        ]
        told = self.executions.keys() | self.corrections.keys()
        found += [
            f"correction of an outcome that was never told: {correction.order_id}"
            for correction in self.corrections.values()
            if correction.corrects not in told
        ]
        return found


def _latency(waits: list[float]) -> Latency:
    cuts = quantiles(waits, n=100, method="inclusive")
    return Latency(p50=cuts[49], p99=cuts[98], count=len(waits))

"""The story of one order: everything recorded that led to it, and all that came of it. Pure.

In go recorded messages in any order and any number of times; out comes what belongs to the thing
that was asked about. A message belongs by the ids that it carries, never by its time.

Where the guarantee stops: who placed an order from the phone is not recorded. A position that
nobody's decision opened has a story without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from audit.ticks import BarTicks
from executors.risk.situation import closable, closes
from schemas.evidence import SeenContext
from schemas.ids import InstrumentId, UserId
from schemas.inputs import NewsAnswer
from schemas.market import Timeframe, trading_day
from schemas.market_context import MarketContext
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    FanOut,
    Indicators,
    Leg,
    LlmCall,
    Message,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Outcome,
    Position,
    Report,
    Scan,
    Signal,
    Trade,
)
from schemas.units import UtcNs

# what places an order; the rest is about one that is there, or about the account
PLACES: Final = frozenset({ExitAction.PLACE_STOP, ExitAction.PLACE_CLOSE})

Kind = TypeVar("Kind", bound=Message)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message and where it stands.

    Attributes:
        published_at: When it was written, by the writer's clock.
        headers: What the record names beside its value: its cause and its manifest.
    """

    topic: str
    partition: int
    offset: int
    published_at: UtcNs
    message: Message
    headers: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """As Kafka's tools name it."""
        return f"{self.topic}-{self.partition}@{self.offset}"


class Bar(NamedTuple):
    """One bar, by its end."""

    instrument: InstrumentId
    timeframe: Timeframe
    end: UtcNs


@dataclass(frozen=True, slots=True)
class Subject:
    """What a story is about: ids that its messages carry.

    Attributes:
        user: Whose; None where it is everybody's, as of a decision.
        instrument: With `user` and `day`: one user's position, and what was sent to end it.
        day: The trading day (India).
        orders: Ids of order intents. None with a `user`: all of that position.
        names: Under which the orders stand at Dhan: numbers and correlation ids.
        bars: At whose close the signals were raised.
        scans: Verdicts of the Scout on the symbol.
        begins: Market time of the first of `orders`: an exit before it was about something else.
        ends: Market time at which nothing of `orders` was held any more: an exit after it likewise.
        opened_nothing: Each of `orders` only closed, or nothing of it traded, nor will: an exit
            that names none of them was about something else.
        asked: Id of the one event of the position that was asked about.
    """

    signals: frozenset[UUID] = frozenset()
    decisions: frozenset[UUID] = frozenset()
    user: UserId | None = None
    instrument: InstrumentId | None = None
    day: date | None = None
    orders: frozenset[UUID] | None = None
    names: frozenset[str] = frozenset()
    bars: frozenset[Bar] = frozenset()
    scans: frozenset[UUID] = frozenset()
    begins: UtcNs | None = None
    ends: UtcNs | None = None
    opened_nothing: bool = False
    asked: UUID | None = None

    def is_of_position(self, user: UserId, instrument: InstrumentId | None, day: date) -> bool:
        """Whether something of one user's day belongs to the position of the story."""
        return (user, instrument, day) == (self.user, self.instrument, self.day)


def names_of(message: Message) -> set[str]:
    """What names `message`: its own id, its order's, and those at Dhan."""
    ids = {str(message.id)}
    match message:
        case OrderIntent():
            ids.add(message.dhan_correlation_id)
        case Execution():
            ids |= {str(message.order_id), message.dhan_order_id or ""}
        case Trade():
            fill = message.fill
            ids |= {fill.trade_id, fill.dhan_order_id, message.dhan_correlation_id}
        case ExitOrder():
            ids |= {message.dhan_order_id or "", message.dhan_correlation_id}
        case OrderEvent(order=order) if order:
            ids |= {order.dhan_order_id, order.dhan_correlation_id}
    return ids - {""}


def subject_of(message: Message) -> Subject | None:
    """What the story of `message` is about; None where it has none, as a bar or a scan."""
    makes = _SUBJECT_OF.get(type(message))
    return makes(message) if makes else None


def widened(subject: Subject, messages: Iterable[Message]) -> Subject:
    """`subject` with the ids that follow from `messages`: an order's decision, its signal, …"""
    given = tuple(messages)
    # what was sent to end a position names orders, and belongs only until the position has ended
    unsent = tuple(each for each in given if not isinstance(each, ExitOrder))
    subject = _widened_by(subject, unsent)
    subject = _ended(replace(subject, opened_nothing=_opened_nothing(subject, given)), given)
    return _widened_by(subject, given)


def _widened_by(subject: Subject, messages: tuple[Message, ...]) -> Subject:
    while (wider := _widened_once(subject, messages)) != subject:
        subject = wider
    return subject


def _ended(subject: Subject, messages: Iterable[Message]) -> Subject:
    """With the moment at which what the orders opened was closed again, once it was."""
    if subject.begins is None:
        return subject
    given = [each for each in messages if belongs(each, subject)]
    ends = _closed_by_own_legs(given), _flat(given)
    return replace(subject, ends=min((each for each in ends if each is not None), default=None))


def _flat(messages: Iterable[Message]) -> UtcNs | None:
    """When nothing was held any more in the whole position."""
    positions = sorted(
        (each for each in messages if isinstance(each, Position)),
        key=lambda each: (each.event_time, each.bought + each.sold),
    )
    held = False
    for each in positions:
        if held and not each.net:
            return each.event_time
        held = held or bool(each.net)
    return None


def _closed_by_own_legs(messages: Iterable[Message]) -> UtcNs | None:
    """When stop or target had closed all that the orders filled, whatever others still held."""
    entered: dict[str, int] = {}
    left: dict[str, tuple[int, UtcNs]] = {}
    for each in messages:
        if not isinstance(each, OrderEvent) or (order := each.order) is None or not order.filled:
            continue
        number = order.dhan_order_id
        if order.leg is Leg.ENTRY:
            entered[number] = max(entered.get(number, 0), order.filled)
        elif order.filled > left.get(number, (0, UtcNs(0)))[0]:
            left[number] = order.filled, each.event_time
    if not left or sum(filled for filled, _ in left.values()) < sum(entered.values()):
        return None
    return max(moment for _, moment in left.values())


def _opened_nothing(subject: Subject, messages: Iterable[Message]) -> bool:
    """Whether each of `orders` only closed, or was turned down, at once or after Dhan took it."""
    if not subject.orders:
        return False
    known: dict[UUID, Execution] = {}
    turned_down, traded = set[str](), set[str]()
    for each in messages:
        match each:
            case Execution() if each.order_id in subject.orders:
                known[each.order_id] = each  # a correction comes later
            case OrderEvent(order=order) if order and belongs(each, subject):
                numbers = turned_down if order.status is OrderStatus.REJECTED else set[str]()
                (traded if order.filled else numbers).add(order.dhan_order_id)
            case Trade() if belongs(each, subject):
                traded.add(each.fill.dhan_order_id)
    return known.keys() == subject.orders and all(
        each.outcome is not Outcome.ACCEPTED
        or each.dhan_order_id in turned_down - traded
        or only_closes(each)
        for each in known.values()
    )


def only_closes(execution: Execution) -> bool:
    """Whether the order made a position smaller, by what the gate saw when it last looked."""
    seen = last_seen(execution)
    if seen is None:
        return False
    held = closable(seen.position, seen.filled)
    return closes(execution.side, execution.quantity, held)


def last_seen(execution: Execution) -> SeenContext | None:
    """What the gate saw when it last looked; None where nobody wrote it down."""
    evidence = execution.evidence
    if evidence is None:
        return None
    return evidence.judgement.seen if evidence.judgement else evidence.asked


def _widened_once(subject: Subject, messages: Iterable[Message]) -> Subject:
    for message in messages:
        if not belongs(message, subject):
            continue
        match message:
            case Decision():
                subject = replace(
                    subject,
                    signals=subject.signals | {message.signal_id},
                    decisions=subject.decisions | {message.id},
                    scans=subject.scans | ({message.scan_id} if message.scan_id else set()),
                )
            case Signal():
                bar = Bar(message.instrument, message.timeframe, message.event_time)
                subject = replace(subject, bars=subject.bars | {bar})
            case OrderIntent() if subject.user:
                subject = replace(
                    subject,
                    decisions=subject.decisions | {message.decision_id},
                    names=subject.names | {message.dhan_correlation_id},
                    begins=_earlier(subject, message.event_time),
                )
            case Execution() if subject.user and message.dhan_order_id:
                subject = replace(subject, names=subject.names | {message.dhan_order_id})
            case OrderEvent(order=order) if order:  # a leg may have a number of its own
                subject = replace(subject, names=subject.names | {order.dhan_order_id})
            case ExitOrder(action=action) if action in PLACES and message.dhan_order_id:
                subject = replace(subject, names=subject.names | {message.dhan_order_id})
    return subject


def belongs(message: Message, subject: Subject) -> bool:
    """Whether `message` is part of the story."""
    judges = _BELONGS.get(type(message))
    return judges(message, subject) if judges else False


def _is_order(message: OrderIntent | Execution, order: UUID, subject: Subject) -> bool:
    if subject.orders is not None:
        return order in subject.orders
    if subject.user:
        day = trading_day(message.event_time)
        return subject.is_of_position(message.user_id, message.instrument, day)
    return message.decision_id in subject.decisions


def _is_observed(
    user: UserId, instrument: InstrumentId | None, day: date, named: set[str], subject: Subject
) -> bool:
    if not subject.is_of_position(user, instrument, day):
        return False
    return subject.orders is None or bool(named & subject.names)


def _instrument(event: OrderEvent) -> InstrumentId | None:
    told = event.order or event.fill
    return told.instrument if told else None


def _of_order(message: OrderIntent | Execution) -> Subject:
    order = message.id if isinstance(message, OrderIntent) else message.order_id
    return Subject(
        decisions=frozenset({message.decision_id}),
        user=message.user_id,
        instrument=message.instrument,
        day=trading_day(message.event_time),
        orders=frozenset({order}),
    )


def _of_position(
    message: Trade | OrderEvent | Position | ExitOrder, instrument: InstrumentId | None
) -> Subject | None:
    if instrument is None:  # about a whole account
        return None
    return Subject(
        user=message.user_id, instrument=instrument, day=message.trading_date, asked=message.id
    )


def _is_of_trade(trade: Trade, subject: Subject) -> bool:
    named = {trade.fill.dhan_order_id, trade.dhan_correlation_id}
    instrument, day = trade.fill.instrument, trade.trading_date
    return _is_observed(trade.user_id, instrument, day, named, subject)


def _is_of_event(event: OrderEvent, subject: Subject) -> bool:
    named: set[str] = {event.fill.dhan_order_id} if event.fill else set()
    if order := event.order:
        named |= {order.dhan_order_id, order.super_order, order.dhan_correlation_id}
    instrument, day = _instrument(event), event.trading_date
    return _is_observed(event.user_id, instrument, day, named, subject)


def _earlier(subject: Subject, moment: UtcNs) -> UtcNs | None:
    if subject.orders is None:  # the whole position is told
        return None
    return moment if subject.begins is None else min(subject.begins, moment)


def _is_of_exit(step: ExitOrder, subject: Subject) -> bool:
    """One that changes an order belongs with it, one that places an order with the position."""
    if subject.ends is not None and step.event_time > subject.ends:
        return False
    named = {step.dhan_order_id, step.dhan_correlation_id} - {None, ""}
    of_an_order = subject.orders is not None and step.action not in PLACES and named
    if (of_an_order or subject.opened_nothing) and not named & subject.names:
        return False
    return _is_of_position(step, subject)


def _is_of_position(message: Position | ExitOrder, subject: Subject) -> bool:
    if subject.begins is not None and message.event_time < subject.begins:
        return False
    return subject.is_of_position(message.user_id, message.instrument, message.trading_date)


def _is_of_bar(message: Candle | Indicators, subject: Subject) -> bool:
    return Bar(message.instrument, message.timeframe, message.event_time) in subject.bars


_SUBJECT_OF: Final[Mapping[type[Message], Callable[[Any], Subject | None]]] = {
    Signal: lambda it: Subject(frozenset({it.id})),
    Report: lambda it: Subject(frozenset({it.signal_id})),
    LlmCall: lambda it: Subject(frozenset({it.causation_id})) if it.causation_id else None,
    MarketContext: lambda it: Subject(frozenset({it.signal_id})),
    NewsAnswer: lambda it: Subject(frozenset({it.signal_id})),
    Decision: lambda it: Subject(frozenset({it.signal_id}), frozenset({it.id})),
    FanOut: lambda it: Subject(decisions=frozenset({it.decision_id})),
    OrderIntent: _of_order,
    Execution: _of_order,
    Trade: lambda it: _of_position(it, it.fill.instrument),
    OrderEvent: lambda it: _of_position(it, _instrument(it)),
    Position: lambda it: _of_position(it, it.instrument),
    ExitOrder: lambda it: _of_position(it, it.instrument),
}
_BELONGS: Final[Mapping[type[Message], Callable[[Any, Subject], bool]]] = {
    Candle: _is_of_bar,
    Indicators: _is_of_bar,
    Scan: lambda it, of: any(entry.scan_id in of.scans for entry in it.entries),
    Signal: lambda it, of: it.id in of.signals,
    Report: lambda it, of: it.signal_id in of.signals,
    LlmCall: lambda it, of: it.causation_id in of.signals,
    Decision: lambda it, of: it.id in of.decisions or it.signal_id in of.signals,
    FanOut: lambda it, of: it.decision_id in of.decisions,
    OrderIntent: lambda it, of: _is_order(it, it.id, of),
    Execution: lambda it, of: _is_order(it, it.order_id, of),
    Trade: _is_of_trade,
    OrderEvent: _is_of_event,
    Position: _is_of_position,
    ExitOrder: _is_of_exit,
    MarketContext: lambda it, of: it.signal_id in of.signals,
    NewsAnswer: lambda it, of: it.signal_id in of.signals,
}


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """Another order of the same user, instrument and day: it opened or closed the position too.

    Attributes:
        outcome, decision: None where they are not recorded.
    """

    intent: OrderIntent
    record: Recorded
    outcome: Execution | None
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Story:
    """What was found, each message once, in the order in which it was written.

    Attributes:
        missing: What should be there and is not, in words.
        ticks: Of each bar at whose close a signal was raised.
        others: Orders of the same position that the story is not about.
    """

    subject: Subject
    records: tuple[Recorded, ...] = ()
    missing: tuple[str, ...] = field(default=())
    ticks: tuple[BarTicks, ...] = ()
    others: tuple[OtherOrder, ...] = ()

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The messages of one kind."""
        return [each.message for each in self.records if isinstance(each.message, kind)]


def told(subject: Subject, records: Iterable[Recorded]) -> Story:
    """The story of `subject` out of what was read."""
    given = tuple(records)
    once: dict[tuple[str, UUID], Recorded] = {}
    for each in given:
        if belongs(each.message, subject):
            once.setdefault((each.topic, each.message.id), each)
    kept = sorted(once.values(), key=lambda each: (each.published_at, each.topic, each.offset))
    story = Story(subject, tuple(kept), others=tuple(_others(subject, given)))
    return replace(story, missing=tuple(_missing(story)))


def _others(subject: Subject, records: Iterable[Recorded]) -> Iterable[OtherOrder]:
    """In the order of their market time."""
    if subject.orders is None:  # of a position all are told, of a decision everybody's
        return
    whole = replace(subject, orders=None)
    intents: dict[UUID, tuple[OrderIntent, Recorded]] = {}
    outcomes: dict[UUID, Execution] = {}
    decisions: dict[UUID, Decision] = {}
    for each in records:
        match each.message:
            case OrderIntent() as intent if belongs(intent, whole):
                intents.setdefault(intent.id, (intent, each))
            case Execution() as outcome if belongs(outcome, whole):
                outcomes[outcome.order_id] = outcome  # a correction comes later
            case Decision() as decision:
                decisions[decision.id] = decision
    for intent, record in sorted(intents.values(), key=lambda known: known[0].event_time):
        if intent.id not in subject.orders:
            known = outcomes.get(intent.id), decisions.get(intent.decision_id)
            yield OtherOrder(intent, record, *known)


def _missing(story: Story) -> Iterable[str]:
    """A story that has an end and no beginning says so."""
    there = {each.message.id for each in story.records}
    for decision in sorted(story.subject.decisions - there):
        yield f"decision {decision} is on no topic any more"
    for signal in sorted(story.subject.signals - there):
        yield f"signal {signal} is on no topic any more"
    ended = {each.order_id for each in story.of(Execution)}
    for order in sorted(each.id for each in story.of(OrderIntent) if each.id not in ended):
        yield f"order {order} has no recorded outcome yet"

"""What one user may see of themselves, as a fold of the topics by user. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from ats.gateway.market import MarketFold
from ats.gateway.series import Told
from ats.gateway.views import Own, OwnMarks, OwnOrder, OwnResult
from executors.charges.book import estimated
from executors.charges.rates import Rates
from executors.orders.book import DayBook, OrderKey, shown_order
from schemas.ids import DecisionId, InstrumentId, OrderId, UserId
from schemas.messages import (
    Execution,
    ExitOrder,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    Position,
    Preflight,
    Trade,
    UserSession,
)
from schemas.units import Paise, UtcNs

LISTED: Final = 100  # of each kind in an answer
KEPT: Final = 2_000  # orders and trades of a day; ATS_MAX_ORDERS_PER_DAY is 40
V = TypeVar("V")
K = TypeVar("K")


class AskedOrder(NamedTuple):
    """An order that a decision asked for, and when that was written."""

    intent: OrderIntent
    published_at: UtcNs


@dataclass(slots=True)
class _Outcome:
    """What was told of one order: the last outcome that no other one replaces."""

    told: dict[UUID, Execution] = field(default_factory=dict)
    replaced: set[UUID] = field(default_factory=set)

    def add(self, execution: Execution) -> bool:
        """Whether it was new. The outcome, and a correction or two of it: more is a repeat."""
        if execution.id in self.told or len(self.told) >= LISTED:
            return False
        # what the gate saw is for `ats why`, and large
        self.told[execution.id] = execution.model_copy(update={"evidence": None})
        if execution.corrects:
            self.replaced.add(execution.corrects)
        return True

    @property
    def now(self) -> Execution | None:
        standing = [each for each in self.told.values() if each.id not in self.replaced]
        return standing[-1] if standing else None


@dataclass(slots=True)
class _Day:
    """One user's trading day."""

    date: date
    intents: dict[OrderId, OrderIntent] = field(default_factory=dict)
    outcomes: dict[OrderId, _Outcome] = field(default_factory=dict)
    broker: DayBook = field(default_factory=DayBook)
    trades: dict[UUID, Trade] = field(default_factory=dict)
    positions: dict[InstrumentId, Position] = field(default_factory=dict)
    exits: deque[ExitOrder] = field(default_factory=lambda: deque(maxlen=LISTED))
    charges: dict[InstrumentId, Paise | None] = field(default_factory=dict)


class OwnFold:
    """One user's state. Messages of another user, or of an earlier day than `day`, are refused.

    Attributes:
        user: Whose it is.
    """

    def __init__(self, user: UserId, rates: Rates) -> None:
        self.user = user
        self._rates = rates
        self._session: UserSession | None = None
        self._preflight: Preflight | None = None
        self._day: _Day | None = None
        self._asked: dict[OrderId, AskedOrder] = {}

    def begin_day(self, day: date) -> None:
        """Let go of what was of an earlier day."""
        if self._day is None or self._day.date < day:
            self._day = _Day(day)

    def on_session(self, session: UserSession) -> Iterator[Told]:
        """They became active, or not."""
        if session != self._session:
            self._session = session
            yield Told("session", session)

    def on_preflight(self, preflight: Preflight) -> Iterator[Told]:
        """The verdict on their day."""
        if self._preflight is None or preflight.event_time >= self._preflight.event_time:
            self._preflight = preflight
            yield Told("preflight", preflight)

    def remember(self, intent: OrderIntent, published_at: UtcNs) -> None:
        """Keep an order of any day, so that it can be asked why."""
        self._asked.setdefault(intent.id, AskedOrder(intent, published_at))
        if len(self._asked) > KEPT:
            del self._asked[next(iter(self._asked))]

    def on_intent(self, intent: OrderIntent) -> Iterator[Told]:
        """A decision asks for an order."""
        if _put(self._of_today().intents, intent.id, intent):
            yield from self._order(intent.id)

    def on_execution(self, execution: Execution) -> Iterator[Told]:
        """What became of it, or a correction."""
        outcomes = self._of_today().outcomes
        _put(outcomes, execution.order_id, _Outcome())
        if execution.order_id in outcomes and outcomes[execution.order_id].add(execution):
            yield from self._order(execution.order_id)

    def on_order_event(self, event: OrderEvent) -> Iterator[Told]:
        """What the broker showed."""
        broker = self._of_today().broker
        if broker.observe(event) and event.order:
            key = OrderKey(event.order.dhan_order_id, event.order.leg)
            yield Told("broker_order", shown_order(key, broker.orders[key]))

    def on_trade(self, trade: Trade) -> Iterator[Told]:
        """A fill."""
        today = self._of_today()
        if not _put(today.trades, trade.id, trade):
            return
        instrument = trade.fill.instrument
        fills = [each.fill for each in today.trades.values() if each.fill.instrument == instrument]
        today.charges[instrument] = estimated(fills, today.date, self._rates)
        yield Told("trade", trade)

    def on_position(self, position: Position) -> Iterator[Told]:
        """What they hold of one instrument."""
        positions = self._of_today().positions
        if positions.get(position.instrument) != position:
            positions[position.instrument] = position
            yield Told("position", position)

    def on_exit(self, sent: ExitOrder) -> Iterator[Told]:
        """Something that no decision asked for was sent."""
        exits = self._of_today().exits
        if all(each.id != sent.id for each in exits):
            exits.append(sent)
            yield Told("exit", sent)

    @property
    def orders(self) -> int:
        """How many decisions of the day asked for one."""
        return len(self._day.intents) if self._day else 0

    @property
    def held(self) -> tuple[InstrumentId, ...]:
        """What is not flat."""
        positions = self._day.positions.values() if self._day else ()
        return tuple(each.instrument for each in positions if each.net)

    def asked(self, order: UUID) -> AskedOrder | None:
        """Their order of that id, of any day that was read; None where they have none."""
        return self._asked.get(OrderId(order))

    def marks(self, instrument: InstrumentId) -> OwnMarks:
        """What they did in one instrument today."""
        today = self._day
        if today is None:
            return OwnMarks(orders=(), trades=(), exits=())
        return OwnMarks(
            orders=tuple(
                self._own(each) for each in today.intents.values() if each.instrument == instrument
            ),
            trades=tuple(
                each for each in today.trades.values() if each.fill.instrument == instrument
            ),
            exits=tuple(each for each in today.exits if each.instrument == instrument),
        )

    def order_of(self, decision: UUID) -> OwnOrder | None:
        """Their order of one decision of the day."""
        intents = self._day.intents.values() if self._day else ()
        return next((self._own(each) for each in intents if each.decision_id == decision), None)

    def result(self, market: MarketFold) -> OwnResult:
        """The day's profit or loss at the last prices."""
        positions = self._day.positions if self._day else {}
        charges = list(self._day.charges.values()) if self._day else []
        realised = sum(each.realised for each in positions.values())
        unrealised = _unrealised(positions, market)
        known = [each for each in charges if each is not None]
        cost = sum(known) if len(known) == len(charges) else None
        thinking = market.thinking_of(self._decisions())
        left = None if unrealised is None or cost is None else Paise(realised + unrealised - cost)
        return OwnResult(
            realised=Paise(realised),
            unrealised=unrealised,
            charges=None if cost is None else Paise(cost),
            thinking=thinking,
            after_charges=left,
            after_everything=None if left is None else Paise(left - thinking),
        )

    def view(self, market: MarketFold) -> Own:
        """All of it as one answer."""
        today = self._day
        return Own(
            user_id=self.user,
            trading_date=today.date if today else None,
            session=self._session,
            preflight=self._preflight if self._of_this_day(self._preflight) else None,
            result=self.result(market),
            positions=tuple(today.positions[each] for each in sorted(today.positions))
            if today
            else (),
            orders=tuple(map(self._own, _newest(today.intents))) if today else (),
            broker_orders=_broker_orders(today.broker) if today else (),
            trades=_newest(today.trades) if today else (),
            exits=tuple(today.exits) if today else (),
        )

    def _of_today(self) -> _Day:
        assert self._day, "begin_day comes first"
        return self._day

    def _of_this_day(self, preflight: Preflight | None) -> bool:
        return bool(preflight and self._day and preflight.trading_date == self._day.date)

    def _decisions(self) -> set[DecisionId]:
        intents = self._day.intents.values() if self._day else ()
        return {each.decision_id for each in intents}

    def _order(self, order: OrderId) -> Iterator[Told]:
        """An outcome may be read before its intent; then nothing is told yet."""
        if intent := self._of_today().intents.get(order):
            yield Told("order", self._own(intent))

    def _own(self, intent: OrderIntent) -> OwnOrder:
        outcome = self._of_today().outcomes.get(intent.id)
        return OwnOrder(intent=intent, execution=outcome.now if outcome else None)


def _unrealised(positions: Mapping[InstrumentId, Position], market: MarketFold) -> Paise | None:
    """Of what is held at the last prices; None where one is not known."""
    total = 0
    for position in positions.values():
        price = market.price_of(position.instrument) if position.net else 0
        if price is None:
            return None
        value = position.sold_value - position.bought_value + position.net * price
        total += value - position.realised
    return Paise(total)


def _broker_orders(book: DayBook) -> tuple[ObservedOrder, ...]:
    return tuple(shown_order(key, order) for key, order in _newest_items(book.orders))


def _newest(held: Mapping[K, V]) -> tuple[V, ...]:
    return tuple(value for _, value in _newest_items(held))


def _newest_items(held: Mapping[K, V]) -> Iterator[tuple[K, V]]:
    return islice(held.items(), max(0, len(held) - LISTED), None)


def _put(held: dict[K, V], key: K, value: V) -> bool:
    """Keep `value` unless the key is known or the day is full. Whether it was new."""
    if key in held or len(held) >= KEPT:
        return False
    held[key] = value
    return True

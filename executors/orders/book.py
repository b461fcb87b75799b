"""One account's order book, put together from observations that overlap, repeat and get lost.

Every observation is joined into what is known. The join is commutative, associative and idempotent
(Shapiro et al., "Conflict-free replicated data types", 2011), so any order, repetition or loss of
observations, followed by one reading of the broker's whole book, ends in the same state. Pure.

What can only grow is joined by its greatest value: an order's status, what is filled of it, the set
of fills. What can be changed (limit, trigger, quantity) follows the broker's own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from schemas.ids import DhanOrderId, InstrumentId, UserId, derive
from schemas.market import Side
from schemas.messages import (
    BookRead,
    Leg,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderStatus,
    Position,
)
from schemas.units import Paise, Quantity, UtcNs

# Two ends never meet in an honest book. Where they do, the one that leaves a position counts.
_RANK: Final = {
    status: rank
    for rank, status in enumerate(
        (
            OrderStatus.OTHER,
            OrderStatus.TRANSIT,
            OrderStatus.PENDING,
            OrderStatus.TRIGGERED,
            OrderStatus.PART_TRADED,
            OrderStatus.REJECTED,
            OrderStatus.EXPIRED,
            OrderStatus.CANCELLED,
            OrderStatus.TRADED,
            OrderStatus.CLOSED,
        )
    )
}
# of two observations of one broker's time the later source is believed
_SOURCE: Final = {source: rank for rank, source in enumerate(ObservedBy)}
_STOPS: Final = frozenset({"STOP_LOSS", "STOP_LOSS_MARKET"})


class OrderKey(NamedTuple):
    """An order of the broker's book, or one leg of a super order."""

    dhan_order_id: DhanOrderId
    leg: Leg


class FillKey(NamedTuple):
    """One trade: exchanges number trades by segment."""

    segment: str
    trade_id: str
    dhan_order_id: DhanOrderId

    @classmethod
    def of(cls, fill: ObservedFill) -> FillKey:
        """The key of one fill."""
        return cls(fill.instrument.segment.value, fill.trade_id, fill.dhan_order_id)


class Stage(NamedTuple):
    """How far it got."""

    rank: int
    word: str
    reason: str


class Filled(NamedTuple):
    """What traded of it, as told; the value in paise."""

    quantity: int
    source: int
    value: int


class Terms(NamedTuple):
    """What can be modified."""

    updated_at: int
    source: int
    quantity: int
    price: int
    trigger: int
    order_type: str


class Identity(NamedTuple):
    """What never changes in an order; a field not told is smaller than one that is."""

    correlation_id: str
    instrument: InstrumentId
    side: Side
    product: str
    super_order: str = ""

    def join(self, other: Identity) -> Identity:
        """Both together, field by field."""
        return Identity(
            max(self.correlation_id, other.correlation_id),
            max(self.instrument, other.instrument),
            max(self.side, other.side),
            max(self.product, other.product),
            max(self.super_order, other.super_order),
        )


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """What is known of one order: the join of everything observed of it."""

    identity: Identity
    stage: Stage
    traded: Filled
    terms: Terms

    @classmethod
    def of(cls, seen: ObservedOrder, by: ObservedBy) -> KnownOrder:
        """What one observation says."""
        source = _SOURCE[by]
        return cls(
            Identity(
                seen.dhan_correlation_id,
                seen.instrument,
                seen.side,
                seen.product,
                seen.super_order,
            ),
            Stage(_RANK[seen.status], seen.status_word, seen.reason),
            Filled(seen.filled, source, seen.filled_value),
            Terms(
                seen.updated_at, source, seen.quantity, seen.price, seen.trigger, seen.order_type
            ),
        )

    def join(self, other: KnownOrder) -> KnownOrder:
        """Both together."""
        return KnownOrder(
            self.identity.join(other.identity),
            max(self.stage, other.stage),
            max(self.traded, other.traded),
            max(self.terms, other.terms),
        )

    @property
    def status(self) -> OrderStatus:
        """Where it stands. Filled to the last unit it is traded, whatever word came last."""
        told = next(status for status, rank in _RANK.items() if rank == self.stage.rank)
        if not told.final and self.terms.quantity and self.filled >= self.terms.quantity:
            return OrderStatus.TRADED
        if self.filled and _RANK[told] < _RANK[OrderStatus.PART_TRADED]:
            return OrderStatus.PART_TRADED
        return told

    @property
    def super_order(self) -> DhanOrderId | None:
        """The super order that it is part of; its entry names itself. None: none is known."""
        return DhanOrderId(self.identity.super_order) if self.identity.super_order else None

    @property
    def reason(self) -> str:
        return self.stage.reason

    @property
    def filled(self) -> int:
        return self.traded.quantity

    @property
    def filled_value(self) -> int:
        """Paise; the broker's rounded average price times what is filled."""
        return self.traded.value

    @property
    def quantity(self) -> int:
        return self.terms.quantity

    @property
    def price(self) -> int:
        return self.terms.price

    @property
    def trigger(self) -> int:
        return self.terms.trigger

    @property
    def order_type(self) -> str:
        return self.terms.order_type

    @property
    def remaining(self) -> int:
        """Units that may still trade."""
        return 0 if self.status.final else max(0, self.quantity - self.filled)

    def is_stop(self, leg: Leg) -> bool:
        """Whether it rests as a stop."""
        return leg is Leg.STOP_LOSS or (leg is Leg.ENTRY and self.order_type in _STOPS)


@dataclass(frozen=True, slots=True)
class BrokerCount:
    """The broker's own positions, as read last."""

    read_at: UtcNs
    net: tuple[tuple[InstrumentId, str, int], ...]

    @classmethod
    def of(cls, book: BookRead, read_at: UtcNs) -> BrokerCount:
        """What one reading says."""
        return cls(read_at, tuple(sorted((p.instrument, p.product, p.net) for p in book.positions)))


@dataclass(slots=True)
class DayBook:
    """One user's book of one Indian trading day."""

    orders: dict[OrderKey, KnownOrder] = field(default_factory=dict)
    fills: dict[FillKey, ObservedFill] = field(default_factory=dict)
    broker: BrokerCount | None = None

    def observe(self, event: OrderEvent) -> bool:
        """Join `event` in; returns whether anything new is known."""
        if event.order:
            return self._observe_order(event.order, event.observed_by)
        if event.fill:
            return self._observe_fill(event.fill)
        return event.book is not None and self._observe_book(event.book, event.event_time)

    def _observe_order(self, seen: ObservedOrder, by: ObservedBy) -> bool:
        key = OrderKey(seen.dhan_order_id, seen.leg)
        known, now = self.orders.get(key), KnownOrder.of(seen, by)
        joined = known.join(now) if known else now
        self.orders[key] = joined
        return joined != known

    def _observe_fill(self, fill: ObservedFill) -> bool:
        key = FillKey.of(fill)
        known = self.fills.get(key)
        # one number with two contents is a broker's error; every reader keeps the same one
        self.fills[key] = fill if known is None else max(known, fill, key=_fill_order)
        return self.fills[key] != known

    def _observe_book(self, book: BookRead, read_at: UtcNs) -> bool:
        seen = BrokerCount.of(book, read_at)
        if self.broker and (self.broker.read_at, self.broker.net) >= (read_at, seen.net):
            return False
        self.broker = seen
        return True

    def knows(self, event: OrderEvent) -> bool:
        """Whether `event` would change nothing."""
        if event.order:
            known = self.orders.get(OrderKey(event.order.dhan_order_id, event.order.leg))
            told = KnownOrder.of(event.order, event.observed_by)
            return known is not None and known.join(told) == known
        if event.fill:
            fill = self.fills.get(FillKey.of(event.fill))
            return fill is not None and max(fill, event.fill, key=_fill_order) == fill
        return False

    def counts_as(self, event: OrderEvent) -> bool:
        """Whether the broker's positions in a reading are those that it was last seen to count."""
        told = BrokerCount.of(event.book, event.event_time) if event.book else None
        return told is not None and self.broker is not None and told.net == self.broker.net

    def nets(self) -> dict[InstrumentId, int]:
        """Units held of everything that traded, as `holding` counts them; flat ones included."""
        traded, told = Counter[_Traded](), Counter[_Traded]()
        for fill in self.fills.values():
            traded[_Traded(fill.dhan_order_id, fill.instrument, fill.side)] += fill.quantity
        for key, order in self.orders.items():
            told[_Traded(key.dhan_order_id, order.identity.instrument, order.identity.side)] += (
                order.filled
            )
        nets = Counter[InstrumentId]()
        for each in traded.keys() | told.keys():
            units = max(traded[each], told[each])
            nets[each.instrument] += units if each.side is Side.BUY else -units
        return dict(nets)

    def instruments(self) -> set[InstrumentId]:
        """Everything an order or fill of the day is about, and what the broker counts."""
        ordered = {order.identity.instrument for order in self.orders.values()}
        counted = {instrument for instrument, _, _ in self.broker.net} if self.broker else set()
        return ordered | {fill.instrument for fill in self.fills.values()} | counted

    def orders_of(self, instrument: InstrumentId) -> dict[OrderKey, KnownOrder]:
        """The day's orders in one instrument."""
        return {k: o for k, o in self.orders.items() if o.identity.instrument == instrument}

    def holding(self, instrument: InstrumentId) -> Holding:
        """What was bought and sold of `instrument` and what protects the rest."""
        by_order: dict[DhanOrderId, list[ObservedFill]] = {}
        for fill in self.fills.values():
            if fill.instrument == instrument:
                by_order.setdefault(fill.dhan_order_id, []).append(fill)
        orders = self.orders_of(instrument)
        sums = {side: _Sum() for side in Side}
        known_ids = {key.dhan_order_id for key in orders}
        for number in known_ids | by_order.keys():
            legs = [order for key, order in orders.items() if key.dhan_order_id == number]
            _add_order(sums, legs, by_order.get(number, []))
        return Holding(
            sums[Side.BUY].quantity,
            sums[Side.BUY].value,
            sums[Side.SELL].quantity,
            sums[Side.SELL].value,
            all(each.by_trades for each in sums.values()),
            _resting(orders.items()),
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """What the fills of one instrument add up to. Values in paise.

    Attributes:
        stops: Resting stop quantity by the side that the stop would trade.
    """

    bought: int
    bought_value: int
    sold: int
    sold_value: int
    by_trades: bool
    stops: Mapping[Side, int]

    @property
    def net(self) -> int:
        """Units held; below zero is short."""
        return self.bought - self.sold

    @property
    def realised(self) -> int:
        """Paise earned by the closed part, gross of charges, to the nearest paisa."""
        closed = min(self.bought, self.sold)
        if not closed:
            return 0
        earned = Fraction(self.sold_value * closed, self.sold) - Fraction(
            self.bought_value * closed, self.bought
        )
        return round(earned)

    @property
    def resting_stop(self) -> int:
        """Units that a resting stop would close."""
        if not self.net:
            return 0
        return min(abs(self.net), self.stops.get(Side.SELL if self.net > 0 else Side.BUY, 0))

    @property
    def unprotected(self) -> int:
        """Units held without a resting stop."""
        return abs(self.net) - self.resting_stop


class _Traded(NamedTuple):
    """What an order number bought, or sold, of one instrument."""

    dhan_order_id: DhanOrderId
    instrument: InstrumentId
    side: Side


@dataclass(slots=True)
class _Sum:
    quantity: int = 0
    value: int = 0
    by_trades: bool = True


def _add_order(
    sums: Mapping[Side, _Sum], legs: Iterable[KnownOrder], fills: Iterable[ObservedFill]
) -> None:
    """Add what one order traded: by its trades where they explain all of it, else as told.

    The legs of a super order may trade under one number: they are told apart by their side.
    """
    for side, total in sums.items():
        traded = [fill for fill in fills if fill.side is side]
        quantity = sum(fill.quantity for fill in traded)
        told = [order for order in legs if order.identity.side is side]
        filled = sum(order.filled for order in told)
        if quantity >= filled:
            total.quantity += quantity
            total.value += sum(fill.quantity * fill.price for fill in traded)
        else:
            total.quantity += filled
            total.value += sum(order.filled_value for order in told)
            total.by_trades = False


def _resting(orders: Iterable[tuple[OrderKey, KnownOrder]]) -> dict[Side, int]:
    stops = dict.fromkeys(Side, 0)
    for key, order in orders:
        if order.is_stop(key.leg):
            stops[order.identity.side] += order.remaining
    return stops


def _fill_order(fill: ObservedFill) -> tuple[int, int, int, str]:
    return (fill.traded_at, fill.quantity, fill.price, fill.side.value)


Day: TypeAlias = tuple[UserId, date]


def position_of(
    user: UserId, day: date, instrument: InstrumentId, book: DayBook, cause: OrderEvent
) -> Position:
    """The message of one position, a function of the book and of the event that made it.

    A reading of the broker's book says whether both agree. What changes afterwards may be newer
    than the broker's count: then nobody knows until the next reading.
    """
    held = book.holding(instrument)
    return Position(
        id=derive("position", user, day, instrument, cause.id),
        event_time=cause.event_time,
        causation_id=cause.id,
        user_id=user,
        trading_date=day,
        instrument=instrument,
        bought=Quantity(held.bought),
        bought_value=Paise(held.bought_value),
        sold=Quantity(held.sold),
        sold_value=Paise(held.sold_value),
        net=held.net,
        realised=Paise(held.realised),
        resting_stop=Quantity(held.resting_stop),
        by_trades=held.by_trades,
        agrees=_agrees(book, cause, instrument, held.net),
    )


def _agrees(book: DayBook, cause: OrderEvent, instrument: InstrumentId, net: int) -> bool | None:
    if book.broker is None:
        return None
    same = net == sum(held for counted, _, held in book.broker.net if counted == instrument)
    return same if cause.book else same or None

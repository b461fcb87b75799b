"""One account's order book, put together from observations that overlap, repeat and get lost.

Every observation is joined into what is known. The join is commutative, associative and idempotent
(Shapiro et al., "Conflict-free replicated data types", 2011), so any order, repetition or loss of
observations, followed by one reading of the broker's whole book, ends in the same state. Pure.

What can only grow is joined by its greatest value: an order's status, what is filled of it, the set
of fills. What can be changed (limit, trigger, quantity) follows the broker's own time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
    _units: Counter[InstrumentId] = field(default_factory=Counter, init=False, compare=False)

    def __post_init__(self) -> None:
        for instrument, _, units in self.net:
            self._units[instrument] += units

    def units(self, instrument: InstrumentId) -> int:
        """Units of `instrument`, of all products; below zero is short."""
        return self._units[instrument]

    @classmethod
    def of(cls, book: BookRead, read_at: UtcNs) -> BrokerCount:
        """What one reading says."""
        return cls(read_at, tuple(sorted((p.instrument, p.product, p.net) for p in book.positions)))


class _Tally(NamedTuple):
    """What one order number did on one side; `guessed` is 1 where trades do not tell all of it."""

    quantity: int = 0
    value: int = 0
    guessed: int = 0
    resting: int = 0


@dataclass(slots=True)
class _Number:
    """All that is known of one order number in one instrument."""

    orders: dict[OrderKey, KnownOrder] = field(default_factory=dict)
    fills: dict[FillKey, ObservedFill] = field(default_factory=dict)

    def tally(self, side: Side) -> _Tally:
        """By its trades where they explain all of it, else as told.

        The legs of a super order may trade under one number: they are told apart by their side.
        """
        traded = [fill for fill in self.fills.values() if fill.side is side]
        told = [(key, order) for key, order in self.orders.items() if order.identity.side is side]
        resting = sum(order.remaining for key, order in told if order.is_stop(key.leg))
        quantity, filled = sum(f.quantity for f in traded), sum(o.filled for _, o in told)
        if quantity >= filled:
            return _Tally(quantity, sum(f.quantity * f.price for f in traded), 0, resting)
        return _Tally(filled, sum(o.filled_value for _, o in told), 1, resting)

    def stopped_out(self) -> dict[DhanOrderId, int]:
        """Stops of it that traded, by the order they protect, and when.

        A leg may trade under a number of its own, or under its entry's.
        """
        only_stops = all(order.is_stop(key.leg) for key, order in self.orders.items())
        last = max((fill.traded_at for fill in self.fills.values()), default=0)
        return {
            order.super_order or key.dhan_order_id: last
            if only_stops and last
            else order.terms.updated_at
            for key, order in self.orders.items()
            if order.is_stop(key.leg) and (order.filled or (only_stops and self.fills))
        }


@dataclass(slots=True)
class _Part:
    """What a book has of one instrument. Only numbers that changed are counted again."""

    orders: dict[OrderKey, KnownOrder] = field(default_factory=dict)
    fills: dict[FillKey, ObservedFill] = field(default_factory=dict)
    _numbers: dict[DhanOrderId, _Number] = field(default_factory=dict)
    _changed: set[DhanOrderId] = field(default_factory=set)
    _tallies: dict[tuple[DhanOrderId, Side], _Tally] = field(default_factory=dict)
    _sums: dict[Side, _Tally] = field(default_factory=lambda: dict.fromkeys(Side, _Tally()))
    _stopped_out: dict[DhanOrderId, dict[DhanOrderId, int]] = field(default_factory=dict)

    def put_order(self, key: OrderKey, order: KnownOrder) -> None:
        self.orders[key] = order
        self._number(key.dhan_order_id).orders[key] = order

    def put_fill(self, key: FillKey, fill: ObservedFill) -> None:
        self.fills[key] = fill
        self._number(key.dhan_order_id).fills[key] = fill

    def numbered(self, number: DhanOrderId) -> Mapping[OrderKey, KnownOrder]:
        known = self._numbers.get(number)
        return known.orders if known else {}

    def sums(self) -> Mapping[Side, _Tally]:
        """What all numbers add up to."""
        for number in self._changed:
            self._stopped_out[number] = self._numbers[number].stopped_out()
            for side in Side:
                now = self._numbers[number].tally(side)
                before = self._tallies.get((number, side), _Tally())
                self._tallies[number, side] = now
                total = zip(self._sums[side], now, before, strict=True)
                self._sums[side] = _Tally(*(each + new - old for each, new, old in total))
        self._changed.clear()
        return self._sums

    def stopped_out(self) -> tuple[int, int]:
        """How many stops traded, and when the last did."""
        self.sums()
        traded = [(order, at) for each in self._stopped_out.values() for order, at in each.items()]
        return len({order for order, _ in traded}), max((at for _, at in traded), default=0)

    def _number(self, number: DhanOrderId) -> _Number:
        self._changed.add(number)
        return self._numbers.setdefault(number, _Number())


@dataclass(slots=True)
class DayBook:
    """One user's book of one Indian trading day.

    Questions about one instrument cost as much as it has orders and fills, however long the book.
    After the first such question orders and fills are put in by `put_order` and `put_fill` only.
    """

    orders: dict[OrderKey, KnownOrder] = field(default_factory=dict)
    fills: dict[FillKey, ObservedFill] = field(default_factory=dict)
    broker: BrokerCount | None = None
    _parts: dict[InstrumentId, _Part] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def put_order(self, key: OrderKey, order: KnownOrder) -> None:
        """Have `order` in the place of what was known of it."""
        known = self.orders.get(key)
        self.orders[key] = order
        if known and known.identity.instrument != order.identity.instrument:
            self._parts = None
        elif self._parts is not None:
            self._parts.setdefault(order.identity.instrument, _Part()).put_order(key, order)

    def put_fill(self, key: FillKey, fill: ObservedFill) -> None:
        """Have `fill` in the place of what was known of it."""
        known = self.fills.get(key)
        self.fills[key] = fill
        if known and known.instrument != fill.instrument:
            self._parts = None
        elif self._parts is not None:
            self._parts.setdefault(fill.instrument, _Part()).put_fill(key, fill)

    def _part(self, instrument: InstrumentId) -> _Part:
        if self._parts is None:
            parts = dict[InstrumentId, _Part]()
            self._parts = parts
            for key, order in self.orders.items():
                parts.setdefault(order.identity.instrument, _Part()).put_order(key, order)
            for number, fill in self.fills.items():
                parts.setdefault(fill.instrument, _Part()).put_fill(number, fill)
        return self._parts.get(instrument) or _Part()

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
        self.put_order(key, joined)
        return joined != known

    def _observe_fill(self, fill: ObservedFill) -> bool:
        key = FillKey.of(fill)
        known = self.fills.get(key)
        # one number with two contents is a broker's error; every reader keeps the same one
        kept = fill if known is None else max(known, fill, key=_fill_order)
        self.put_fill(key, kept)
        return kept != known

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
        return dict(self._part(instrument).orders)

    def numbered(
        self, instrument: InstrumentId, number: DhanOrderId
    ) -> Mapping[OrderKey, KnownOrder]:
        """The order of this number in one instrument, or the legs that share it."""
        return self._part(instrument).numbered(number)

    def fills_of(self, instrument: InstrumentId) -> list[ObservedFill]:
        """The day's fills in one instrument."""
        return list(self._part(instrument).fills.values())

    def holding(self, instrument: InstrumentId) -> Holding:
        """What was bought and sold of `instrument` and what protects the rest."""
        part = self._part(instrument)
        sums, (stop_outs, stopped_out_at) = part.sums(), part.stopped_out()
        return Holding(
            sums[Side.BUY].quantity,
            sums[Side.BUY].value,
            sums[Side.SELL].quantity,
            sums[Side.SELL].value,
            not any(each.guessed for each in sums.values()),
            {side: each.resting for side, each in sums.items()},
            stop_outs,
            stopped_out_at,
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """What the fills of one instrument add up to. Values in paise.

    Attributes:
        stops: Resting stop quantity by the side that the stop would trade.
        stop_outs: Stops that traded, whoever placed them.
        stopped_out_at: When the last did, UTC ns; 0 for never, and where nobody told.
    """

    bought: int
    bought_value: int
    sold: int
    sold_value: int
    by_trades: bool
    stops: Mapping[Side, int]
    stop_outs: int
    stopped_out_at: int

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
        stop_outs=held.stop_outs,
        stopped_out_at=UtcNs(held.stopped_out_at) if held.stopped_out_at else None,
    )


def shown_order(key: OrderKey, order: KnownOrder) -> ObservedOrder:
    """What is known of an order, as one row."""
    return ObservedOrder(
        dhan_order_id=key.dhan_order_id,
        leg=key.leg,
        dhan_correlation_id=order.identity.correlation_id,
        instrument=order.identity.instrument,
        side=order.identity.side,
        product=order.identity.product,
        order_type=order.order_type,
        status=order.status,
        status_word=order.stage.word,
        quantity=Quantity(order.quantity),
        filled=Quantity(order.filled),
        filled_value=Paise(order.filled_value),
        price=Paise(order.price),
        trigger=Paise(order.trigger),
        updated_at=UtcNs(order.terms.updated_at),
        reason=order.reason,
    )


def _agrees(book: DayBook, cause: OrderEvent, instrument: InstrumentId, net: int) -> bool | None:
    if book.broker is None:
        return None
    same = net == book.broker.units(instrument)
    return same if cause.book else same or None

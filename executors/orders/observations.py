"""From what Dhan shows of an account to observations for `ats.order-events`. Pure.

An observation's id follows from what was observed, so the same content is the same event, however
often and by whomever it is seen. A row that belongs to the day before is told of that day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from dhan.orders import BrokerOrder, DayOrders, LegName, Product
from dhan.outcomes import Rows
from dhan.portfolio import PositionRow, TradeRow
from dhan.super_orders import BrokerLeg, BrokerSuperOrder
from executors.orders.book import DayBook
from executors.store import OrderOutcome
from executors.terms import OrderTerms
from schemas.ids import DhanOrderId, InstrumentId, UserId, derive
from schemas.market import Side, trading_day
from schemas.messages import (
    BookRead,
    BrokerPosition,
    Leg,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Outcome,
)
from schemas.units import Paise, Price, Quantity, UtcNs

LEGS: Final = {
    LegName.ENTRY: Leg.ENTRY,
    LegName.STOP_LOSS: Leg.STOP_LOSS,
    LegName.TARGET: Leg.TARGET,
}
_STATUSES: Final = {status.value: status for status in OrderStatus}
_NOTHING: Final = Paise(0)
_NO_UNITS: Final = Quantity(0)
_NO_TIME: Final = UtcNs(0)


@dataclass(frozen=True, slots=True)
class Reading:
    """The four lists that make an account's whole book, read at about one moment."""

    orders: DayOrders
    trades: Rows[TradeRow]
    super_orders: Rows[BrokerSuperOrder]
    positions: Rows[PositionRow]

    @property
    def rows(self) -> int:
        """How long it is, positions aside."""
        return len(self.orders.orders) + len(self.super_orders.rows) + len(self.trades.rows)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a reading says, as events, oldest facts first.

    Attributes:
        read: The event of the reading itself; it is to be recorded after all others.
    """

    events: tuple[OrderEvent, ...]
    read: OrderEvent

    @property
    def whole(self) -> bool:
        """Whether every row could be read."""
        return self.read.book is not None and self.read.book.whole


def order_event(
    user: UserId,
    order: BrokerOrder,
    by: ObservedBy,
    now: UtcNs,
    super_order: DhanOrderId | None = None,
) -> OrderEvent | None:
    """One order as Dhan shows it at market time `now`, as `observed_order`."""
    seen = observed_order(order, super_order)
    if seen is None:
        return None
    return _event(user, by, order.updated_at or order.created_at or now, now, seen)


def observed_order(
    order: BrokerOrder, super_order: DhanOrderId | None = None
) -> ObservedOrder | None:
    """One row as Dhan shows it; None when it says not what of.

    `super_order` is the number of the super order whose entry or leg it is known to be.
    """
    if order.instrument is None or order.side is None:
        return None
    return ObservedOrder(
        dhan_order_id=order.order_id,
        leg=LEGS[order.leg],
        dhan_correlation_id=order.correlation_id,
        instrument=order.instrument,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        status=_status(order),
        status_word=order.status,
        quantity=order.quantity or _NO_UNITS,
        filled=order.filled or _NO_UNITS,
        filled_value=order.filled_value or _NOTHING,
        price=Paise(order.price or 0),
        trigger=Paise(order.trigger or 0),
        updated_at=order.updated_at or _NO_TIME,
        super_order=super_order or order.parent_id or DhanOrderId(""),
        reason=order.reason,
    )


def fill_event(user: UserId, trade: TradeRow, now: UtcNs) -> OrderEvent | None:
    """One row of the trade book; None for what ATS cannot name, or a price finer than a paisa."""
    if trade.instrument is None:
        return None
    try:
        price = Price(Paise.from_rupees(trade.price))
    except ValueError:
        return None
    seen = ObservedFill(
        trade_id=trade.trade_id,
        dhan_order_id=trade.order_id,
        instrument=trade.instrument,
        side=trade.side,
        product=trade.product,
        quantity=trade.quantity,
        price=price,
        traded_at=trade.traded_at or _NO_TIME,
    )
    return _event(user, ObservedBy.TRADE_BOOK, trade.traded_at or now, now, seen)


def placement_event(intent: OrderIntent, outcome: OrderOutcome) -> OrderEvent | None:
    """An order that Dhan accepted, as it was sent; None for any other outcome.

    A function of the intent's ids and the recorded outcome alone, so repeats have the same bytes.
    """
    if outcome.outcome is not Outcome.ACCEPTED or not outcome.dhan_order_id:
        return None
    terms = outcome.terms or OrderTerms.of(intent)
    sent = ObservedOrder(
        dhan_order_id=outcome.dhan_order_id,
        leg=Leg.ENTRY,
        dhan_correlation_id=intent.dhan_correlation_id,
        instrument=terms.instrument,
        side=terms.side,
        product=Product.INTRADAY.value,
        order_type="LIMIT",
        status=OrderStatus.TRANSIT,
        status_word=OrderStatus.TRANSIT.value,
        quantity=terms.quantity,
        price=Paise(terms.price),
    )
    at = terms.event_time
    event = _event(intent.user_id, ObservedBy.PLACEMENT, at, at, sent)
    return event.model_copy(
        update={"causation_id": intent.id, "correlation_id": intent.correlation_id}
    )


def observe(user: UserId, reading: Reading, now: UtcNs) -> Observed:
    """Everything that `reading`, made at market time `now`, says.

    The reading counts as of the day of its newest row: on a Saturday Dhan may still show Friday's.
    """
    events = list[OrderEvent]()
    parents = parents_of(reading.super_orders.rows)
    for order in reading.orders.orders:
        event = order_event(user, order, ObservedBy.ORDER_BOOK, now, parents.get(order.order_id))
        events += [event] if event else []
    for each in reading.super_orders.rows:
        events += _of_super_order(user, each, now)
    for trade in reading.trades.rows:
        event = fill_event(user, trade, now)
        events += [event] if event else []
    day = max((event.trading_date for event in events), default=trading_day(now))
    book = BookRead(
        whole=_whole(reading),
        orders=len(reading.orders.orders),
        trades=len(reading.trades.rows),
        positions=tuple(_positions(reading.positions.rows)),
    )
    read = OrderEvent(
        id=derive("observed", user, day, int(now), book.model_dump_json()),
        event_time=now,
        user_id=user,
        observed_by=ObservedBy.ORDER_BOOK,
        trading_date=day,
        book=book,
    )
    return Observed(tuple(events), read)


def news(observed: Observed, book: DayBook | None) -> list[OrderEvent]:
    """Those events of a reading that `book`, of the reading's day, does not know yet.

    Of another day all are news.
    """
    return [
        event
        for event in observed.events
        if book is None or event.trading_date != observed.read.trading_date or not book.knows(event)
    ]


def disagrees(observed: Observed, book: DayBook | None) -> bool:
    """Whether the broker counts other positions than its own orders and trades add up to.

    `book` is what was known of the day before. An honest broker shows this only while something
    trades between the calls of one reading.
    """
    read = observed.read.book
    if read is None:
        return False
    joined = DayBook(dict(book.orders), dict(book.fills)) if book else DayBook()
    for event in observed.events:
        if event.trading_date == observed.read.trading_date:
            joined.observe(event)
    counted, ours = Counter[InstrumentId](), Counter(joined.nets())
    for position in read.positions:
        counted[position.instrument] += position.net
    return any(ours[each] != counted[each] for each in {*ours, *counted})


def parents_of(rows: Iterable[BrokerSuperOrder]) -> dict[DhanOrderId, DhanOrderId]:
    """The super order of each number: of its entry, and of legs with a number of their own."""
    parents = {leg.order_id: each.entry.order_id for each in rows for leg in each.legs}
    return parents | {each.entry.order_id: each.entry.order_id for each in rows}


def _of_super_order(user: UserId, each: BrokerSuperOrder, now: UtcNs) -> Iterable[OrderEvent]:
    """The entry, which says how the whole stands, and those legs for which something stands."""
    entry = each.entry
    rows = [entry] + [leg_order(entry, leg) for leg in each.legs if leg.quantity]
    for row in rows:
        if event := order_event(user, row, ObservedBy.ORDER_BOOK, now, entry.order_id):
            yield event


def leg_order(entry: BrokerOrder, leg: BrokerLeg) -> BrokerOrder:
    """A leg as an order of its own; the price it waits at is a stop's trigger, a target's limit."""
    quantity = leg.quantity or _NO_UNITS
    own_row = leg.order_id != entry.order_id
    exit_side = None if entry.side is None else Side.SELL if entry.side is Side.BUY else Side.BUY
    stop = leg.leg is LegName.STOP_LOSS
    return replace(
        entry,
        order_id=leg.order_id,
        status=leg.status,
        reason="",
        side=leg.side or exit_side,
        order_type="",
        quantity=quantity,
        # units that wait no more may have been cancelled: its own row in the book tells what traded
        filled=quantity if leg.status == OrderStatus.TRADED and not own_row else None,
        average_price=None,
        price=None if stop else leg.price,
        trigger=leg.price if stop else None,
        leg=leg.leg,
        parent_id=entry.order_id,
        updated_at=None,
    )


def _positions(rows: Iterable[PositionRow]) -> Iterable[BrokerPosition]:
    """What is held of each instrument by what the day did, without what was carried over."""
    for row in rows:
        if row.instrument is None:
            continue
        net = row.net
        if row.day_bought is not None and row.day_sold is not None:
            net = row.day_bought - row.day_sold
        yield BrokerPosition(instrument=row.instrument, product=row.product, net=net)


def _whole(reading: Reading) -> bool:
    lists = (reading.orders, reading.trades, reading.super_orders, reading.positions)
    return (
        all(each.whole for each in lists)
        and all(each.legs_whole for each in reading.super_orders.rows)
        # what lies in a segment that ATS does not know cannot be ours
        and not any(each.instrument and each.side is None for each in reading.orders.orders)
    )


def _status(order: BrokerOrder) -> OrderStatus:
    """Dhan's word, unless it says that all has traded while its quantities say otherwise."""
    status = _STATUSES.get(order.status, OrderStatus.OTHER)
    partly = order.filled is not None and order.quantity is not None
    if status is OrderStatus.TRADED and partly and (order.filled or 0) < (order.quantity or 0):
        return OrderStatus.PART_TRADED
    return status


def _event(
    user: UserId,
    by: ObservedBy,
    told_at: UtcNs,
    now: UtcNs,
    what: ObservedOrder | ObservedFill,
) -> OrderEvent:
    """The event of a row that was last changed at `told_at`; its id is of content alone."""
    day = min(trading_day(told_at), trading_day(now))  # a day to come is a slip of Dhan's
    return OrderEvent(
        id=derive("observed", user, day, by, what.model_dump_json()),
        event_time=now,
        user_id=user,
        observed_by=by,
        trading_date=day,
        order=what if isinstance(what, ObservedOrder) else None,
        fill=what if isinstance(what, ObservedFill) else None,
    )

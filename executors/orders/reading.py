"""The broker's own book, asked for at this moment: what a guardian acts on.

It needs neither Kafka nor the database. Orders are read before positions on purpose: what trades
in between is counted as still working, never as nothing (`executors.orders.flatten`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import httpx

from dhan.orders import BrokerOrder, DayOrders, LegName, OrderClient
from dhan.outcomes import NoAnswer, Rows, Unknown
from dhan.portfolio import PortfolioClient, PositionRow
from dhan.super_orders import BrokerLeg, BrokerSuperOrder, SuperOrderClient
from dhan.trader_control import TraderControlClient
from dhan.transport import Credentials, OrderUrl
from executors.orders.book import DayBook, KnownOrder, OrderKey
from executors.orders.exits import PRODUCT, intraday
from schemas.ids import DhanOrderId, InstrumentId
from schemas.messages import Leg, ObservedBy, ObservedOrder, OrderStatus
from schemas.units import Paise, Quantity, UtcNs

LEGS: Final = {
    LegName.ENTRY: Leg.ENTRY,
    LegName.STOP_LOSS: Leg.STOP_LOSS,
    LegName.TARGET: Leg.TARGET,
}


@dataclass(frozen=True, slots=True)
class AccountClients:
    """All that is asked of one account."""

    orders: OrderClient
    super_orders: SuperOrderClient
    portfolio: PortfolioClient
    control: TraderControlClient

    @classmethod
    def open(cls, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials) -> Self:
        """Clients of the account that `credentials` are of, at no other address."""
        return cls(
            OrderClient(http, base_url, credentials),
            SuperOrderClient(http, base_url, credentials),
            PortfolioClient(http, base_url, credentials),
            TraderControlClient(http, base_url, credentials),
        )


OpenClients: TypeAlias = Callable[[Credentials], AccountClients]


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole book at one moment.

    Attributes:
        book: Orders of the product that ATS trades.
        net: Units of that product as the broker counts them.
        names: Of every order of the day.
        began: Machine time (monotonic seconds) before the first question.
    """

    book: DayBook
    net: Mapping[InstrumentId, int]
    names: frozenset[str]
    began: float


async def read_account(
    clients: AccountClients, monotonic: Callable[[], float]
) -> Reading | NoAnswer:
    """Read orders, then super orders, then positions; `Unknown` unless all could be read whole."""
    began = monotonic()
    day = await clients.orders.orders_of_the_day()
    if not isinstance(day, DayOrders):
        return day
    supers = await clients.super_orders.orders_of_the_day()
    if not isinstance(supers, Rows):
        return supers
    positions = await clients.portfolio.positions()
    if not isinstance(positions, Rows):
        return positions
    if not (day.whole and supers.whole and positions.whole):
        return Unknown("book_unreadable")
    book = intraday(book_of(day.orders, supers.rows))
    names = frozenset(order.correlation_id for order in day.orders)
    return Reading(book, net_of(positions.rows), names, began)


def net_of(positions: Iterable[PositionRow]) -> dict[InstrumentId, int]:
    """Units held of the product that ATS trades."""
    net = Counter[InstrumentId]()
    for row in positions:
        if row.instrument and row.product == PRODUCT.value:
            net[row.instrument] += row.net
    return dict(net)


def book_of(orders: Iterable[BrokerOrder], supers: Iterable[BrokerSuperOrder]) -> DayBook:
    """One book of both lists: a leg belongs to the entry that lists it."""
    supers, orders = tuple(supers), tuple(orders)
    parents = {
        leg.order_id: each.entry.order_id
        for each in supers
        for leg in each.legs
        if leg.order_id != each.entry.order_id
    }
    parents |= {each.entry.order_id: each.entry.order_id for each in supers}
    book, seen = DayBook(), set[DhanOrderId]()
    for order in orders:
        seen.add(order.order_id)
        _join(book, observed(order, order.parent_id or parents.get(order.order_id)))
    for each in supers:
        if each.entry.order_id not in seen:
            _join(book, observed(each.entry, each.entry.order_id))
        for leg in each.legs:
            if leg.order_id == each.entry.order_id or leg.order_id not in seen:
                _join(book, observed_leg(each.entry, leg))
    return book


def observed(order: BrokerOrder, super_order: DhanOrderId | None) -> ObservedOrder | None:
    """One row of the order book; None for what ATS cannot name."""
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
        status=status_of(order.status),
        status_word=order.status,
        quantity=order.quantity or Quantity(0),
        filled=order.filled or Quantity(0),
        filled_value=order.filled_value or Paise(0),
        price=Paise(order.price or 0),
        trigger=Paise(order.trigger or 0),
        updated_at=order.updated_at or UtcNs(0),
        super_order=super_order or DhanOrderId(""),
        reason=order.reason,
    )


def observed_leg(entry: BrokerOrder, leg: BrokerLeg) -> ObservedOrder | None:
    """An exit as the list of super orders shows it, before it stands in the order book."""
    if entry.instrument is None or leg.side is None:
        return None
    is_stop = leg.leg is LegName.STOP_LOSS
    price = Paise(leg.price or 0)
    return ObservedOrder(
        dhan_order_id=leg.order_id,
        leg=LEGS[leg.leg],
        instrument=entry.instrument,
        side=leg.side,
        product=entry.product,
        status=status_of(leg.status),
        status_word=leg.status,
        quantity=leg.quantity or Quantity(0),
        price=Paise(0) if is_stop else price,
        trigger=price if is_stop else Paise(0),
        super_order=entry.order_id,
    )


def status_of(word: str) -> OrderStatus:
    """Dhan's word as a status; `OTHER` for a new one, which is no end."""
    return OrderStatus(word) if word in OrderStatus.__members__ else OrderStatus.OTHER


def _join(book: DayBook, seen: ObservedOrder | None) -> None:
    if seen is None:
        return
    key, now = OrderKey(seen.dhan_order_id, seen.leg), KnownOrder.of(seen, ObservedBy.ORDER_BOOK)
    known = book.orders.get(key)
    book.orders[key] = known.join(now) if known else now

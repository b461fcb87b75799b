"""The broker's own book, asked for at this moment: what a guardian acts on.

It needs neither Kafka nor the database. Orders are read before positions on purpose: what trades
in between is counted as still working, never as nothing (`executors.orders.flatten`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeAlias

import httpx

from dhan.orders import BrokerOrder, DayOrders, OrderClient
from dhan.outcomes import HUGE_ROWS, MANY_ROWS, NoAnswer, Rows, Unknown
from dhan.portfolio import PortfolioClient, PositionRow
from dhan.super_orders import BrokerSuperOrder, SuperOrderClient
from dhan.trader_control import TraderControlClient
from dhan.transport import Credentials, OrderUrl, off_loop
from executors.orders.book import DayBook, KnownOrder, OrderKey
from executors.orders.exits import PRODUCT, intraday
from executors.orders.observations import leg_order, observed_order, parents_of
from schemas.ids import DhanOrderId, InstrumentId
from schemas.messages import ObservedBy, ObservedOrder


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
        listed: Instruments of which the broker lists a position, in whatever product.
        names: Of every order of the day.
        began: Machine time (monotonic seconds) before the first question.
        doubtful: Instruments of which something could not be read: nothing is sent in them.
    """

    book: DayBook
    net: Mapping[InstrumentId, int]
    listed: frozenset[InstrumentId]
    names: frozenset[str]
    began: float
    doubtful: frozenset[InstrumentId] = frozenset()


async def read_account(
    clients: AccountClients, monotonic: Callable[[], float]
) -> Reading | NoAnswer:
    """Read orders, then super orders, then positions; `Unknown` where a row cannot be placed.

    One after the other: read before the orders, super orders would lack one that came between, and
    its entry would pass for a plain order without a stop.
    """
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
    doubtful = _doubtful(day, supers, positions)
    if doubtful is None:
        return Unknown("book_unreadable")
    reading = partial(_reading, day, supers, positions, began, doubtful)
    if (rows := len(day.orders) + len(supers.rows)) < MANY_ROWS:
        return reading()
    return await off_loop(reading, huge=rows >= HUGE_ROWS)


def _doubtful(
    day: DayOrders, supers: Rows[BrokerSuperOrder], positions: Rows[PositionRow]
) -> frozenset[InstrumentId] | None:
    """What something unreadable is about; None where it may be about anything."""
    found = {*day.doubtful, *supers.doubtful, *positions.doubtful}
    found |= {order.instrument for order in day.orders if order.instrument and not order.side}
    legs = {each.entry.instrument for each in supers.rows if not each.legs_whole}
    if day.unplaced or supers.unplaced or positions.unplaced or None in legs:
        return None
    return frozenset(found | {each for each in legs if each})


def _reading(
    day: DayOrders,
    supers: Rows[BrokerSuperOrder],
    positions: Rows[PositionRow],
    began: float,
    doubtful: frozenset[InstrumentId],
) -> Reading:
    book = intraday(book_of(day.orders, supers.rows))
    names = frozenset(order.correlation_id for order in day.orders)
    listed = frozenset(row.instrument for row in positions.rows if row.instrument)
    return Reading(book, net_of(positions.rows), listed, names, began, doubtful)


def net_of(positions: Iterable[PositionRow]) -> dict[InstrumentId, int]:
    """Units held of the product that ATS trades."""
    net = Counter[InstrumentId]()
    for row in positions:
        if row.instrument and row.product == PRODUCT.value:
            net[row.instrument] += row.net
    return dict(net)


def book_of(orders: Iterable[BrokerOrder], supers: Iterable[BrokerSuperOrder]) -> DayBook:
    """One book of both lists: a leg belongs to the entry that lists it."""
    supers = tuple(supers)
    parents, book, seen = parents_of(supers), DayBook(), set[DhanOrderId]()
    for order in orders:
        seen.add(order.order_id)
        _join(book, observed_order(order, parents.get(order.order_id)))
    for each in supers:
        number = each.entry.order_id
        if number not in seen:
            _join(book, observed_order(each.entry, number))
        for leg in each.legs:
            if leg.order_id == number or leg.order_id not in seen:
                _join(book, observed_order(leg_order(each.entry, leg), number))
    return book


def _join(book: DayBook, seen: ObservedOrder | None) -> None:
    if seen is None:
        return
    key, now = OrderKey(seen.dhan_order_id, seen.leg), KnownOrder.of(seen, ObservedBy.ORDER_BOOK)
    known = book.orders.get(key)
    book.put_order(key, known.join(now) if known else now)

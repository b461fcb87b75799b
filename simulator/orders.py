"""The order book of all users: what an order becomes when prices come.

Pure: market time and prices are arguments, ids count up from one, so the same calls in the same order give the same book.
An order fills wholly at the print it meets; our simulated users are small against the market.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Instrument, Side, to_tick
from schemas.units import BasisPoints, Paise, Price, Quantity
from simulator.refusals import NO_SUCH_ORDER, Code, Refusal

MARKET_PROTECTION: Final = BasisPoints(100)  # since March 2026 a market order is a limit this far from the last price


class OrderType(StrEnum):
    """How the price is meant."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class Product(StrEnum):
    """What happens to the position at the end of the day."""

    CNC = "CNC"
    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"
    MTF = "MTF"


class Validity(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    IOC = "IOC"


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    TRADED = "TRADED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed wish. `price` is 0 for a market order."""

    client_id: str
    correlation_id: str
    side: Side
    instrument: InstrumentId
    product: Product
    order_type: OrderType
    validity: Validity
    quantity: Quantity
    price: Paise


@dataclass(slots=True)
class Order:
    """An order in the book.

    Attributes:
        limit: Worst price it may trade at.
        created_at, updated_at: Market time, UTC epoch seconds.
    """

    order_id: str
    request: OrderRequest
    instrument: Instrument
    limit: Price
    status: Status
    created_at: int
    updated_at: int
    traded_price: Price | None = None

    @property
    def filled(self) -> Quantity:
        return self.request.quantity if self.status is Status.TRADED else Quantity(0)

    def meets(self, price: int) -> bool:
        return price <= self.limit if self.request.side is Side.BUY else price >= self.limit


class Book:
    """All orders of the day, and the last price of every instrument."""

    def __init__(self, day: date, instruments: Mapping[InstrumentId, Instrument]) -> None:
        self._prefix = f"1{day:%y%m%d}"
        self._instruments = instruments
        self._last: dict[InstrumentId, Price] = {}
        self._orders: dict[str, Order] = {}
        self._resting: defaultdict[InstrumentId, list[Order]] = defaultdict(list)

    def on_price(self, instrument: InstrumentId, price: int, second: int) -> None:
        """The market printed; orders it meets trade at this price, oldest first."""
        self._last[instrument] = Price(price)
        resting = self._resting.get(instrument)
        if not resting:
            return
        for order in [order for order in resting if order.meets(price)]:
            self._trade(order, Price(price), second)
            resting.remove(order)

    def place(self, request: OrderRequest, second: int) -> Order | Refusal:
        """Take an order in. A marketable one trades at once at the last price."""
        instrument = self._instruments.get(request.instrument)
        if instrument is None:
            return Refusal(Code.INPUT, f"Invalid SecurityId: {request.instrument}")
        if refusal := _breaks_a_rule(request, instrument):
            return refusal
        last = self._last.get(request.instrument)
        limit = _limit(request, instrument, last)
        if limit is None:
            return Refusal(Code.ORDER, "Market order refused: the instrument has no price yet")
        order_id = f"{self._prefix}{len(self._orders) + 1:07d}"
        order = Order(order_id, request, instrument, limit, Status.PENDING, second, second)
        self._orders[order.order_id] = order
        self._enter(order, last, second)
        return order

    def cancel(self, client_id: str, order_id: str, second: int) -> Order | Refusal:
        order = self.by_id(client_id, order_id)
        if order is None:
            return NO_SUCH_ORDER
        if order.status is not Status.PENDING:
            return Refusal(Code.ORDER, f"Order cannot be cancelled: it is {order.status}")
        self._resting[order.request.instrument].remove(order)
        order.status, order.updated_at = Status.CANCELLED, second
        return order

    def by_id(self, client_id: str, order_id: str) -> Order | None:
        order = self._orders.get(order_id)
        return order if order and order.request.client_id == client_id else None

    def by_correlation(self, client_id: str, correlation_id: str) -> Order | None:
        """The first order of that name: Dhan does not refuse a repeated one."""
        named = (order for order in self.of(client_id) if order.request.correlation_id == correlation_id)
        return next(named, None)

    def of(self, client_id: str) -> list[Order]:
        """One user's orders of the day, oldest first."""
        return [order for order in self._orders.values() if order.request.client_id == client_id]

    def all(self) -> list[Order]:
        return list(self._orders.values())

    def _enter(self, order: Order, last: Price | None, second: int) -> None:
        if last is not None and order.meets(last):
            self._trade(order, last, second)
        elif order.request.validity is Validity.IOC:
            order.status = Status.CANCELLED
        else:
            self._resting[order.request.instrument].append(order)

    @staticmethod
    def _trade(order: Order, price: Price, second: int) -> None:
        order.status, order.traded_price, order.updated_at = Status.TRADED, price, second


def _breaks_a_rule(request: OrderRequest, instrument: Instrument) -> Refusal | None:
    if not instrument.tradable:
        return Refusal(Code.ORDER, f"{instrument.symbol} is an index: not tradable")
    if request.quantity % instrument.lot_size:
        return Refusal(Code.ORDER, f"Quantity {request.quantity} is no multiple of the lot size {instrument.lot_size}")
    if request.price % instrument.tick_size:
        return Refusal(Code.ORDER, f"Price {request.price} is no multiple of the tick size {instrument.tick_size}")
    return None


def _limit(request: OrderRequest, instrument: Instrument, last: Price | None) -> Price | None:
    if request.order_type is OrderType.LIMIT:
        return Price(request.price)
    if last is None:
        return None
    away = MARKET_PROTECTION if request.side is Side.BUY else -MARKET_PROTECTION
    return to_tick(last * (10_000 + away) / 10_000, instrument.tick_size)

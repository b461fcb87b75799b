"""The order book of all users: what an order becomes when prices come.

Pure: market time and prices are arguments, ids count up from one, so the same calls in the same order give the same book.
An order fills wholly at the print it meets; our simulated users are small against the market.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Instrument, Side, to_tick
from schemas.units import BasisPoints, Price
from simulator.matching.order import Order, OrderRequest, OrderSnapshot, Trade
from simulator.matching.terms import Change, OrderType, Product, Status, Validity
from simulator.refusals import NO_SUCH_ORDER, Code, Refusal

MARKET_PROTECTION: Final = BasisPoints(100)  # since March 2026 a market order is a limit this far from the last price

__all__ = ["Book", "Order", "OrderRequest", "OrderSnapshot", "OrderType", "Product", "Status", "Trade", "Validity"]


class Book:
    """All orders of the day, and the last price of every instrument."""

    def __init__(self, day: date, instruments: Mapping[InstrumentId, Instrument]) -> None:
        self._prefix = f"1{day:%y%m%d}"
        self._instruments = instruments
        self._last: dict[InstrumentId, Price] = {}
        self._orders: dict[str, Order] = {}
        self._resting: defaultdict[InstrumentId, list[Order]] = defaultdict(list)
        self._listeners: list[Callable[[OrderSnapshot], None]] = []
        self._trades = 0

    def on_change(self, listener: Callable[[OrderSnapshot], None]) -> None:
        """Call `listener` after every change of every order, in the order of the changes. It must not call the book."""
        self._listeners.append(listener)

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
        order = Order(order_id, request, instrument, limit, Status.TRANSIT, second, second)
        self._orders[order.order_id] = order
        self._move(order, Change.PLACED, Status.TRANSIT, second)
        self._move(order, Change.ACCEPTED, Status.PENDING, second)
        self._enter(order, last, second)
        return order

    def cancel(self, client_id: str, order_id: str, second: int) -> Order | Refusal:
        order = self.by_id(client_id, order_id)
        if order is None:
            return NO_SUCH_ORDER
        if order.status is not Status.PENDING:
            return Refusal(Code.ORDER, f"Order cannot be cancelled: it is {order.status}")
        self._resting[order.request.instrument].remove(order)
        self._move(order, Change.CANCELLED, Status.CANCELLED, second)
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
            self._move(order, Change.CANCELLED, Status.CANCELLED, second)
        else:
            self._resting[order.request.instrument].append(order)

    def _trade(self, order: Order, price: Price, second: int) -> None:
        self._trades += 1
        order.trades.append(Trade(f"{self._prefix}{self._trades:07d}", price, order.remaining, second))
        self._move(order, Change.TRADED, Status.TRADED, second)

    def _move(self, order: Order, change: Change, status: Status, second: int) -> None:
        order.status, order.updated_at = status, second
        for listener in self._listeners:
            listener(order.snapshot(change))


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

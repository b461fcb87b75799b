"""Order management: accepts the orders of all users, tracks their states, and notifies observers.

Pure: market time and prices are arguments, ids count up from one, so the same calls in the same
order give the same result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Final, Protocol

from schemas.ids import InstrumentId
from schemas.market import Instrument
from schemas.units import BasisPoints, Price, Quantity
from simulator.market.contracts import Contract
from simulator.matching.enums import Change, OrderType, Product, Status, Validity
from simulator.matching.ledger import Account, AccountOf, Funds, Ledger, PositionKey
from simulator.matching.matcher import Matcher, Outcome
from simulator.matching.order import Modification, Order, OrderRequest, OrderSnapshot, Trade
from simulator.matching.risk import MarginEngine
from simulator.matching.rules import (
    Circuits,
    Phase,
    Rules,
    StopMarket,
    entry_refusal,
    risk_rejection,
)
from simulator.refusals import IN_TRANSIT, NO_SUCH_ORDER, Code, Refusal

__all__ = [
    "Modification",
    "Order",
    "OrderManager",
    "OrderRequest",
    "OrderSnapshot",
    "OrderType",
    "Product",
    "Status",
    "Trade",
    "Validity",
]

REJECTED_BY_EXCHANGE: Final = "EXCH"


class OrderObserver(Protocol):
    """Acts on orders as the market moves: super orders, forever orders, the P&L exit."""

    def on_order(self, order: Order, second: int, /) -> None:
        """An order changed; called when the change is complete."""

    def on_price(self, instrument: InstrumentId, price: int, second: int, /) -> None:
        """The market printed, and the orders have met it."""


PreCheck = Callable[[OrderRequest], Refusal | None]
MatcherOf = Callable[
    [Mapping[InstrumentId, Instrument], Mapping[InstrumentId, Circuits], BasisPoints, Outcome],
    Matcher,
]


def _unlimited(_: str) -> Account:
    return Account(None)


class OrderManager:
    """All orders of the day, and the last price of every instrument."""

    def __init__(
        self,
        day: date,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        circuits: Mapping[InstrumentId, Circuits] | None = None,
        contracts: Mapping[InstrumentId, Contract] | None = None,
        rules: Rules | None = None,
        purses: AccountOf = _unlimited,
        matcher: MatcherOf = Matcher,
    ) -> None:
        self.day = day
        self.rules = rules or Rules()
        self.ledger = Ledger()
        self.risk = MarginEngine(self.ledger, purses)
        self.phase = Phase.BEFORE
        self._prefix = f"1{day:%y%m%d}"
        self._instruments = instruments
        self._circuits = circuits or {}
        self._contracts = contracts or {}
        bands = self._circuits if self.rules.price_bands else {}
        self._matcher = matcher(instruments, bands, self.rules.market_protection, self)
        self._orders: dict[str, Order] = {}
        self._by_client: defaultdict[str, list[Order]] = defaultdict(list)
        self._live: defaultdict[str, dict[str, Order]] = defaultdict(dict)
        self._after_market: list[Order] = []
        self._listeners: list[Callable[[OrderSnapshot], None]] = []
        self._observers: list[OrderObserver] = []
        self._checks: list[PreCheck] = []
        self._changed: list[Order] = []
        self._settling = False
        self._opened_at = 0
        self._trades = 0
        self._ranks = 0

    # Who listens, acts or guards

    def on_change(self, listener: Callable[[OrderSnapshot], None]) -> None:
        """Call `listener` after every change of every order, in the order of the changes.

        It must not call the book.
        """
        self._listeners.append(listener)

    def add_observer(self, observer: OrderObserver) -> None:
        """Let `observer` act on the book after every call, in the order they joined."""
        self._observers.append(observer)

    def add_check(self, check: PreCheck) -> None:
        """Ask `check` before every order a user places."""
        self._checks.append(check)

    # The market's side

    def open(self, second: int) -> None:
        """The session opens; after-market orders go out at the time they asked for."""
        self.phase, self._opened_at = Phase.OPEN, second
        self._send_after_market(second)

    def close(self, second: int) -> None:
        """The session is over. With market hours enforced, what rests expires."""
        self.phase = Phase.CLOSED
        if self.rules.market_hours:
            for order in self.all():
                if order.status.live and order not in self._after_market:
                    self._end(order, Change.EXPIRED, Status.EXPIRED, second)
        self._settle(second)

    def on_price(self, instrument: InstrumentId, price: int, second: int) -> None:
        """The market printed; orders it meets trade against its ladder, better limits first."""
        if self._after_market and self.phase is Phase.OPEN:
            self._send_after_market(second)
        self._matcher.print(instrument, price, second)
        for observer in self._observers:
            observer.on_price(instrument, price, second)

    def last(self, instrument: InstrumentId) -> Price | None:
        """The last price of `instrument`, None before its first print."""
        return self._matcher.last(instrument)

    def instrument(self, instrument: InstrumentId) -> Instrument | None:
        """What is known of an instrument, None when it does not trade here."""
        return self._instruments.get(instrument)

    def circuits(self, instrument: InstrumentId) -> Circuits | None:
        """The day's price limits, None without a band."""
        return self._circuits.get(instrument) if self.rules.price_bands else None

    # The user's side

    def place(
        self, request: OrderRequest, second: int, *, hold: bool = False, parent_id: str = ""
    ) -> Order | Refusal:
        """Take an order in. A marketable one trades at once against the ladder of the last print.

        With `hold` it stays in TRANSIT until `release` or `reject`.
        """
        if refusal := self.refusal(request):
            return refusal
        instrument = self._instruments[request.instrument]
        rejection = self._rejection(
            request, instrument, self.sketch(request), self.live(request.client_id)
        )
        if rejection and not self.rules.reject_in_book:
            return Refusal(Code.ORDER, rejection)
        order = self.draft(request, second, parent_id)
        if rejection:
            self.reject(order, rejection, second)
        elif not hold:
            self.release(order, second)
        return order

    def refusal(self, request: OrderRequest) -> Refusal | None:
        """What the front door says against an order, without taking it in."""
        instrument = self._instruments.get(request.instrument)
        if instrument is None:
            return Refusal(Code.INPUT, f"Invalid SecurityId: {request.instrument}")
        for gate in self._checks:
            if refusal := gate(request):
                return refusal
        if refusal := entry_refusal(request, instrument, self.rules, self.phase):
            return refusal
        if (
            self._is_market(request)
            and not request.after_market
            and self.last(request.instrument) is None
        ):
            return Refusal(Code.ORDER, "Market order refused: the instrument has no price yet")
        return None if self.rules.repeat_correlation_id else self._repeats(request)

    def draft(self, request: OrderRequest, second: int, parent_id: str = "") -> Order:
        """A new order in TRANSIT, unchecked: for the broker's own legs and exits.

        `release` sends it. One without a correlation id gets Dhan's: `<client>-<milliseconds>`.
        """
        if not request.correlation_id:
            milliseconds = second * 1_000 + len(self._orders) % 1_000  # no two alike in a second
            request = replace(request, correlation_id=f"{request.client_id}-{milliseconds}")
        order = Order(
            order_id=f"{self._prefix}{len(self._orders) + 1:07d}",
            request=request,
            instrument=self._instruments[request.instrument],
            limit=Price(request.price) if request.order_type.has_price else None,
            status=Status.TRANSIT,
            created_at=second,
            updated_at=second,
            armed=request.order_type.waits_for_trigger and not self._is_market(request),
            priority=self._rank(),
            parent_id=parent_id,
            contract=self._contracts.get(request.instrument),
        )
        self._orders[order.order_id] = order
        self._by_client[request.client_id].append(order)
        self._move(order, Change.PLACED, Status.TRANSIT, second)
        return order

    def release(self, order: Order, second: int) -> None:
        """Let an order out of TRANSIT: the exchange takes it."""
        if order.status is not Status.TRANSIT:
            return
        self._move(order, Change.ACCEPTED, Status.PENDING, second)
        if order.request.after_market and self.phase is not Phase.OPEN:
            self._after_market.append(order)
        else:
            self._enter(order, second)
        self._settle(second)

    def reject(self, order: Order, reason: str, second: int) -> None:
        """The exchange or the risk desk turns down an order that was accepted.

        A finished order stays as it is.
        """
        if not order.status.live or order.trades:
            return
        order.reason_code, order.reason = (
            reason.partition(":")[0] if ":" in reason else REJECTED_BY_EXCHANGE,
            reason,
        )
        self._end(order, Change.REJECTED, Status.REJECTED, second)
        self._settle(second)

    def modify(
        self, client_id: str, order_id: str, wish: Modification, second: int
    ) -> Order | Refusal:
        """Change a waiting order; a new price, or more of it, goes to the end of the queue."""
        order = self.by_id(client_id, order_id)
        if order is None:
            return NO_SUCH_ORDER
        if not order.status.live:
            return Refusal(Code.ORDER, f"Order cannot be modified: it is {order.status}")
        if order.modifications >= self.rules.modifications:
            return Refusal(
                Code.ORDER, f"Order cannot be modified more than {self.rules.modifications} times"
            )
        request = wish.applied_to(order.request)
        if refusal := self._modification_refusal(order, request):
            return refusal
        order.modifications += 1
        self.change(order, request, second)
        return order

    def change(self, order: Order, request: OrderRequest, second: int) -> None:
        """Put `request` in the place of a waiting order's. For users' wishes there is `modify`."""
        before, order.request = order.request, request
        if (request.order_type, request.price, request.trigger) != (
            before.order_type,
            before.price,
            before.trigger,
        ):
            order.armed = request.order_type.waits_for_trigger and (
                order.armed or request.trigger != before.trigger
            )
            order.limit = Price(request.price) if request.order_type.has_price else None
            order.priority = self._rank()
        elif request.quantity > before.quantity:
            order.priority = self._rank()
        self._matcher.leave(order)
        self._move(order, Change.MODIFIED, order.status, second)
        if order.status is not Status.TRANSIT and order not in self._after_market:
            self._enter(order, second)
        self._settle(second)

    def cancel(self, client_id: str, order_id: str, second: int) -> Order | Refusal:
        """Cancel what is left of an order.

        Refused while it is in TRANSIT (measured), when it is not live, and when it is not the
        user's.
        """
        order = self.by_id(client_id, order_id)
        if order is None:
            return NO_SUCH_ORDER
        if order.status is Status.TRANSIT:
            return IN_TRANSIT
        if not order.status.live:
            return Refusal(Code.ORDER, f"Order cannot be cancelled: it is {order.status}")
        self.withdraw(order, second)
        return order

    def withdraw(self, order: Order, second: int) -> None:
        """Cancel an order if it waits at the exchange; one in TRANSIT cannot be reached."""
        if order.status.live and order.status is not Status.TRANSIT:
            self._end(order, Change.CANCELLED, Status.CANCELLED, second)
            self._settle(second)

    def fill_now(self, order: Order, second: int) -> None:
        """The market takes the whole rest of a waiting order, at its limit or else the last price,
        whatever the ladder. One in TRANSIT arrives first.
        """
        self.release(order, second)
        price = order.limit or self.last(order.request.instrument)
        if order.status.live and price is not None:
            self._matcher.leave(order)
            order.armed, order.limit = False, price
            self.filled(order, price, order.remaining, second)
            self._settle(second)

    def convert(
        self, client_id: str, key: PositionKey, quantity: int, to: Product
    ) -> Refusal | None:
        """Move so many units of an open position to another product."""
        dearer = self.risk.cannot_convert(client_id, key, quantity, to, self.live(client_id))
        if dearer and self.rules.margin:
            return Refusal(Code.ORDER, dearer)
        moved = self.ledger.convert(client_id, key, quantity, to)
        return (
            None
            if moved
            else Refusal(Code.ORDER, f"No {key.product} position of {quantity} to convert")
        )

    # Questions

    def by_id(self, client_id: str, order_id: str) -> Order | None:
        """The user's order with this id, or None; nobody sees another's."""
        order = self._orders.get(order_id)
        return order if order and order.request.client_id == client_id else None

    def by_correlation(self, client_id: str, correlation_id: str) -> Order | None:
        """The first order of that name: Dhan is not known to refuse a repeated one."""
        named = (
            order
            for order in self._by_client[client_id]
            if order.request.correlation_id == correlation_id
        )
        return next(named, None)

    def of(self, client_id: str) -> list[Order]:
        """One user's orders of the day, oldest first."""
        return list(self._by_client[client_id])

    def all(self) -> list[Order]:
        """Every order of the day, oldest first."""
        return list(self._orders.values())

    def clients(self) -> list[str]:
        """Everybody who has an order, in the order of their first."""
        return list(self._by_client)

    def live(self, client_id: str) -> list[Order]:
        """The user's orders that may still trade."""
        return list(self._live[client_id].values())

    def funds(self, client_id: str) -> Funds:
        """What the user has, has bound and has earned today."""
        return self.risk.funds(client_id, self.live(client_id))

    # The matcher's reports

    def filled(self, order: Order, price: Price, quantity: Quantity, second: int) -> None:
        """Record a trade in order and ledger, and tell the observers."""
        self._trades += 1
        order.add(Trade(f"{self._prefix}{self._trades:07d}", price, quantity, second))
        self.ledger.record(order)
        self._move(
            order, Change.TRADED, Status.PART_TRADED if order.remaining else Status.TRADED, second
        )

    def done(self, second: int) -> None:
        """Let the observers act on what the last print changed."""
        if self._changed:
            self._settle(second)

    def triggered(self, order: Order, second: int) -> None:
        """Tell the observers that a stop order's trigger was reached."""
        self._move(order, Change.TRIGGERED, order.status, second)

    def dropped(self, order: Order, second: int) -> None:
        """Cancel what an immediate order could not trade."""
        self._move(order, Change.CANCELLED, Status.CANCELLED, second)

    def _repeats(self, request: OrderRequest) -> Refusal | None:
        name = request.correlation_id
        known = self.by_correlation(request.client_id, name) if name else None
        return Refusal(Code.ORDER, f"Duplicate correlationId: {name}") if known else None

    def _is_market(self, request: OrderRequest) -> bool:
        """Whether an order trades at the market at once.

        A market order does, and a stop-market one where Dhan ignores the trigger.
        """
        at_once = self.rules.stop_market is StopMarket.TRADES_AT_ONCE
        return request.order_type is OrderType.MARKET or (
            at_once and request.order_type is OrderType.STOP_LOSS_MARKET and request.leg is None
        )

    def _rejection(
        self, request: OrderRequest, instrument: Instrument, sketch: Order, others: list[Order]
    ) -> str | None:
        """What speaks against `request`, of which `sketch` is yet to trade beside `others`."""
        if reason := risk_rejection(
            request, instrument, self.rules, self.circuits(request.instrument)
        ):
            return reason
        return self.risk.objection(sketch, others) if self.rules.margin else None

    def sketch(self, request: OrderRequest) -> Order:
        """The order as it would stand, for what it would cost."""
        last = self.last(request.instrument)
        limit = Price(request.price) if request.order_type.has_price else None
        order = Order(
            "", request, self._instruments[request.instrument], limit, Status.PENDING, 0, 0
        )
        if limit is None and last is not None:
            order.limit = self._matcher.protected(order, request.trigger or last)
        return order

    def _modification_refusal(self, order: Order, request: OrderRequest) -> Refusal | None:
        if request.quantity <= order.filled:
            return Refusal(
                Code.ORDER,
                f"Quantity {request.quantity} is not more than the {order.filled} already traded",
            )
        if refusal := entry_refusal(request, order.instrument, self.rules, self.phase):
            return refusal
        rest = replace(request, quantity=Quantity(request.quantity - order.filled))
        others = [other for other in self.live(request.client_id) if other is not order]
        reason = self._rejection(request, order.instrument, self.sketch(rest), others)
        return Refusal(Code.ORDER, reason) if reason else None

    def _enter(self, order: Order, second: int) -> None:
        if self.phase is Phase.CLOSED:
            self._matcher.replenish(order.request.instrument)
        self._matcher.enter(order, second)

    def _send_after_market(self, second: int) -> None:
        due = [
            order
            for order in self._after_market
            if second >= self._opened_at + order.request.after_open
        ]
        for order in due:
            self._after_market.remove(order)
            self._enter(order, second)
        self._settle(second)

    def _end(self, order: Order, change: Change, status: Status, second: int) -> None:
        self._matcher.leave(order)
        if order in self._after_market:
            self._after_market.remove(order)
        self._move(order, change, status, second)

    def _move(self, order: Order, change: Change, status: Status, second: int) -> None:
        order.status, order.updated_at = status, second
        live = self._live[order.request.client_id]
        if status.live:
            live[order.order_id] = order
        else:
            live.pop(order.order_id, None)
        self._changed.append(order)
        if self._listeners:
            snapshot = order.snapshot(change)
            for listener in self._listeners:
                listener(snapshot)

    def _settle(self, second: int) -> None:
        """Let the observers act on what changed, and on what that changes, until all is quiet."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._changed:
                order = self._changed.pop(0)
                for observer in self._observers:
                    observer.on_order(order, second)
        finally:
            self._settling = False

    def _rank(self) -> int:
        self._ranks += 1
        return self._ranks

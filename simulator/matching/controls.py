"""Trader's control: exit all, the kill switch, and the exit at a profit or a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import OrderType, Product, Validity
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.ledger import Position
from simulator.matching.order import Order, OrderRequest
from simulator.matching.order_manager import OrderManager
from simulator.matching.super_orders import SuperOrders
from simulator.refusals import Code, Refusal

INTRADAY: Final = "INTRADAY"
DELIVERY: Final = "DELIVERY"
_PRODUCTS: Final = {
    INTRADAY: frozenset({Product.INTRADAY, Product.MARGIN}),
    DELIVERY: frozenset({Product.CNC, Product.MTF}),
}
Covers = Callable[[InstrumentId, Product], bool]
_KILLED: Final = Refusal(Code.ORDER, "Kill Switch is active: trading is disabled for the day")


@dataclass(frozen=True, slots=True)
class PnlExit:
    """Leave everything of these products once the day's profit or loss reaches a bound.

    Attributes:
        profit, loss: Both above zero.
        products: Of INTRADAY and DELIVERY.
    """

    profit: Paise
    loss: Paise
    products: tuple[str, ...]
    then_kill: bool

    def covers(self, product: Product) -> bool:
        """Whether it closes positions in `product`."""
        return any(product in _PRODUCTS[name] for name in self.products)


class Controls:
    """The controls of all accounts over one book."""

    def __init__(
        self, book: OrderManager, super_orders: SuperOrders, forever_orders: ForeverOrders
    ) -> None:
        self._orders = book
        self._super_orders = super_orders
        self._forever_orders = forever_orders
        self._killed: set[str] = set()
        self._exits: dict[str, PnlExit] = {}
        book.add_observer(self)
        book.add_check(self._gate)

    def is_killed(self, client_id: str) -> bool:
        """Whether the user has pulled the kill switch: every new order is refused."""
        return client_id in self._killed

    def kill(self, client_id: str) -> Refusal | None:
        """Disable trading; refused while the account has open positions or waiting orders."""
        open_positions = any(position.net for position in self._orders.ledger.of(client_id))
        if open_positions or self._orders.live(client_id):
            return Refusal(
                Code.ORDER, "Kill Switch needs all positions closed and no pending orders"
            )
        self._killed.add(client_id)
        return None

    def revive(self, client_id: str) -> None:
        """Let the user trade again."""
        self._killed.discard(client_id)

    def exit_all(self, client_id: str, second: int) -> None:
        """Cancel all that waits, then leave every position at the market."""
        self._super_orders.cancel_all(client_id, second)
        self._forever_orders.cancel_all(client_id, second)
        for order in self._orders.live(client_id):
            self._orders.withdraw(order, second)
        for position in self._orders.ledger.of(client_id):
            self._leave(client_id, position, second)

    def leave(self, client_id: str, covers: Covers, second: int) -> None:
        """Cancel the orders in what `covers`, then leave its positions at the market."""
        for made in self._super_orders.of(client_id):
            if covers(made.entry.request.instrument, made.entry.request.product):
                self._super_orders.abandon(made, second)
        for order in self._orders.live(client_id):
            if covers(order.request.instrument, order.request.product):
                self._orders.withdraw(order, second)
        for position in self._orders.ledger.of(client_id):
            if covers(position.instrument.id, position.product):
                self._leave(client_id, position, second)

    def pnl_exit(self, client_id: str) -> PnlExit | None:
        """The user's exit at a profit or loss, or None."""
        return self._exits.get(client_id)

    def set_pnl_exit(self, client_id: str, wanted: PnlExit, second: int) -> None:
        """Takes effect at once where the bound is already reached."""
        self._exits[client_id] = wanted
        self._check(client_id, second)

    def stop_pnl_exit(self, client_id: str) -> bool:
        """Whether there was one."""
        return self._exits.pop(client_id, None) is not None

    def profit(self, client_id: str, wanted: PnlExit) -> Fraction:
        """Realised and open profit of the day in the products `wanted` covers, paise."""
        covered = [
            position
            for position in self._orders.ledger.of(client_id)
            if wanted.covers(position.product)
        ]
        return sum((self._profit(position) for position in covered), start=Fraction(0))

    def on_order(self, _: Order, __: int) -> None:
        """Nothing: a trade alone changes no profit until the next price."""

    def on_price(self, instrument: InstrumentId, _: int, second: int) -> None:
        """Exit the users whose profit or loss has reached their limit with this price."""
        if not self._exits:
            return
        for client_id in tuple(self._exits):
            if any(
                position.instrument.id == instrument
                for position in self._orders.ledger.of(client_id)
            ):
                self._check(client_id, second)

    def _check(self, client_id: str, second: int) -> None:
        wanted = self._exits[client_id]
        if not -wanted.loss < self.profit(client_id, wanted) < wanted.profit:
            del self._exits[client_id]
            self._fire(client_id, wanted, second)

    def _fire(self, client_id: str, wanted: PnlExit, second: int) -> None:
        self.leave(client_id, lambda _, product: wanted.covers(product), second)
        if wanted.then_kill:
            self._killed.add(client_id)

    def _leave(self, client_id: str, position: Position, second: int) -> None:
        if position.net:
            self._orders.release(self._orders.draft(_exit(client_id, position), second), second)

    def _profit(self, position: Position) -> Fraction:
        return position.realised + position.unrealised(self._orders.last(position.instrument.id))

    def _gate(self, request: OrderRequest) -> Refusal | None:
        return _KILLED if request.client_id in self._killed else None


def _exit(client_id: str, position: Position) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        correlation_id="",
        side=Side.SELL if position.net > 0 else Side.BUY,
        instrument=position.instrument.id,
        product=position.product,
        order_type=OrderType.MARKET,
        validity=Validity.DAY,
        quantity=Quantity(abs(position.net)),
        price=Paise(0),
    )

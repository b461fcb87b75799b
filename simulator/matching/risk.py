"""What an account's orders and positions bind, and whether it can pay for one more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise
from simulator.matching.enums import Product
from simulator.matching.ledger import (
    MARGIN_RATES,
    Account,
    AccountOf,
    Funds,
    Holding,
    Ledger,
    Position,
    PositionKey,
)
from simulator.matching.order import Order

_NOTHING = Fraction(0)


class MarginEngine:
    """Judges by the ledger and by what accounts brought into the session."""

    def __init__(self, ledger: Ledger, purses: AccountOf) -> None:
        self._ledger = ledger
        self._purses = purses

    def purse(self, client_id: str) -> Account:
        """The user's account: opening balance and holdings."""
        return self._purses(client_id)

    def funds(self, client_id: str, waiting: Sequence[Order]) -> Funds:
        """`waiting` are the account's live orders."""
        positions, purse = self._ledger.of(client_id), self._purses(client_id)
        realised = sum((position.realised for position in positions), start=_NOTHING)
        return Funds(purse.funds, margin(positions, waiting), Paise(realised // 1))

    def objection(self, order: Order, waiting: Sequence[Order]) -> str | None:
        """Why the account cannot have `order` beside those it waits for; None when it can."""
        client_id = order.request.client_id
        purse = self._purses(client_id)
        if purse.funds is None:
            return None
        funds = self.funds(client_id, waiting)
        needed = margin(self._ledger.of(client_id), [*waiting, order])
        missing = needed - purse.funds - funds.realised
        if needed > funds.used and missing > 0:
            return (
                f"RMS: Margin Shortfall: INR {Paise(missing).rupees():.2f} Available: INR "
                f"{_rupees(funds.available)}"
            )
        return self._lacks_shares(order, waiting, purse.holdings)

    def cannot_convert(
        self, client_id: str, key: PositionKey, quantity: int, to: Product, waiting: Sequence[Order]
    ) -> str | None:
        """Why so many units may not become another, dearer product."""
        position = next((one for one in self._ledger.of(client_id) if _key(one) == key), None)
        available = self.funds(client_id, waiting).available
        if position is None or available is None:
            return None
        more = quantity * position.cost * (MARGIN_RATES[to] - MARGIN_RATES[key.product]) / 100
        return (
            f"RMS: Margin Shortfall: Available: INR {_rupees(available)}"
            if more > max(0, available)
            else None
        )

    def _lacks_shares(
        self, order: Order, waiting: Sequence[Order], holdings: Mapping[InstrumentId, Holding]
    ) -> str | None:
        request = order.request
        if request.product is not Product.CNC or request.side is Side.BUY:
            return None
        held = holdings.get(request.instrument)
        owned = (held.quantity - held.pledged if held else 0) + self._ledger.net(
            request.client_id, request.instrument, Product.CNC
        )
        promised = sum(other.remaining for other in waiting if _same_sale(other, order))
        return (
            "RMS: Holding quantity is not sufficient"
            if owned - promised < order.remaining
            else None
        )


def margin(positions: Sequence[Position], waiting: Sequence[Order]) -> Paise:
    """Margin of what is open and what waits.

    Each position counts with the dearer of "all buys fill" and "all sells fill". Delivery sells
    what is owned, so it binds nothing.
    """
    open_value: dict[PositionKey, Fraction] = {}
    buys: dict[PositionKey, int] = {}
    sells: dict[PositionKey, int] = {}
    for position in positions:
        open_value[_key(position)] = position.net * position.cost
    for order in waiting:
        key = PositionKey(order.request.instrument, order.request.product)
        side = buys if order.request.side is Side.BUY else sells
        side[key] = side.get(key, 0) + order.remaining * worst_price(order)
    needed = _NOTHING
    for key in {**open_value, **buys, **sells}:
        value, more, less = open_value.get(key, _NOTHING), buys.get(key, 0), sells.get(key, 0)
        if key.product is Product.CNC:
            value, less = max(value, _NOTHING), 0
        needed += max(abs(value + more), abs(value - less)) * MARGIN_RATES[key.product] / 100
    return Paise(-(-needed.numerator // needed.denominator))


def worst_price(order: Order) -> int:
    """What a unit is reckoned at, in paise."""
    return order.limit or order.request.price or order.request.trigger


def _key(position: Position) -> PositionKey:
    return PositionKey(position.instrument.id, position.product)


def _same_sale(other: Order, order: Order) -> bool:
    mine, theirs = order.request, other.request
    return (mine.instrument, mine.product, mine.side) == (
        theirs.instrument,
        theirs.product,
        theirs.side,
    )


def _rupees(amount: Paise | None) -> str:
    return "" if amount is None else f"{amount.rupees():.2f}"

"""What each user holds and owes: positions from trades, profit and loss.

Exact: money in paise or fractions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from schemas.ids import InstrumentId
from schemas.market import Instrument, Side
from schemas.units import Paise, Quantity
from simulator.market.contracts import Contract
from simulator.matching.enums import Product
from simulator.matching.order import Order

# Percent of the value: full payment for delivery, Dhan's usual leverage for shares, a round figure
# for derivatives.
MARGIN_RATES: Final[Mapping[Product, int]] = {
    Product.CNC: 100,
    Product.INTRADAY: 20,
    Product.MTF: 25,
    Product.MARGIN: 20,
}


class Holding(NamedTuple):
    """Shares from before the session."""

    quantity: Quantity
    average_cost: Paise
    pledged: Quantity


@dataclass(frozen=True, slots=True)
class Account:
    """What an account brings into the session. `funds` None is without limit."""

    funds: Paise | None
    holdings: Mapping[InstrumentId, Holding] = field(default_factory=dict)


AccountOf = Callable[[str], Account]


class PositionKey(NamedTuple):
    """A position is kept by instrument and product."""

    instrument: InstrumentId
    product: Product


@dataclass(slots=True)
class Position:
    """What one user bought and sold of one instrument under one product today.

    Values are exact paise.
    """

    instrument: Instrument
    product: Product
    bought: int = 0
    bought_value: Fraction = Fraction(0)
    sold: int = 0
    sold_value: Fraction = Fraction(0)
    contract: Contract | None = None

    @property
    def net(self) -> int:
        """Units bought less units sold: below 0 is short."""
        return self.bought - self.sold

    @property
    def buy_average(self) -> Fraction:
        """Average price of what was bought, in paise; 0 for nothing."""
        return self.bought_value / self.bought if self.bought else Fraction(0)

    @property
    def sell_average(self) -> Fraction:
        """Average price of what was sold, in paise; 0 for nothing."""
        return self.sold_value / self.sold if self.sold else Fraction(0)

    @property
    def cost(self) -> Fraction:
        """Average price of what is open; 0 when nothing is."""
        if self.net == 0:
            return Fraction(0)
        return self.buy_average if self.net > 0 else self.sell_average

    @property
    def realised(self) -> Fraction:
        """Profit in paise of the units that were both bought and sold."""
        return min(self.bought, self.sold) * (self.sell_average - self.buy_average)

    def unrealised(self, last: int | None) -> Fraction:
        """Profit in paise of the open units at the price `last`; 0 while there is none."""
        return Fraction(0) if last is None else self.net * (last - self.cost)

    def add(self, side: Side, quantity: int, value: Fraction) -> None:
        """Count a trade of `quantity` units for `value` paise."""
        if side is Side.BUY:
            self.bought, self.bought_value = self.bought + quantity, self.bought_value + value
        else:
            self.sold, self.sold_value = self.sold + quantity, self.sold_value + value


class Ledger:
    """The positions of all users."""

    def __init__(self) -> None:
        self._positions: dict[str, dict[PositionKey, Position]] = {}

    def record(self, order: Order) -> None:
        """Count the order's latest trade."""
        request, trade = order.request, order.trades[-1]
        position = self._position(request.client_id, order.instrument, request.product)
        position.contract = order.contract
        position.add(request.side, trade.quantity, Fraction(trade.value))

    def of(self, client_id: str) -> list[Position]:
        """In the order of their first trades."""
        return list(self._positions.get(client_id, {}).values())

    def net(self, client_id: str, instrument: InstrumentId, product: Product) -> int:
        """Open units of one position, below 0 when short."""
        position = self._positions.get(client_id, {}).get(PositionKey(instrument, product))
        return position.net if position else 0

    def convert(self, client_id: str, key: PositionKey, quantity: int, to: Product) -> bool:
        """Move `quantity` units of an open position to another product at their average price.

        Returns False when the position has fewer.
        """
        position = self._positions.get(client_id, {}).get(key)
        if position is None or not 0 < quantity <= abs(position.net):
            return False
        side = Side.BUY if position.net > 0 else Side.SELL
        value = quantity * position.cost
        position.add(side, -quantity, -value)
        other = self._position(client_id, position.instrument, to)
        other.contract = position.contract
        other.add(side, quantity, value)
        return True

    def _position(self, client_id: str, instrument: Instrument, product: Product) -> Position:
        key = PositionKey(instrument.id, product)
        return self._positions.setdefault(client_id, {}).setdefault(
            key, Position(instrument, product)
        )


@dataclass(frozen=True, slots=True)
class Funds:
    """One account's money, in paise, rounded against the user.

    Attributes:
        opening: At the session's start; None is without limit.
        used: Margin of open positions and waiting orders.
        realised: Profit booked today, negative for a loss.
    """

    opening: Paise | None
    used: Paise
    realised: Paise

    @property
    def available(self) -> Paise | None:
        """Paise left to bind, None for an account without a limit."""
        return None if self.opening is None else Paise(self.opening + self.realised - self.used)

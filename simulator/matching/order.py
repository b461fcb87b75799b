"""One order and the states it goes through, the trades it made, and what the world is told of each
change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Instrument, Side
from schemas.units import Paise, Price, Quantity
from simulator.market.contracts import Contract
from simulator.matching.enums import Change, Leg, OrderType, Product, Source, Status, Validity

# what the exchange gives orders of unregistered strategies below ten a second
GENERIC_ALGO_ID: Final = "99999"
_NO_MONEY: Final = Paise(0)
_NO_UNITS: Final = Quantity(0)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed wish.

    Attributes:
        price: 0 for a market order and for a stop without a limit.
        trigger: 0 when the order has none.
        disclosed: How much of it the market may see; 0 is all.
        after_market: To be sent when the market opens.
        after_open: Seconds after the open at which an after-market order is sent.
        remarks: What order updates say it is part of.
    """

    client_id: str
    correlation_id: str
    side: Side
    instrument: InstrumentId
    product: Product
    order_type: OrderType
    validity: Validity
    quantity: Quantity
    price: Paise
    trigger: Paise = _NO_MONEY
    disclosed: Quantity = _NO_UNITS
    after_market: bool = False
    after_open: int = 0
    source: Source = Source.API
    leg: Leg | None = None
    remarks: str = ""


@dataclass(frozen=True, slots=True)
class Modification:
    """What shall be different about an order; None leaves a field as it is.

    `quantity` is the whole, not the rest.
    """

    order_type: OrderType | None = None
    validity: Validity | None = None
    quantity: Quantity | None = None
    price: Paise | None = None
    trigger: Paise | None = None
    disclosed: Quantity | None = None

    def applied_to(self, request: OrderRequest) -> OrderRequest:
        """`request` as changed; one that needs no price any more loses it."""
        asked = {name: getattr(self, name) for name in self.__slots__}
        changed = replace(
            request, **{name: value for name, value in asked.items() if value is not None}
        )
        return changed if changed.order_type.has_price else replace(changed, price=Paise(0))


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill, at market time `second` (UTC epoch)."""

    trade_id: str
    price: Price
    quantity: Quantity
    second: int

    @property
    def value(self) -> Paise:
        """Price times quantity, in paise."""
        return Paise(self.price * self.quantity)


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as it stood right after `change`.

    Attributes:
        change: What just happened. Several changes may come within one call, and within one market
            second.
        request: The order as it is now: quantity, price and trigger of the last modification.
        limit: Worst price it may trade at; None for a market order that has not met a price yet.
        order_type: As the book shows it: a market order is a LIMIT once it has its protection
            price.
        traded_value: Paise that changed hands so far.
        trade: The fill that `change` is about; None for other changes.
        parent_id: The super or forever order it belongs to, else "".
        created_at, updated_at: Market time, UTC epoch seconds.
        reason_code, reason: Why it was rejected, else "".
        contract: What kind of option it trades; None for a share or a future.
    """

    change: Change
    order_id: str
    exchange_order_id: str
    request: OrderRequest
    instrument: Instrument
    status: Status
    order_type: OrderType
    limit: Price | None
    filled: Quantity
    traded_value: Paise
    trade: Trade | None
    parent_id: str
    created_at: int
    updated_at: int
    reason_code: str
    reason: str
    contract: Contract | None = None
    algo_id: str = GENERIC_ALGO_ID

    @property
    def remaining(self) -> Quantity:
        """What may still trade; of a finished order 0 unless something was left."""
        return Quantity(self.request.quantity - self.filled)

    @property
    def average_price(self) -> Fraction:
        """Exact, in paise; 0 when nothing traded."""
        return Fraction(self.traded_value, self.filled) if self.filled else Fraction(0)


@dataclass(slots=True, eq=False)
class Order:
    """An order in the book. Only the book changes it.

    Attributes:
        limit: Worst price it may trade at; None for a market order that has not met a price yet.
        armed: A stop whose trigger has not been met.
        priority: Rank in time; a later number waits longer at the same price.
        modifications: How often it was modified.
        contract: What kind of option it trades; None for a share or a future.
        filled, traded_value: Sums over `trades`, kept up by `add`.
    """

    order_id: str
    request: OrderRequest
    instrument: Instrument
    limit: Price | None
    status: Status
    created_at: int
    updated_at: int
    armed: bool = False
    priority: int = 0
    modifications: int = 0
    parent_id: str = ""
    reason_code: str = ""
    reason: str = ""
    contract: Contract | None = None
    trades: list[Trade] = field(default_factory=list)
    filled: Quantity = _NO_UNITS
    traded_value: Paise = _NO_MONEY

    @property
    def remaining(self) -> Quantity:
        """Units that have not traded."""
        return Quantity(self.request.quantity - self.filled)

    @property
    def traded_price(self) -> Price | None:
        """Average price, to the nearest paisa; None when nothing traded."""
        return Price(round(Fraction(self.traded_value, self.filled))) if self.trades else None

    @property
    def shown_type(self) -> OrderType:
        """The type the book shows.

        Since March 2026 a market order is a limit as soon as it stands in the book.
        """
        unpriced = {
            OrderType.MARKET: OrderType.LIMIT,
            OrderType.STOP_LOSS_MARKET: OrderType.STOP_LOSS,
        }
        asked = self.request.order_type
        return asked if self.limit is None else unpriced.get(asked, asked)

    def add(self, trade: Trade) -> None:
        """Count a trade of this order."""
        self.trades.append(trade)
        self.filled = Quantity(self.filled + trade.quantity)
        self.traded_value = Paise(self.traded_value + trade.value)

    def snapshot(self, change: Change) -> OrderSnapshot:
        """The order as it stands after `change`, for updates that are sent later."""
        return OrderSnapshot(
            change=change,
            order_id=self.order_id,
            exchange_order_id=self.order_id[::-1],
            request=self.request,
            instrument=self.instrument,
            status=self.status,
            order_type=self.shown_type,
            limit=self.limit,
            filled=self.filled,
            traded_value=self.traded_value,
            trade=self.trades[-1] if change is Change.TRADED else None,
            parent_id=self.parent_id,
            created_at=self.created_at,
            updated_at=self.updated_at,
            reason_code=self.reason_code,
            reason=self.reason,
            contract=self.contract,
        )

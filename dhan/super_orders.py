"""Super orders: an entry with its stop and its target, which Dhan places as the entry fills.

They rest at the broker from the first fill on, and survive our death. The rules of what an answer
proves are those of plain orders (`dhan/outcomes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpx
from dhanhq import SuperOrder

from dhan import fields
from dhan.orders import BrokerOrder, LegName, Product, as_float, leg_of, read_order
from dhan.outcomes import (
    ChangeResult,
    NoAnswer,
    PlaceResult,
    Rows,
    classify_change,
    classify_placement,
    not_shown,
    read_list,
    read_rows,
)
from dhan.transport import (
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    OrderUrl,
    Result,
)
from schemas.errors import Unreadable
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.units import Paise, Price, Quantity

NO_TRAIL: Final = Paise(0)


@dataclass(frozen=True, slots=True)
class Exits:
    """Where a super order's position is left.

    Attributes:
        stop_loss: Trigger of the stop, which Dhan makes a limit order of its own.
        trailing_jump: Steps in which the stop follows the market; `NO_TRAIL` for one that stays.
    """

    stop_loss: Price
    target: Price
    trailing_jump: Paise = NO_TRAIL

    def __post_init__(self) -> None:
        if self.trailing_jump < 0:
            raise ValueError(f"a trailing jump below zero: {self.trailing_jump}")

    def check(self, side: Side, price: Price) -> None:
        """See that an entry at `price` lies between its exits.

        Raises:
            ValueError: it does not.
        """
        low, high = (
            (self.stop_loss, self.target) if side is Side.BUY else (self.target, self.stop_loss)
        )
        if not low < price < high:
            raise ValueError(
                f"a {side} at {price} does not lie between stop {self.stop_loss} and target "
                f"{self.target}"
            )


@dataclass(frozen=True, slots=True)
class NewSuperOrder:
    """An entry by limit with its exits.

    Raises:
        ValueError: the price does not lie between stop and target.
    """

    instrument: InstrumentId
    side: Side
    quantity: Quantity
    price: Price
    exits: Exits
    correlation_id: CorrelationId
    product: Product = Product.INTRADAY

    def __post_init__(self) -> None:
        self.exits.check(self.side, self.price)


@dataclass(frozen=True, slots=True)
class EntryChange:
    """The whole super order as it shall be, while its entry rests or has filled in part.

    Attributes:
        quantity: The whole of it, filled part included.
    """

    quantity: Quantity
    price: Price
    exits: Exits


@dataclass(frozen=True, slots=True)
class BrokerLeg:
    """A stop or a target as the list of super orders shows it.

    Attributes:
        order_id: Of the leg; where Dhan gives it none of its own, the entry's.
        status: Dhan's word in capitals.
        quantity: Units it stands for; it grows with the entry's fills.
        remaining, triggered: Units that still wait, and that went to the exchange.
        price: Where it triggers (stop) or is limited (target).
    """

    leg: LegName
    order_id: DhanOrderId
    status: str
    side: Side | None
    quantity: Quantity | None
    remaining: Quantity | None
    triggered: Quantity | None
    price: Price | None
    trailing_jump: Paise


@dataclass(frozen=True, slots=True)
class BrokerSuperOrder:
    """A super order of the day.

    Attributes:
        entry: Its status is the whole's: TRIGGERED while exits wait, CLOSED once one filled.
        legs: As Dhan lists them; the stop and the target, or what is left of them.
        legs_whole: Every leg could be read.
    """

    entry: BrokerOrder
    legs: tuple[BrokerLeg, ...]
    legs_whole: bool = True

    def leg(self, name: LegName) -> BrokerLeg | None:
        """The leg of this name; None when it is not listed."""
        return next((leg for leg in self.legs if leg.leg is name), None)


SuperOrdersResult: TypeAlias = Rows[BrokerSuperOrder] | NoAnswer


class SuperOrderClient:
    """One account's super orders."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials
    ) -> None:
        self._entry = SuperOrder(DhanTransport(http, base_url, credentials, CallTimeout.ORDER))
        self._lookup_client = SuperOrder(
            DhanTransport(http, base_url, credentials, CallTimeout.LOOKUP)
        )

    async def place(self, order: NewSuperOrder) -> PlaceResult:
        """Send `order` once. Its name is looked up as that of a plain order is."""
        result: Result = await self._entry.place_super_order(
            security_id=str(order.instrument.security_id),
            exchange_segment=order.instrument.segment.value,
            transaction_type=order.side.value,
            quantity=int(order.quantity),
            order_type="LIMIT",
            product_type=order.product.value,
            price=as_float(order.price),
            targetPrice=as_float(order.exits.target),
            stopLossPrice=as_float(order.exits.stop_loss),
            trailingJump=as_float(order.exits.trailing_jump),
            tag=order.correlation_id,
        )
        return classify_placement(result)

    async def modify_entry(self, order_id: DhanOrderId, change: EntryChange) -> ChangeResult:
        """Change the entry and both exits; possible until the entry has filled."""
        return await self._modify(
            order_id,
            LegName.ENTRY,
            quantity=int(change.quantity),
            price=as_float(change.price),
            targetPrice=as_float(change.exits.target),
            stopLossPrice=as_float(change.exits.stop_loss),
            trailingJump=as_float(change.exits.trailing_jump),
        )

    async def modify_stop_loss(
        self, order_id: DhanOrderId, stop_loss: Price, trailing_jump: Paise
    ) -> ChangeResult:
        """Move the stop. `NO_TRAIL` ends the trailing of one that trails, so it must be said."""
        return await self._modify(
            order_id,
            LegName.STOP_LOSS,
            stopLossPrice=as_float(stop_loss),
            trailingJump=as_float(trailing_jump),
        )

    async def modify_target(self, order_id: DhanOrderId, target: Price) -> ChangeResult:
        """Move the target."""
        return await self._modify(order_id, LegName.TARGET, targetPrice=as_float(target))

    async def cancel(self, order_id: DhanOrderId, leg: LegName) -> ChangeResult:
        """Cancel a leg; that of the entry cancels all. An exit cannot be added again."""
        return classify_change(await self._entry.cancel_super_order(order_id, leg.value), order_id)

    async def orders_of_the_day(self) -> SuperOrdersResult:
        """Every super order of the account's day with its legs, in one call."""
        result: Result = await self._lookup_client.get_super_order_list()
        return await read_list(result, classify_super_orders)

    async def _modify(self, order_id: DhanOrderId, leg: LegName, **changed: Any) -> ChangeResult:
        result: Result = await self._entry.modify_super_order(
            order_id, "LIMIT", leg.value, **changed
        )
        return classify_change(result, order_id)


def classify_super_orders(result: Result) -> SuperOrdersResult:
    """What a result of GET /super/orders says."""
    if (
        isinstance(result, Lost)
        or result.status != httpx.codes.OK
        or not isinstance(result.body, list)
    ):
        return not_shown(result)
    return read_rows(result.body, read_super_order)


def read_super_order(row: fields.Row) -> BrokerSuperOrder | None:
    """A row of the list; None when its entry cannot be read."""
    entry = read_order(row)
    if entry is None:
        return None
    details = row.get("legDetails")
    if details is None:
        details = []
    if not isinstance(details, list):
        return BrokerSuperOrder(entry, (), legs_whole=False)
    legs = read_rows(details, lambda leg: _leg(leg, entry.order_id))
    return BrokerSuperOrder(entry, legs.rows, legs.whole)


def _leg(row: fields.Row, entry: DhanOrderId) -> BrokerLeg:
    name, status = leg_of(row), fields.word(row, "orderStatus")
    jump = fields.price(row, "trailingJump")
    if not status or not fields.word(row, "legName"):
        raise Unreadable("a leg without name or status", "legDetails")
    return BrokerLeg(
        leg=name,
        order_id=fields.order_id(row, "orderId") or entry,
        status=status,
        side=fields.side(row, "transactionType"),
        quantity=fields.quantity(row, "totalQuatity", "totalQuantity"),  # Dhan's spelling first
        remaining=fields.quantity(row, "remainingQuantity"),
        triggered=fields.quantity(row, "triggeredQuantity"),
        price=fields.price(row, "price"),
        trailing_jump=NO_TRAIL if jump is None else Paise(jump),
    )

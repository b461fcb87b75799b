"""Places, changes and cancels an order, and finds it again.

Dhan has no idempotency key: a second POST with the same correlation id is a second order
(`docs/facts/dhan.md`). So an `Unknown` placement is looked up and never sent again. Cancelling
twice is the same as once, and a change names the whole order, not a difference: these may be
repeated once the book has been read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final, TypeAlias

import httpx
from dhanhq import Order

from dhan import fields
from dhan.outcomes import (
    NO_DATA,
    ChangeResult,
    NoAccess,
    NoAnswer,
    PlaceResult,
    TokenRefused,
    Unknown,
    classify_change,
    classify_placement,
    describe,
    no_answer,
    not_shown,
    read_list,
    read_rows,
    single,
)
from dhan.transport import (
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    OrderUrl,
    Result,
    trading_error,
)
from schemas.errors import Unreadable
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.units import PAISE_PER_RUPEE, Paise, Price, Quantity, UtcNs


class Product(StrEnum):
    """What happens to the position at the end of the day."""

    CNC = "CNC"
    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"


class Validity(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    IOC = "IOC"


class LegName(StrEnum):
    """Which part of a super order an order is. A plain order is an entry."""

    ENTRY = "ENTRY_LEG"
    STOP_LOSS = "STOP_LOSS_LEG"
    TARGET = "TARGET_LEG"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A limit order.

    There is no market order: exchanges turn them into limits at a price of their own, and a stop
    without a limit was seen to fill at once.

    Attributes:
        trigger: Makes it a stop: the limit order is sent to the exchange once it traded there.
    """

    instrument: InstrumentId
    side: Side
    quantity: Quantity
    price: Price
    correlation_id: CorrelationId
    product: Product = Product.INTRADAY
    validity: Validity = Validity.DAY
    trigger: Price | None = None


@dataclass(frozen=True, slots=True)
class OrderChange:
    """A resting order as it shall be from now on; Dhan allows 25 changes of one order.

    Attributes:
        quantity: The whole of it, filled part included.
        trigger: Of a stop; None for a plain limit order.
    """

    quantity: Quantity
    price: Price
    trigger: Price | None = None
    validity: Validity = Validity.DAY


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as Dhan's book, an order update or a postback shows it at one moment.

    Everything that a row lacks is None, or "" where it is text.

    Attributes:
        correlation_id: Dhan makes one up where none was given.
        status: Dhan's word in capitals; new words appear without notice, so it is no enum.
        reason: Dhan's explanation of a rejection, else "".
        instrument: None also for a segment that ATS does not know.
        product, order_type: Dhan's words in capitals.
        filled: Units traded so far.
        average_price: Rupees of the units filled, exact as Dhan wrote it, which is rounded.
        price: The limit.
        parent_id: Of a super order's leg that has an order id of its own: the entry's.
        created_at, updated_at, exchange_at: UTC ns; when it was made, last changed, and what the
            exchange says.
    """

    order_id: DhanOrderId
    correlation_id: str
    status: str
    reason: str = ""
    instrument: InstrumentId | None = None
    side: Side | None = None
    product: str = ""
    order_type: str = ""
    quantity: Quantity | None = None
    filled: Quantity | None = None
    remaining: Quantity | None = None
    average_price: Decimal | None = None
    price: Price | None = None
    trigger: Price | None = None
    leg: LegName = LegName.ENTRY
    exchange_order_id: str = ""
    parent_id: DhanOrderId | None = None
    created_at: UtcNs | None = None
    updated_at: UtcNs | None = None
    exchange_at: UtcNs | None = None

    @property
    def rejected(self) -> bool:
        """Whether the broker or the exchange refused this order."""
        return self.status == "REJECTED"

    @property
    def ended(self) -> bool:
        """Nothing will happen to it any more. An unknown word is no end."""
        return self.status in _ENDS

    @property
    def filled_value(self) -> Paise | None:
        """Filled units times the average price, to the nearest paisa; None when either is absent.

        Dhan rounds averages, so the trade book is truer.
        """
        if self.filled is None or self.average_price is None:
            return None
        paise = self.filled * self.average_price * PAISE_PER_RUPEE
        return Paise(int(paise.to_integral_value(ROUND_HALF_EVEN)))


@dataclass(frozen=True, slots=True)
class Found:
    """The order exists."""

    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class NotFound:
    """Neither Dhan's lookup nor, where both were asked, the day's order book has the order.

    Soon after a lost request that is no proof yet.
    """


@dataclass(frozen=True, slots=True)
class DayOrders:
    """The account's orders of the day.

    Attributes:
        whole: Every row could be read. Otherwise what is missing here may still be in the book.
        doubtful, unplaced: As of `dhan.outcomes.Rows`.
    """

    orders: tuple[BrokerOrder, ...]
    whole: bool = True
    doubtful: frozenset[InstrumentId] = field(default=frozenset(), compare=False)
    unplaced: bool = field(default=False, compare=False)

    def named(self, correlation_id: CorrelationId) -> BrokerOrder | None:
        """The order of this name; None when no readable row has it, or more than one."""
        found = [order for order in self.orders if order.correlation_id == correlation_id]
        return found[0] if len(found) == 1 else None

    def numbered(self, order_id: DhanOrderId) -> BrokerOrder | None:
        """The order of this id of Dhan's, None when no readable row has it."""
        return next((o for o in self.orders if o.order_id == order_id), None)


LookupResult: TypeAlias = Found | NotFound | TokenRefused | NoAccess | Unknown
DayLookupResult: TypeAlias = DayOrders | NoAnswer

_ENDS: Final = frozenset({"TRADED", "REJECTED", "CANCELLED", "EXPIRED", "CLOSED"})


class OrderClient:
    """One account's order entry."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: OrderUrl, credentials: Credentials
    ) -> None:
        self._entry = Order(DhanTransport(http, base_url, credentials, CallTimeout.ORDER))
        self._lookup_client = Order(DhanTransport(http, base_url, credentials, CallTimeout.LOOKUP))

    async def place(self, order: NewOrder) -> PlaceResult:
        """Send `order` once."""
        result: Result = await self._entry.place_order(
            security_id=str(order.instrument.security_id),
            exchange_segment=order.instrument.segment.value,
            transaction_type=order.side.value,
            quantity=int(order.quantity),
            order_type=_order_type(order.trigger),
            product_type=order.product.value,
            price=as_float(order.price),
            trigger_price=as_float(order.trigger),
            validity=order.validity.value,
            tag=order.correlation_id,
        )
        return classify_placement(result)

    async def modify(self, order_id: DhanOrderId, change: OrderChange) -> ChangeResult:
        """Make the resting order `order_id` what `change` says, once."""
        result: Result = await self._entry.modify_order(
            order_id,
            order_type=_order_type(change.trigger),
            leg_name=None,
            quantity=int(change.quantity),
            price=as_float(change.price),
            trigger_price=as_float(change.trigger),
            disclosed_quantity=0,
            validity=change.validity.value,
        )
        return classify_change(result, order_id)

    async def cancel(self, order_id: DhanOrderId) -> ChangeResult:
        """Cancel what is left of the order. What has filled stays, and may grow meanwhile."""
        return classify_change(await self._entry.cancel_order(order_id), order_id)

    async def find(self, correlation_id: CorrelationId) -> LookupResult:
        """Look one order up by our name for it; unless that finds it, the day's whole book decides.

        Dhan answers a lookup by name with 404 also while the order is in TRANSIT (measured), so its
        "not found" proves nothing. A refusal of that lookup may be about the order or about the
        account; the book tells which.
        """
        result: Result = await self._lookup_client.get_order_by_correlationID(correlation_id)
        lookup = classify_lookup(result, correlation_id)
        if isinstance(lookup, Found | TokenRefused) or isinstance(result, Lost):
            return lookup
        return find_in(await self.orders_of_the_day(), correlation_id)

    async def orders_of_the_day(self) -> DayLookupResult:
        """Every order of the account's day, in one call."""
        result: Result = await self._lookup_client.get_order_list()
        return await read_list(result, classify_day)


def classify_lookup(result: Result, correlation_id: CorrelationId) -> LookupResult:
    """What a result of GET /orders/external/{correlation id} proves.

    `NotFound` proves only that the lookup does not find the order.
    """
    if isinstance(result, Lost):
        return Unknown(result.reason)
    code, _ = trading_error(single(result.body))
    if result.status == httpx.codes.OK:
        if result.body == []:
            return NotFound()
        order = read_order(single(result.body))
        if order is None:
            return Unknown(describe(result, code))
        return (
            Found(order)
            if order.correlation_id == correlation_id
            else Unknown("answer_about_another_order")
        )
    if (result.status == httpx.codes.NOT_FOUND and code) or (
        400 <= result.status < 500 and code == NO_DATA
    ):
        return NotFound()
    return no_answer(result, code)


def classify_book(result: Result, correlation_id: CorrelationId) -> LookupResult:
    """What a result of GET /orders proves about one order."""
    return find_in(classify_day(result), correlation_id)


def find_in(day: DayLookupResult, correlation_id: CorrelationId) -> LookupResult:
    """What the day's order book proves about one order.

    A book with one unreadable row proves no absence.
    """
    if not isinstance(day, DayOrders):
        return day
    if order := day.named(correlation_id):
        return Found(order)
    if any(order.correlation_id == correlation_id for order in day.orders):
        return Unknown("two_orders_of_one_name")
    return NotFound() if day.whole else Unknown("order_book_unreadable")


def classify_day(result: Result) -> DayLookupResult:
    """What a result of GET /orders says of the account's orders."""
    if (
        isinstance(result, Lost)
        or result.status != httpx.codes.OK
        or not isinstance(result.body, list)
    ):
        return not_shown(result)
    listed = read_rows(result.body, read_order)
    return DayOrders(listed.rows, listed.whole, listed.doubtful, listed.unplaced)


def read_order(body: object) -> BrokerOrder | None:
    """An order of the book, a lookup or a postback; None when a field cannot be what it must be.

    Unknown words pass through.
    """
    try:
        return _order(body) if isinstance(body, Mapping) else None
    except Unreadable:
        return None


def _order(row: fields.Row) -> BrokerOrder | None:
    order_id, status = fields.order_id(row, "orderId"), fields.word(row, "orderStatus")
    if order_id is None or not status:
        return None
    return BrokerOrder(
        order_id,
        fields.name_of(row, "correlationId"),
        status,
        fields.reason_of(row),
        instrument=fields.instrument(row, fields.word(row, "exchangeSegment")),
        side=fields.side(row, "transactionType"),
        product=fields.word(row, "productType"),
        order_type=fields.word(row, "orderType"),
        quantity=fields.quantity(row, "quantity"),
        filled=fields.quantity(row, "filledQty", "filled_qty"),  # a postback spells it so
        remaining=fields.quantity(row, "remainingQuantity"),
        average_price=fields.average(row, "averageTradedPrice"),
        price=fields.price(row, "price"),
        trigger=fields.price(row, "triggerPrice"),
        leg=leg_of(row),
        exchange_order_id=fields.name_of(row, "exchangeOrderId"),
        created_at=fields.ist_time(row, "createTime"),
        updated_at=fields.ist_time(row, "updateTime"),
        exchange_at=fields.ist_time(row, "exchangeTime"),
    )


def leg_of(row: fields.Row) -> LegName:
    """The leg that a row names; a row that names none is an entry.

    Raises:
        Unreadable: a leg that we do not know, which could be a stop or a target.
    """
    name = fields.word(row, "legName")
    if name and name not in set(LegName):
        raise Unreadable(f"no leg of a super order: {name}", "legName")
    return LegName(name) if name else LegName.ENTRY


def as_float(amount: Paise | None) -> float:
    """Rupees for the SDK, 0 for none.

    The only float in the system's money: two decimals survive it, and JSON has no other number.
    """
    return 0.0 if amount is None else float(amount.rupees())


def _order_type(trigger: Price | None) -> str:
    return "LIMIT" if trigger is None else "STOP_LOSS"

"""Places an order and finds it again, with outcomes one can act on without losing money.

The one rule: a reply counts as a rejection only when Dhan says so in words. Whatever else goes
wrong after the first byte left is `Unknown`, and the caller asks `find` instead of sending again.
Dhan has no idempotency key: a second POST with the same correlation id is a second order
(`docs/facts/dhan.md`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import httpx
from dhanhq import Order

from dhan.transport import (
    BaseUrl,
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    Reply,
    Result,
    Unparsed,
    text_field,
    trading_error,
)
from schemas.ids import CorrelationId, DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.units import Price, Quantity


class Product(StrEnum):
    """What happens to the position at the end of the day."""

    CNC = "CNC"
    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"


class Validity(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    IOC = "IOC"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A limit order.

    There is no market order: exchanges turn them into limits at a price of their own.
    """

    instrument: InstrumentId
    side: Side
    quantity: Quantity
    price: Price
    correlation_id: CorrelationId
    product: Product = Product.INTRADAY
    validity: Validity = Validity.DAY


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as Dhan's book shows it.

    Attributes:
        status: Dhan's word in capitals; new words appear without notice, so it is no enum.
        reason: Dhan's explanation of a rejection, else "".
    """

    order_id: DhanOrderId
    correlation_id: str
    status: str
    reason: str = ""

    @property
    def rejected(self) -> bool:
        """Whether the broker or the exchange refused this order."""
        return self.status == "REJECTED"

    @property
    def ended(self) -> bool:
        """Nothing will happen to it any more. An unknown word is no end."""
        return self.status in _ENDS


@dataclass(frozen=True, slots=True)
class Accepted:
    """Dhan has the order. That is no fill."""

    order_id: DhanOrderId
    status: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Dhan refused the order in words; it will never trade.

    Attributes:
        token_refused: It was the account's token that Dhan did not accept: no further call with it
            can succeed.
    """

    code: str
    message: str
    order_id: DhanOrderId | None = None
    token_refused: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """The order certainly did not reach Dhan, and may be sent again.

    There was no connection, or the rate limit turned it away.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may or may not exist. Look it up; never send it again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The order exists."""

    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class DayOrders:
    """The account's orders of the day.

    Attributes:
        whole: Every row could be read. Otherwise what is missing here may still be in the book.
    """

    orders: tuple[BrokerOrder, ...]
    whole: bool = True

    def named(self, correlation_id: CorrelationId) -> BrokerOrder | None:
        """The order of this name; None when no readable row has it, or more than one."""
        found = [order for order in self.orders if order.correlation_id == correlation_id]
        return found[0] if len(found) == 1 else None

    def numbered(self, order_id: DhanOrderId) -> BrokerOrder | None:
        """The order of this id of Dhan's, None when no readable row has it."""
        return next((o for o in self.orders if o.order_id == order_id), None)


@dataclass(frozen=True, slots=True)
class NotFound:
    """Neither Dhan's lookup nor, where both were asked, the day's order book has the order.

    Soon after a lost request that is no proof yet.
    """


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Dhan does not accept the account's token (any more), so it says nothing about the order.

    Asking again is useless until the user has connected anew.

    Attributes:
        in_words: Dhan itself said so. Else it was a bare 401, which any gateway on the way can
            answer, and which proves nothing about the token.
    """

    reason: str
    in_words: bool = True


@dataclass(frozen=True, slots=True)
class NoAccess:
    """Dhan refuses in words to show this account's order book, so it says nothing about the order.

    Asking again will hardly help: the account, its permissions or the address we call from must
    change first.
    """

    reason: str


PlaceResult: TypeAlias = Accepted | Rejected | NotSent | Unknown
LookupResult: TypeAlias = Found | NotFound | TokenRefused | NoAccess | Unknown
DayLookupResult: TypeAlias = DayOrders | TokenRefused | NoAccess | Unknown

RATE_LIMIT: Final = "DH-904"
_DEAD_TOKEN: Final = "DH-901"  # noqa: S105  # an error code
_ENDS: Final = frozenset({"TRADED", "REJECTED", "CANCELLED", "EXPIRED", "CLOSED"})
# digits until now; never cut, for a cut id is another order's
_ORDER_ID: Final = re.compile(r"[!-~]{1,64}")
_PASSING: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})
# Dhan's own failure: the order may have got through before it
_SERVER_SIDE: Final = frozenset({"DH-908", "DH-909"})
_NO_DATA: Final = "DH-907"


class OrderClient:
    """One account's order entry."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: BaseUrl, credentials: Credentials
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
            order_type="LIMIT",
            product_type=order.product.value,
            # the only float in the system's money: two decimals survive it, and JSON has no other
            # number
            price=float(order.price.rupees()),
            validity=order.validity.value,
            tag=order.correlation_id,
        )
        return classify_placement(result)

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
        return classify_book(await self._lookup_client.get_order_list(), correlation_id)

    async def orders_of_the_day(self) -> DayLookupResult:
        """Every order of the account's day, in one call."""
        return classify_day(await self._lookup_client.get_order_list())


def classify_placement(result: Result) -> PlaceResult:
    """What a result of POST /orders proves (the table stands in docs/executors.md)."""
    if isinstance(result, Lost):
        return _lost(result)
    body = _single(result.body)
    code, message = trading_error(body)
    if 200 <= result.status < 300:
        return _acknowledged(body)
    if (
        not 400 <= result.status < 500
        or not code
        or code in _SERVER_SIDE
        or result.status == httpx.codes.REQUEST_TIMEOUT
    ):
        return Unknown(_describe(result, code))
    if code == RATE_LIMIT:
        return NotSent(code, message)
    return Rejected(code, message, token_refused=_refuses_token(result, code))


def classify_lookup(result: Result, correlation_id: CorrelationId) -> LookupResult:
    """What a result of GET /orders/external/{correlation id} proves.

    `NotFound` proves only that the lookup does not find the order.
    """
    if isinstance(result, Lost):
        return Unknown(result.reason)
    code, _ = trading_error(_single(result.body))
    if result.status == httpx.codes.OK:
        if result.body == []:
            return NotFound()
        order = read_order(_single(result.body))
        if order is None:
            return Unknown(_describe(result, code))
        return (
            Found(order)
            if order.correlation_id == correlation_id
            else Unknown("answer_about_another_order")
        )
    if (result.status == httpx.codes.NOT_FOUND and code) or (
        400 <= result.status < 500 and code == _NO_DATA
    ):
        return NotFound()
    return no_answer(result, code)


def no_answer(result: Reply, code: str) -> TokenRefused | Unknown:
    """What a reply that answers no question says: the token is refused, or nothing."""
    reason = _describe(result, code)
    return TokenRefused(reason, bool(code)) if _refuses_token(result, code) else Unknown(reason)


def _refuses_token(result: Reply, code: str) -> bool:
    return result.status == httpx.codes.UNAUTHORIZED or (
        400 <= result.status < 500 and code == _DEAD_TOKEN
    )


def classify_book(result: Result, correlation_id: CorrelationId) -> LookupResult:
    """What the day's order book proves about one order.

    A book with one unreadable row proves no absence.
    """
    day = classify_day(result)
    if not isinstance(day, DayOrders):
        return day
    if order := day.named(correlation_id):
        return Found(order)
    if any(order.correlation_id == correlation_id for order in day.orders):
        return Unknown("two_orders_of_one_name")
    return NotFound() if day.whole else Unknown("order_book_unreadable")


def classify_day(result: Result) -> DayLookupResult:
    """What a result of GET /orders says of the account's orders."""
    if isinstance(result, Lost):
        return Unknown(result.reason)
    if result.status != httpx.codes.OK or not isinstance(result.body, list):
        code, _ = trading_error(_single(result.body))
        answer = no_answer(result, code)
        return (
            NoAccess(answer.reason)
            if isinstance(answer, Unknown) and _refuses_access(result, code)
            else answer
        )
    orders = [read_order(row) for row in result.body]
    readable = tuple(order for order in orders if order)
    return DayOrders(readable, whole=len(readable) == len(orders))


def read_order(body: object) -> BrokerOrder | None:
    """An order of the book, or None when the essential fields are missing.

    Unknown status words pass through.
    """
    if not isinstance(body, Mapping):
        return None
    order_id, status = text_field(body, "orderId"), text_field(body, "orderStatus")
    if not _ORDER_ID.fullmatch(order_id) or not status:
        return None
    reason = " ".join(
        filter(None, [text_field(body, "omsErrorCode"), text_field(body, "omsErrorDescription")])
    )
    return BrokerOrder(
        DhanOrderId(order_id), text_field(body, "correlationId"), status.upper(), reason
    )


def _acknowledged(body: object) -> PlaceResult:
    order = read_order(body)
    if order is None:
        return Unknown("acknowledgement_unreadable")
    if order.rejected:
        return Rejected("REJECTED", order.reason or "rejected on entry", order.order_id)
    return Accepted(order.order_id, order.status)


def _lost(lost: Lost) -> PlaceResult:
    if lost.may_have_arrived:
        return Unknown(lost.reason)
    return NotSent(lost.reason, "the request did not leave")


def _single(body: Any) -> Any:
    # Dhan's documents disagree on object or one-element array (`docs/facts/dhan.md`)
    return body[0] if isinstance(body, list) and len(body) == 1 else body


def _refuses_access(result: Reply, code: str) -> bool:
    passes = result.status in _PASSING or code in _SERVER_SIDE or code == RATE_LIMIT
    return 400 <= result.status < 500 and bool(code) and not passes


def _describe(reply: Reply, code: str) -> str:
    if code:
        return f"http_{reply.status}_{code}"
    return f"http_{reply.status}_{'not_json' if isinstance(reply.body, Unparsed) else 'unreadable'}"

"""What the simulated broker's own book says of one account (`GET /control/books/{client}`).

The truth that the demo holds our books against: orders, trades and positions to the paisa, and how
long a position had no resting stop.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, InstrumentId, Segment
from schemas.market import Side
from simulator.matching.enums import Leg, Source, Status


def _fraction(text: object) -> Fraction:
    """Exact paise from their text, which may be a fraction: the share of a position that closed."""
    if not isinstance(text, str):
        raise ValueError("an amount is a text")
    return Fraction(text)


_PaiseText = Annotated[Fraction, BeforeValidator(_fraction)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    segment: Segment = Field(alias="exchangeSegment")
    security_id: int = Field(alias="securityId")

    @property
    def instrument(self) -> InstrumentId:
        return InstrumentId(self.segment, self.security_id)


class BrokerOrder(_Row):
    """One order of the day, with where it came from."""

    number: DhanOrderId = Field(alias="orderId")
    name: str | None = Field(alias="correlationId")
    symbol: str = Field(alias="tradingSymbol")
    status: Status = Field(alias="orderStatus")
    leg: str = Field(alias="legName")
    source: Source

    @property
    def live(self) -> bool:
        """Whether it may still trade."""
        return self.status.live

    @property
    def is_target(self) -> bool:
        return self.leg == Leg.TARGET

    @property
    def is_stop(self) -> bool:
        """Whether it is the stop of a super order."""
        return self.leg == Leg.STOP_LOSS


class BrokerTrade(_Row):
    """One trade at the exchange; `value` in paise."""

    trade_id: str = Field(alias="exchangeTradeId")
    order: DhanOrderId = Field(alias="orderId")
    side: Side = Field(alias="transactionType")
    quantity: int = Field(alias="tradedQuantity", ge=1)
    value: _PaiseText = Field(alias="value_paise")


class BrokerPosition(_Row):
    """What the day did to one instrument in one product; values in exact paise."""

    product: str = Field(alias="productType")
    bought: int
    sold: int
    net: int
    bought_value: _PaiseText = Field(alias="bought_paise")
    sold_value: _PaiseText = Field(alias="sold_paise")
    realised: _PaiseText = Field(alias="realised_paise")


class Spells(BaseModel):
    """The worst and the sum of the spells in which a position was larger than its stops; s."""

    model_config = ConfigDict(frozen=True)

    worst: float
    total: float


class _Protection(BaseModel):
    machine_seconds: Spells
    market_seconds: Spells


class BrokerBook(BaseModel):
    """One account's day; trades in the order of their numbers."""

    model_config = ConfigDict(frozen=True)

    orders: tuple[BrokerOrder, ...]
    trades: tuple[BrokerTrade, ...]
    positions: tuple[BrokerPosition, ...]
    protection: _Protection

    @property
    def order_by_number(self) -> dict[DhanOrderId, BrokerOrder]:
        return {order.number: order for order in self.orders}

    @property
    def symbols(self) -> dict[InstrumentId, str]:
        return {order.instrument: order.symbol for order in self.orders}


def read_book(told: Any) -> BrokerBook:
    """The book as `/control/books` told it.

    Raises:
        Unreadable: the answer is none.
    """
    try:
        return BrokerBook.model_validate(told)
    except ValueError as error:
        raise Unreadable(f"the simulator's book cannot be read: {error}", "books") from None

"""What can be done to leave or to protect a position, as values; and whose order an order is.

Pure. `executors.orders.protection` and `executors.orders.flatten` say which of these are due,
`executors.orders.guardian` sends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

from dhan.orders import Product
from executors.orders.book import DayBook, KnownOrder, OrderKey
from executors.risk.sizing import WHOLE
from schemas.ids import (
    CORRELATION_ID_LENGTH,
    CorrelationId,
    DhanOrderId,
    InstrumentId,
    UserId,
    derive,
)
from schemas.market import Side
from schemas.messages import Leg
from schemas.units import BasisPoints, Paise, Price, Quantity

ENTRY_PREFIX: Final = "AT"  # of `schemas.ids.correlation_id`
# ATS trades this product only; what a user holds for longer is not ours to protect or to close.
PRODUCT: Final = Product.INTRADAY


class ExitKind(StrEnum):
    """What an order of the guardian is for; its value begins the order's name at Dhan."""

    STOP = "AXS"
    CLOSE = "AXC"


@dataclass(frozen=True, slots=True)
class PlaceStop:
    """Rest a new stop: a limit order at `price` that goes out once `trigger` traded."""

    side: Side
    quantity: Quantity
    trigger: Price
    price: Price


@dataclass(frozen=True, slots=True)
class ChangeStop:
    """Make a resting stop's whole quantity, its filled part included, `quantity`."""

    order: DhanOrderId
    quantity: Quantity
    trigger: Price
    price: Price


@dataclass(frozen=True, slots=True)
class PlaceClose:
    """Close `quantity` at `price` or better at once; what does not trade is cancelled (IOC)."""

    side: Side
    quantity: Quantity
    price: Price


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order away; with the entry of a super order all of it, else one exit leg."""

    order: DhanOrderId
    leg: Leg
    super_order: bool


Step: TypeAlias = PlaceStop | ChangeStop | PlaceClose | Cancel


def exit_name(
    kind: ExitKind, user: UserId, instrument: InstrumentId, day: date, attempt: int
) -> CorrelationId:
    """The name at Dhan of the guardian's n-th order of a kind, the same in every process."""
    made = derive("exit", kind.value, user, instrument, day.isoformat(), attempt)
    return CorrelationId(f"{kind}{made.hex}"[:CORRELATION_ID_LENGTH])


def is_ours(name: str) -> bool:
    """Whether ATS placed the order of this name; Dhan makes names up for those placed by hand."""
    return len(name) == CORRELATION_ID_LENGTH and name.startswith(
        (ENTRY_PREFIX, *(kind.value for kind in ExitKind))
    )


def closing_side(net: int) -> Side:
    """The side that makes a position smaller."""
    return Side.SELL if net > 0 else Side.BUY


def intraday(book: DayBook) -> DayBook:
    """The part of a book that ATS minds: the product it trades."""
    minded = {PRODUCT.value, ""}  # a leg need not tell its product
    return DayBook(
        {key: each for key, each in book.orders.items() if each.identity.product in minded},
        {key: fill for key, fill in book.fills.items() if fill.product in minded},
        book.broker,
    )


@dataclass(frozen=True, slots=True)
class Bracket:
    """The rows of one order number: a plain order, or a super order with its exits."""

    number: DhanOrderId
    legs: dict[Leg, KnownOrder]

    @property
    def super_order(self) -> bool:
        return Leg.STOP_LOSS in self.legs or Leg.TARGET in self.legs

    @property
    def entry(self) -> KnownOrder | None:
        return self.legs.get(Leg.ENTRY)

    @property
    def ours(self) -> bool:
        return any(is_ours(each.identity.correlation_id) for each in self.legs.values())

    @property
    def name(self) -> str:
        return max(each.identity.correlation_id for each in self.legs.values())

    @property
    def open(self) -> int:
        """Units that the entry traded and that no exit has closed yet."""
        exits = (self.legs.get(Leg.STOP_LOSS), self.legs.get(Leg.TARGET))
        return (self.entry.filled if self.entry else 0) - sum(each.filled for each in exits if each)

    def live(self) -> Iterator[tuple[Leg, KnownOrder]]:
        """The legs that may still trade."""
        return ((leg, each) for leg, each in self.legs.items() if not each.status.final)

    def closing(self, side: Side) -> int:
        """Units on `side` that may still trade under this number.

        Stop and target of a super order take from each other and count once.
        """
        if not self.super_order:
            return sum(each.remaining for _, each in self.live() if each.identity.side is side)
        exits = any(leg is not Leg.ENTRY and o.identity.side is side for leg, o in self.live())
        entry = self.entry
        entering = entry.remaining if entry and entry.identity.side is side else 0
        return entering + (max(0, self.open) if exits else 0)


def brackets(book: DayBook, instrument: InstrumentId) -> list[Bracket]:
    """The orders of one instrument by their numbers, in the order of the numbers."""
    found: dict[DhanOrderId, dict[Leg, KnownOrder]] = {}
    for key, order in sorted(book.orders_of(instrument).items(), key=_by_key):
        found.setdefault(key.dhan_order_id, {})[key.leg] = order
    return [Bracket(number, legs) for number, legs in found.items()]


def beyond(side: Side, price: int, away: BasisPoints, tick: Paise) -> Price:
    """`away` from `price` into the market, on the tick grid, at least one tick."""
    if side is Side.SELL:
        return Price(max(tick, price * (WHOLE - away) // (WHOLE * tick) * tick))
    return Price(-(-price * (WHOLE + away) // (WHOLE * tick)) * tick)


def _by_key(item: tuple[OrderKey, KnownOrder]) -> OrderKey:
    return item[0]

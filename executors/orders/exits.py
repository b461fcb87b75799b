"""What can be done to leave or to protect a position, as values; and whose order an order is.

Pure. `executors.orders.protection` and `executors.orders.flatten` say which of these are due,
`executors.orders.guardian` sends them.
"""

from __future__ import annotations

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
from schemas.market import PriceBand, Side
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
    """A plain order, or a super order with its exits, by the number of its entry.

    Attributes:
        entry: None where only an exit was seen so far.
        exits: Every leg that was ever sent; a leg that was not stands under the entry's number.
    """

    number: DhanOrderId
    entry: KnownOrder | None
    exits: tuple[tuple[OrderKey, KnownOrder], ...]

    @property
    def super_order(self) -> bool:
        return bool(self.exits) or (self.entry is not None and self.entry.super_order is not None)

    @property
    def ours(self) -> bool:
        return is_ours(self.name)

    @property
    def name(self) -> str:
        """Its name at Dhan; a leg may have none of its own."""
        if self.entry:
            return self.entry.identity.correlation_id
        return max((each.identity.correlation_id for _, each in self.exits), default="")

    @property
    def open(self) -> int:
        """Units that the entry traded and that no exit has closed yet."""
        if self.entry is None:
            return max(each.remaining for _, each in self.exits)
        return self.entry.filled - sum(each.filled for _, each in self.exits)

    def live(self) -> list[tuple[Leg, KnownOrder]]:
        """What may still trade.

        A leg that has a number of its own is no longer what stood under the entry's.
        """
        sent = {key.leg for key, _ in self.exits if key.dhan_order_id != self.number}
        legs = [
            (key.leg, each)
            for key, each in self.exits
            if key.dhan_order_id != self.number or key.leg not in sent
        ]
        entries = [(Leg.ENTRY, self.entry)] if self.entry else []
        return [(leg, each) for leg, each in entries + legs if not each.status.final]

    def closing(self, side: Side) -> int:
        """Units on `side` that may still trade under this number.

        Stop and target of a super order take from each other and count once.
        """
        live = [(leg, each) for leg, each in self.live() if each.identity.side is side]
        entering = sum(each.remaining for leg, each in live if leg is Leg.ENTRY)
        leaving = any(leg is not Leg.ENTRY for leg, _ in live)
        return entering + (max(0, self.open) if leaving else 0)


def brackets(book: DayBook, instrument: InstrumentId) -> list[Bracket]:
    """The orders of one instrument by the numbers of their entries, in the order of these."""
    found: dict[DhanOrderId, list[tuple[OrderKey, KnownOrder]]] = {}
    for key, order in sorted(book.orders_of(instrument).items(), key=_by_key):
        found.setdefault(order.super_order or key.dhan_order_id, []).append((key, order))
    return [
        Bracket(
            number,
            next((each for key, each in rows if key.leg is Leg.ENTRY), None),
            tuple(row for row in rows if row[0].leg is not Leg.ENTRY),
        )
        for number, rows in found.items()
    ]


def entries(book: DayBook, instrument: InstrumentId) -> list[Bracket]:
    """Orders of ours that may open a position: stops and closing orders are none."""
    return [
        each
        for each in brackets(book, instrument)
        if each.ours
        and each.entry
        and not each.entry.status.final
        and each.name.startswith(ENTRY_PREFIX)
        and not each.entry.is_stop(Leg.ENTRY)
    ]


def beyond(side: Side, price: int, away: BasisPoints, tick: Paise) -> Price:
    """`away` from `price` into the market, on the tick grid, at least one tick."""
    if side is Side.SELL:
        return Price(max(tick, price * (WHOLE - away) // (WHOLE * tick) * tick))
    return Price(-(-price * (WHOLE + away) // (WHOLE * tick)) * tick)


def within(side: Side, price: Price, start: int, band: PriceBand | None) -> Price:
    """`price` where the exchange takes it: `start`, from which it was reckoned, lies in `band`.

    A band that `start` is outside of has moved since the morning, or is another day's.
    """
    if band is None or start not in band:
        return price
    return max(price, band.lower) if side is Side.SELL else min(price, band.upper)


def _by_key(item: tuple[OrderKey, KnownOrder]) -> OrderKey:
    return item[0]

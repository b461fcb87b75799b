"""A broker in a few lines, for planners that say what must be sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from itertools import count
from uuid import UUID

from executors.orders.book import DayBook, KnownOrder, OrderKey
from executors.orders.exits import (
    Cancel,
    ChangeStop,
    ExitKind,
    PlaceClose,
    PlaceStop,
    Step,
    exit_name,
)
from schemas.ids import DhanOrderId, InstrumentId, OrderId, Segment, UserId, correlation_id, derive
from schemas.market import Side
from schemas.messages import (
    Leg,
    ObservedBy,
    ObservedOrder,
    OrderStatus,
)
from schemas.units import Paise, Quantity, UtcNs

SHARE = InstrumentId(Segment.NSE_EQ, 2885)
DAY = date(2026, 11, 27)
USER = UserId(UUID(int=7))
TICK = Paise(5)
BY_HAND = "1000000001-1795773200000"


@dataclass
class Row:
    """One order, or one leg of a super order; `parent` is the entry's number."""

    number: str
    leg: Leg
    name: str
    side: Side
    kind: str
    quantity: int
    filled: int = 0
    status: OrderStatus = OrderStatus.PENDING
    trigger: int = 0
    price: int = 0
    updated: int = 1

    @property
    def live(self) -> bool:
        return not self.status.final

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled if self.live else 0


@dataclass
class ExchangeModel:
    """One instrument of one account."""

    rows: list[Row] = field(default_factory=list)
    numbers: count[int] = field(default_factory=lambda: count(1))
    net: int = 0
    sent: list[Step] = field(default_factory=list)
    legs_numbered: bool = False  # exits have numbers of their own, beside what stood before

    def entry(self, side: Side, quantity: int, *, name: str = "", leaves: bool = False) -> str:
        number = str(next(self.numbers))
        name = name or correlation_id(OrderId(derive("order", number)))
        self.rows.append(Row(number, Leg.ENTRY, name, side, "LIMIT", quantity))
        if leaves:
            exit_side = Side.SELL if side is Side.BUY else Side.BUY
            self.rows += [
                Row(number, Leg.STOP_LOSS, "", exit_side, "STOP_LOSS_MARKET", quantity),
                Row(number, Leg.TARGET, "", exit_side, "LIMIT", quantity),
            ]
        return number

    def stop(self, side: Side, quantity: int, trigger: int, *, name: str = "") -> str:
        number = str(next(self.numbers))
        name = name or exit_name(ExitKind.STOP, USER, SHARE, DAY, int(number))
        self.rows.append(
            Row(number, Leg.ENTRY, name, side, "STOP_LOSS", quantity, trigger=trigger, price=1)
        )
        return number

    def row(self, number: str, leg: Leg = Leg.ENTRY) -> Row:
        return next(row for row in self.rows if (row.number, row.leg) == (number, leg))

    def open_of(self, number: str) -> int:
        legs = {row.leg: row for row in self.rows if row.number == number}
        return legs[Leg.ENTRY].filled - sum(
            legs[leg].filled for leg in (Leg.STOP_LOSS, Leg.TARGET) if leg in legs
        )

    def trade(self, row: Row, units: int) -> int:
        """Let a row trade, as far as it can; returns what traded."""
        if row.leg is not Leg.ENTRY:
            units = min(units, self.open_of(row.number))
        units = min(units, row.remaining)
        if units <= 0:
            return 0
        row.filled += units
        row.status = OrderStatus.TRADED if row.filled == row.quantity else OrderStatus.PART_TRADED
        self.net += units if row.side is Side.BUY else -units
        return units

    def book(self) -> DayBook:
        book = DayBook()
        supers = {row.number for row in self.rows if row.leg is not Leg.ENTRY}
        for row in self.rows:
            entry = row.number if row.number in supers else ""
            number = row.number
            if self.legs_numbered and row.leg is not Leg.ENTRY:
                _show(book, replace(row, filled=0, status=OrderStatus.PENDING), number, entry)
                number = f"{number}-{row.leg}"
            _show(book, row, number, entry)
        return book

    def apply(self, step: Step) -> None:
        """Do what was sent, as the broker would."""
        self.sent.append(step)
        match step:
            case PlaceStop(side, quantity, trigger):
                self.stop(side, quantity, trigger)
            case ChangeStop(order, quantity, _, _):
                row = self.row(order)
                assert row.live
                row.quantity = int(quantity)
            case PlaceClose(side, quantity):
                number = self.entry(
                    side,
                    quantity,
                    name=exit_name(ExitKind.CLOSE, USER, SHARE, DAY, len(self.rows)),
                )
                self.row(number).kind = "LIMIT"
            case Cancel(order, leg):
                for row in self.rows:
                    hit = row.number == order and (leg is Leg.ENTRY or row.leg is leg)
                    if hit and row.live:
                        assert row.status is not OrderStatus.TRANSIT
                        row.status = OrderStatus.CANCELLED


def _show(book: DayBook, row: Row, number: str, entry: str) -> None:
    seen = ObservedOrder.model_construct(
        dhan_order_id=DhanOrderId(number),
        leg=row.leg,
        dhan_correlation_id=row.name,
        instrument=SHARE,
        side=row.side,
        product="INTRADAY",
        order_type=row.kind,
        status=row.status,
        status_word=row.status.value,
        quantity=Quantity(row.quantity),
        filled=Quantity(row.filled),
        price=Paise(row.price),
        trigger=Paise(row.trigger),
        updated_at=UtcNs.seconds(row.updated),
        super_order=DhanOrderId(entry),
    )
    key = OrderKey(seen.dhan_order_id, seen.leg)
    book.orders[key] = KnownOrder.of(seen, ObservedBy.ORDER_BOOK)

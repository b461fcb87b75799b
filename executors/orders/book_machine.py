"""The books of the users of one partition, as a machine for `bus.stateful`.

`ats.order-events` go in; each fill comes out once on `ats.trades`, each change of a position on
`ats.positions`. The newest days of each user are kept: an observation of an earlier day changes
nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from bus.records import Output, Record, message_output
from bus.stateful import StatefulService
from executors.orders.book import (
    BrokerCount,
    DayBook,
    Filled,
    FillKey,
    Identity,
    KnownOrder,
    OrderKey,
    Stage,
    Terms,
    position_of,
)
from schemas.codec import decode
from schemas.errors import Misconfigured
from schemas.ids import DhanOrderId, InstrumentId, UserId, derive
from schemas.market import Side
from schemas.messages import Leg, ObservedFill, OrderEvent, Trade
from schemas.topics import BOOK_SNAPSHOTS, ORDER_EVENTS, POSITIONS, TRADES
from schemas.units import UtcNs

GROUP: Final = "ats-books"
DAYS_KEPT: Final = 2  # today's, and the day before for what is told after midnight
_VERSION: Final = 2
_FILLS: Final = TypeAdapter(list[ObservedFill])


class BookMachine:
    """The state of one partition: a book for each user and day."""

    def __init__(self, books: dict[UserId, dict[date, DayBook]] | None = None) -> None:
        self.books: dict[UserId, dict[date, DayBook]] = books or {}

    def apply(self, record: Record) -> Iterable[Output]:
        """Join one observation in.

        Raises:
            Unreadable: the record is no `OrderEvent`.
        """
        event = decode(OrderEvent, record.value)
        days = self.books.setdefault(event.user_id, {})
        if len(days) == DAYS_KEPT and event.trading_date < min(days):
            return ()
        book = days.setdefault(event.trading_date, DayBook())
        while len(days) > DAYS_KEPT:
            del days[min(days)]
        known = len(book.fills)
        if not book.observe(event) and event.book is None:
            return ()
        return list(self._told(event, book, new_fill=len(book.fills) > known))

    def _told(self, event: OrderEvent, book: DayBook, *, new_fill: bool) -> Iterator[Output]:
        user = str(event.user_id)
        for instrument in sorted(_touched(event, book)):
            message = position_of(event.user_id, event.trading_date, instrument, book, event)
            yield message_output(POSITIONS, message, user)
        if event.fill and new_fill:
            day = event.trading_date
            trade = trade_of(event.user_id, day, event.fill, book, cause=event)
            yield message_output(TRADES, trade, user)

    def dump(self) -> bytes:
        """The whole state, for `restore`."""
        return orjson.dumps(
            {
                "version": _VERSION,
                "users": {
                    str(user): {day.isoformat(): _dumped(book) for day, book in days.items()}
                    for user, days in self.books.items()
                },
            }
        )

    @classmethod
    def restore(cls, state: bytes) -> BookMachine:
        """The machine that `dump` wrote.

        Raises:
            Misconfigured: it was written by another version.
        """
        read = orjson.loads(state)
        if read.get("version") != _VERSION:
            raise Misconfigured(
                f"a snapshot of version {read.get('version')} in {BOOK_SNAPSHOTS.name}; delete the "
                "topic to build the books again from their events"
            )
        return cls(
            {
                UserId(UUID(user)): {
                    date.fromisoformat(day): _restored(book) for day, book in days.items()
                }
                for user, days in read["users"].items()
            }
        )


def book_service() -> StatefulService:
    """The books, for `bus.stateful.run_stateful`."""
    return StatefulService(
        group=GROUP,
        source=ORDER_EVENTS,
        snapshots=BOOK_SNAPSHOTS,
        outputs=(POSITIONS, TRADES),
        fresh=lambda _: BookMachine(),
        restore=lambda _, state: BookMachine.restore(state),
    )


def _touched(event: OrderEvent, book: DayBook) -> set[InstrumentId]:
    if event.order:
        return {event.order.instrument}
    if event.fill:
        return {event.fill.instrument}
    return book.instruments()


def trade_of(
    user: UserId, day: date, fill: ObservedFill, book: DayBook, *, cause: OrderEvent | None = None
) -> Trade:
    """The message of one fill of `book`, which `cause` told."""
    names = {
        order.identity.correlation_id
        for order in book.numbered(fill.instrument, fill.dhan_order_id).values()
    }
    return Trade(
        id=derive("trade", user, day, fill.instrument, fill.trade_id, fill.dhan_order_id),
        event_time=cause.event_time if cause else fill.traded_at,
        causation_id=cause.id if cause else None,
        user_id=user,
        trading_date=day,
        fill=fill,
        dhan_correlation_id=max(names, default=""),
    )


def _dumped(book: DayBook) -> dict[str, Any]:
    return {
        "orders": [
            [
                [key.dhan_order_id, key.leg],
                [
                    order.identity.correlation_id,
                    str(order.identity.instrument),
                    order.identity.side,
                    order.identity.product,
                    order.identity.super_order,
                ],
                list(order.stage),
                list(order.traded),
                list(order.terms),
            ]
            for key, order in book.orders.items()
        ],
        "fills": _FILLS.dump_python(list(book.fills.values()), mode="json"),
        "broker": book.broker
        and [book.broker.read_at, [[str(i), product, net] for i, product, net in book.broker.net]],
    }


def _restored(dumped: dict[str, Any]) -> DayBook:
    book = DayBook()
    for (number, leg), identity, stage, traded, terms in dumped["orders"]:
        name, instrument, side, product, super_order = identity
        order = KnownOrder(
            Identity(name, InstrumentId.parse(instrument), Side(side), product, super_order),
            Stage(*stage),
            Filled(*traded),
            Terms(*terms),
        )
        book.put_order(OrderKey(DhanOrderId(number), Leg(leg)), order)
    for fill in _FILLS.validate_json(orjson.dumps(dumped["fills"])):
        book.put_fill(FillKey.of(fill), fill)
    if dumped["broker"]:
        read_at, net = dumped["broker"]
        parsed = tuple((InstrumentId.parse(i), product, held) for i, product, held in net)
        book.broker = BrokerCount(UtcNs(read_at), parsed)
    return book

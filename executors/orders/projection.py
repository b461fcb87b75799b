"""Shows the books in the database, for the account page.

What changed in a fold is written a moment later, as the fold has it then, under the offset up to
which it had read. So it may be written twice or late, and a database that is away delays only the
page. Whoever takes a partition over writes its orders and fills once more; its positions follow
with the first reading.

Where the guarantee stops: of a row that the database refuses (a user who is gone, a value out of
bounds) only the log and a metric tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple, TypeAlias

import structlog

from bus.database import RowRefused, StoreAway
from executors.charges.book import estimated
from executors.charges.rates import Rates
from executors.clock import MonotonicClock
from executors.metrics import BookMetrics
from executors.orders.book import DayBook, FillKey, OrderKey, position_of, shown_order
from executors.orders.book_machine import BookMachine, trade_of
from executors.orders.book_store import BookStore, OrderRow, PositionRow, TradeRow
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument
from schemas.messages import Leg, OrderEvent
from schemas.topics import user_partition
from schemas.units import Paise

log = structlog.get_logger(__name__)

WRITE_EVERY: Final = 0.5  # seconds; what gathers meanwhile is one call
LONGEST_PAUSE: Final = 10.0  # while the database is away
_CLOSED_BY: Final = {Leg.STOP_LOSS: "stop_loss", Leg.TARGET: "target"}


# seconds in which no stop rested for all of a user's position of one day
Unprotected: TypeAlias = Callable[[UserId, InstrumentId, date], float]


def no_time_counted(user: UserId, instrument: InstrumentId, day: date) -> float:  # noqa: ARG001
    """Of accounts that no guardian of ours watches."""
    return 0.0


class _Day(NamedTuple):
    user: UserId
    date: date


@dataclass(slots=True)
class _Changes:
    """What is to be written of one user's day."""

    orders: set[OrderKey] = field(default_factory=set)
    fills: set[FillKey] = field(default_factory=set)
    positions: dict[InstrumentId, OrderEvent] = field(default_factory=dict)

    def merge(self, newer: _Changes) -> None:
        self.orders |= newer.orders
        self.fills |= newer.fills
        self.positions |= newer.positions


@dataclass(frozen=True, slots=True)
class _Rows:
    orders: list[OrderRow] = field(default_factory=list)
    trades: list[TradeRow] = field(default_factory=list)
    positions: list[PositionRow] = field(default_factory=list)


class Projection:
    """Writes what changed in the books of this process."""

    def __init__(
        self,
        store: BookStore,
        instruments: Mapping[InstrumentId, Instrument],
        machine: MonotonicClock,
        metrics: BookMetrics,
        *,
        partitions: int,
        rates: Rates,
        unprotected: Unprotected,
    ) -> None:
        """`partitions` is how many `ats.order-events` has."""
        self._store = store
        self._instruments = instruments
        self._machine = machine
        self._metrics = metrics
        self._partitions = partitions
        self._rates = rates
        self._unprotected = unprotected
        self._machines: Mapping[int, BookMachine] = {}
        self._offsets: dict[int, int] = {}
        self._changes: dict[_Day, _Changes] = {}

    def owned(self, machines: Mapping[int, BookMachine]) -> None:
        """These partitions are ours from now on."""
        before = self._machines
        gained = [number for number, each in machines.items() if each is not before.get(number)]
        self._offsets = {n: offset for n, offset in self._offsets.items() if n in machines}
        self._machines = machines
        for number in gained:
            for user, days in machines[number].books.items():
                for day, book in days.items():
                    self._changed(_Day(user, day)).merge(
                        _Changes(set(book.orders), set(book.fills))
                    )

    def applied(self, partition: int, offset: int, event: OrderEvent) -> None:
        """`event`, at `offset`, is in the fold now."""
        self._offsets[partition] = offset
        book = self._book(_Day(event.user_id, event.trading_date))
        if book is None:
            return
        changes = self._changed(_Day(event.user_id, event.trading_date))
        if event.order:
            changes.orders.add(OrderKey(event.order.dhan_order_id, event.order.leg))
            changes.positions[event.order.instrument] = event
        elif event.fill:
            changes.fills.add(FillKey.of(event.fill))
            changes.positions[event.fill.instrument] = event
        else:
            changes.positions |= dict.fromkeys(book.instruments(), event)

    async def run(self) -> None:
        """Write again and again, for ever."""
        pause = WRITE_EVERY
        while True:
            await self._machine.sleep(pause)
            pause = WRITE_EVERY if await self.write() else min(2 * pause, LONGEST_PAUSE)

    async def write(self) -> bool:
        """Write what has changed; False when the database is away and all of it still waits."""
        taken = {day: each for day, each in self._changes.items() if self._offset(day) is not None}
        for day in taken:
            del self._changes[day]
        try:
            await self._write(taken)
        except (StoreAway, Misconfigured) as error:
            log.warning("books_not_shown", error=str(error), days=len(taken))
            for day, changes in taken.items():
                changes.merge(self._changes.get(day, _Changes()))
                self._changes[day] = changes
            return False
        return True

    async def _write(self, taken: Mapping[_Day, _Changes]) -> None:
        try:
            await self._send(self._rows(taken))
        except RowRefused:
            # a row of one user must not keep back another's
            for day, changes in taken.items():
                try:
                    await self._send(self._rows({day: changes}))
                except RowRefused as refused:
                    self._metrics.rows_refused += 1
                    log.error("book_refused", user=str(day.user), code=refused.code)

    async def _send(self, rows: _Rows) -> None:
        if rows.orders:
            await self._store.record_order_states(rows.orders)
        if rows.trades:
            await self._store.record_trades(rows.trades)
        if rows.positions:
            await self._store.record_positions(rows.positions)

    def _rows(self, taken: Mapping[_Day, _Changes]) -> _Rows:
        rows = _Rows()
        for day, changes in taken.items():
            book, version = self._book(day), self._offset(day)
            if book is None or version is None:
                continue  # another process has the partition, and writes it
            rows.orders.extend(self._orders(day, changes, book, version))
            rows.trades.extend(self._trades(day, changes, book, version))
            rows.positions.extend(self._positions(day, changes, book, version))
        return rows

    def _orders(
        self, day: _Day, changes: _Changes, book: DayBook, version: int
    ) -> Iterable[OrderRow]:
        for key in sorted(changes.orders):
            if order := book.orders.get(key):
                symbol = self._symbol(order.identity.instrument)
                yield OrderRow(day.user, day.date, shown_order(key, order), symbol, version)

    def _trades(
        self, day: _Day, changes: _Changes, book: DayBook, version: int
    ) -> Iterable[TradeRow]:
        for key in sorted(changes.fills):
            if fill := book.fills.get(key):
                trade = trade_of(day.user, day.date, fill, book)
                yield TradeRow(trade, self._symbol(fill.instrument), None, version)

    def _positions(
        self, day: _Day, changes: _Changes, book: DayBook, version: int
    ) -> Iterable[PositionRow]:
        for instrument, cause in sorted(changes.positions.items()):
            position = position_of(day.user, day.date, instrument, book, cause)
            yield PositionRow(
                position=position,
                symbol=self._symbol(instrument),
                charges=self._charges(day.date, instrument, book) if position.by_trades else None,
                unprotected=self._unprotected(day.user, instrument, day.date),
                closed_by=closed_by(book, instrument),
                version=version,
            )

    def _charges(self, day: date, instrument: InstrumentId, book: DayBook) -> Paise | None:
        known = self._instruments.get(instrument)
        return estimated(book.fills_of(instrument), day, self._rates, known.kind if known else "")

    def _changed(self, day: _Day) -> _Changes:
        return self._changes.setdefault(day, _Changes())

    def _book(self, day: _Day) -> DayBook | None:
        machine = self._machines.get(user_partition(day.user, self._partitions))
        return machine.books.get(day.user, {}).get(day.date) if machine else None

    def _offset(self, day: _Day) -> int | None:
        """None before this process has applied anything of the partition."""
        return self._offsets.get(user_partition(day.user, self._partitions))

    def _symbol(self, instrument: InstrumentId) -> str:
        known = self._instruments.get(instrument)
        return known.symbol if known else ""


def closed_by(book: DayBook, instrument: InstrumentId) -> str | None:
    """Which exit closed a position that is flat again; None where no leg of a super order did."""
    fills = book.fills_of(instrument)
    if not fills or book.holding(instrument).net:
        return None
    last = max(fills, key=lambda fill: (fill.traded_at, fill.trade_id))
    legs = {key.leg for key in book.numbered(instrument, last.dhan_order_id)}
    return next((word for leg, word in _CLOSED_BY.items() if legs == {leg}), None)

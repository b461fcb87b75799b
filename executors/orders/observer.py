"""Keeps the book of one account true: listens to its order updates and reads the broker's books.

Nothing is used before it is recorded: what is seen goes to `ats.order-events`, and comes back
through the fold (`executors.orders.book_machine`). The broker's books are read at the start, after
each (re)connection of the updates, on a timer, soon while an order is in transit, and when the
guardian asks.

Where the guarantee stops: an update that is lost while the connection lives is missed until the
next reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from random import Random
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from uuid import UUID

import httpx
import structlog

from bus.records import Output, message_output
from dhan.egress import Egress
from dhan.order_updates import OrderUpdates, UpdatesUrl
from dhan.orders import DayOrders, OrderClient
from dhan.outcomes import HUGE_ROWS, MANY_ROWS, NoAnswer, Rows, TokenRefused
from dhan.portfolio import PortfolioClient
from dhan.super_orders import SuperOrderClient
from dhan.transport import Credentials, OrderUrl, off_loop
from executors.clock import MonotonicClock
from executors.metrics import BookMetrics
from executors.orders.account import AccountView, Guardian, OpenGuardian
from executors.orders.book import DayBook
from executors.orders.observations import (
    Observed,
    Reading,
    disagrees,
    news,
    observe,
    order_event,
)
from executors.store import Connected
from executors.tokens import RefusedTokens
from schemas.ids import UserId
from schemas.market import trading_day
from schemas.messages import ObservedBy, OrderEvent, OrderStatus
from schemas.topics import ORDER_EVENTS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)
T = TypeVar("T")

READ_EVERY: Final = 30.0  # seconds; four calls of the twenty that Dhan allows in one second
READ_UNHEARD: Final = 5.0  # while the updates are not connected
READ_IN_TRANSIT: Final = 1.0  # while an order is in transit; doubled each time, up to the timer
SPACING: Final = 0.25  # between two readings, however often one is asked for: 16 calls a second
FIRST_PAUSE: Final = 1.0  # of a sick account
LONGEST_PAUSE: Final = 60.0
GUARD_EVERY: Final = 0.5  # with the guardian's own 0.8 s: a stop lost in silence is seen in 1.3 s
EXIT_EVERY: Final = 5.0  # between two looks at whether the broker's own exit is armed
BEHIND_AFTER: Final = 1.0  # seconds; Kafka takes some hundredths
RECORDED_AT_ONCE: Final = 100  # events that are encoded before everybody else gets a turn
# Between two looks at a long book, which cost a tenth of a second: others need the time too.
LONG_BOOK_EVERY: Final = 0.5
CLOCK_PAUSE: Final = 0.2  # before a replay's first tick nobody knows the day


class Recorder(Protocol):
    """Writes to Kafka; `bus.publisher.Publisher` is one."""

    async def send(self, output: Output) -> asyncio.Future[Any]: ...


BookOf: TypeAlias = Callable[[UserId, date], DayBook | None]


@dataclass(frozen=True, slots=True)
class ObserverDeps:
    """What all observers of a process share.

    Attributes:
        market: The market time; None while nobody knows it.
        random: Spreads reconnections.
        read_every: Seconds between two readings of an account whose updates are heard.
        egress: From which address each account's updates are asked for, as `http` does.
    """

    http: httpx.AsyncClient
    base_url: OrderUrl
    updates_url: UpdatesUrl
    recorder: Recorder
    tokens: RefusedTokens
    machine: MonotonicClock
    market: Callable[[], UtcNs | None]
    metrics: BookMetrics
    open_guardian: OpenGuardian
    random: Random = field(repr=False)
    read_every: float = READ_EVERY
    egress: Egress = field(default_factory=Egress)


class Observer:
    """One account, for as long as its token lives and its user's partition is ours.

    Attributes:
        read_at: As `executors.orders.account.AccountView` has it.
        seen_at: Machine time of the last whole reading, or of the start.
        token_refused: Dhan refused the token in words: a new one must come.
    """

    def __init__(
        self,
        user: UserId,
        connected: Connected,
        book_of: BookOf,
        deps: ObserverDeps,
    ) -> None:
        """`book_of` gives the book of a user and a trading date, as applied so far."""
        self.user = user
        self.connected = connected
        self.read_at: float | None = None
        self.seen_at = deps.machine.monotonic()
        self.token_refused = False
        self._book_of = book_of
        self._deps = deps
        self._broker = _Broker(deps, connected.credentials)
        self._updates = OrderUpdates(
            deps.updates_url,
            self._credentials,
            self._heard_again,
            deps.random,
            sleep=deps.machine.sleep,
            egress=deps.egress,
        )
        self._guardian: Guardian = deps.open_guardian(user, self)
        self._wanted = asyncio.Event()
        self._changed = asyncio.Event()
        # recorded, and not in the book yet; since when, oldest first
        self._on_their_way: dict[UUID, float] = {}
        self._reading: tuple[UUID, float] | None = None  # on its way, and when it began
        self._last_market = UtcNs(0)
        self._transit_pause = READ_IN_TRANSIT
        self._connections = 0

    async def run(self) -> None:
        """Observe and guard until the token is refused; whoever cancels it ends both."""
        async with asyncio.TaskGroup() as tasks:
            beside = (self._listen(), self._keep_guarding(), self._keep_exit())
            others = [tasks.create_task(each) for each in beside]
            await self._keep_reading()
            for task in others:
                task.cancel()

    # What the account's guardian may ask

    def read_soon(self) -> None:
        """Have the books read at the next moment that Dhan's limits allow."""
        self._wanted.set()

    async def record(self, event: OrderEvent) -> None:
        """Record one observation; returns when it is in Kafka."""
        await self._record([event])

    # What the fold says

    def applied(self, event: OrderEvent) -> None:
        """`event`, recorded by anybody, is in the book now."""
        self._on_their_way.pop(event.id, None)
        if self._reading and event.id == self._reading[0]:
            self._note_read(self._reading[1])
            self._reading = None
        if event.observed_by is ObservedBy.PLACEMENT:
            self._transit_pause = READ_IN_TRANSIT
            self._wanted.set()
        self._changed.set()

    # Updates

    async def _credentials(self) -> Credentials:
        return self.connected.credentials

    def _heard_again(self) -> None:
        self._connections += 1
        if self._connections > 1:
            self._deps.metrics.gaps += 1
        self._wanted.set()

    async def _listen(self) -> None:
        async with aclosing(self._updates.observe()) as updates:
            async for order in updates:
                now = await self._market_time()
                event = order_event(self.user, order, ObservedBy.ORDER_UPDATE, now)
                if event is None:
                    log.warning("order_update_unnamed", user=str(self.user), order=order.order_id)
                elif not self._knows(event):
                    await self._record([event])

    def _knows(self, event: OrderEvent) -> bool:
        book = self._book_of(self.user, event.trading_date)
        return event.id in self._on_their_way or (book is not None and book.knows(event))

    # Readings

    async def _keep_reading(self) -> None:
        pause = FIRST_PAUSE
        while not self.token_refused:
            self._wanted.clear()
            if await self._read():
                pause = FIRST_PAUSE
                await self._until_wanted(self._until_next())
            else:
                self._deps.metrics.readings["failed"] += 1
                await self._deps.machine.sleep(pause)  # a sick account waits alone
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _until_wanted(self, seconds: float) -> None:
        await self._deps.machine.sleep(SPACING)
        await self._deps.machine.sleep_or(max(0.0, seconds - SPACING), self._wanted)

    def _until_next(self) -> float:
        """Seconds until the next reading that nobody asks for."""
        heard = self._updates.metrics.connected > 0
        timer = self._deps.read_every if heard else min(READ_UNHEARD, self._deps.read_every)
        if not self._in_transit():
            self._transit_pause = READ_IN_TRANSIT
            return timer
        pause, self._transit_pause = self._transit_pause, 2 * self._transit_pause
        return min(pause, timer)

    def _in_transit(self) -> bool:
        now = self._deps.market()
        book = self._book_of(self.user, trading_day(now)) if now else None
        return book is not None and any(
            order.status is OrderStatus.TRANSIT for order in book.orders.values()
        )

    async def _read(self) -> bool:
        """Read all books and record what is new; whether that went well."""
        began = self._deps.machine.monotonic()
        if (seen := await self._look()) is None:
            return False
        observed, book = seen
        if await _beside(observed, book, disagrees):
            # something may have traded between two of the calls: look once more
            began = self._deps.machine.monotonic()
            if (seen := await self._look()) is None:
                return False
            observed, book = seen
            if await _beside(observed, book, disagrees):
                self._deps.metrics.disagreements += 1
                log.warning("positions_disagree", user=str(self.user))
        await self._record_reading(observed, book, began)
        self._deps.metrics.readings["whole" if observed.whole else "partial"] += 1
        return True

    async def _look(self) -> tuple[Observed, DayBook | None] | None:
        match await self._broker.read():
            case Reading() as reading:
                look = partial(observe, self.user, reading, await self._next_market_time())
                rows = reading.rows
                observed = (
                    look() if rows < MANY_ROWS else await off_loop(look, huge=rows >= HUGE_ROWS)
                )
                return observed, self._book_of(self.user, observed.read.trading_date)
            case TokenRefused(reason, in_words=True):
                self.token_refused = True
                await self._deps.tokens.add(self.user, self.connected.token_version, reason)
            case refusal:
                log.warning("account_unread", user=str(self.user), reason=refusal.reason)
        return None

    async def _record_reading(self, observed: Observed, book: DayBook | None, began: float) -> None:
        """Record what is new, and the reading after it, unless the book says all of it already."""
        # what reaches the book meanwhile is neither in what is compared nor on its way afterwards
        on_their_way = set(self._on_their_way)
        untold = await _beside(observed, book, news)
        on_their_way |= self._on_their_way.keys()
        new = [event for event in untold if event.id not in on_their_way]
        quiet = not new and not self._on_their_way and self.read_at is not None
        if quiet and observed.whole and book and book.counts_as(observed.read):
            self._note_read(began)
            return
        self._reading = (observed.read.id, began) if observed.whole else None
        await self._record([*new, observed.read])

    def _note_read(self, began: float) -> None:
        self.read_at = self.seen_at = began
        self._changed.set()

    async def _record(self, events: Sequence[OrderEvent]) -> None:
        """Record in this order; returns when all are in Kafka."""
        sent = []
        for number, event in enumerate(events, 1):
            if number % RECORDED_AT_ONCE == 0:
                await asyncio.sleep(0)
            self._on_their_way.setdefault(event.id, self._deps.machine.monotonic())
            output = message_output(ORDER_EVENTS, event, str(self.user))
            sent.append(await self._deps.recorder.send(output))
            self._deps.metrics.observations[event.observed_by.value] += 1
        for each in sent:
            await asyncio.shield(each)  # cancelling the wait must not cancel the record

    # Time

    async def _market_time(self) -> UtcNs:
        while (now := self._deps.market()) is None:
            await self._deps.machine.sleep(CLOCK_PAUSE)
        return now

    async def _next_market_time(self) -> UtcNs:
        """Later than every reading before, also where the market's clock stands still."""
        now = await self._market_time()
        book = self._book_of(self.user, trading_day(now))
        before = book.broker.read_at if book and book.broker else UtcNs(0)
        self._last_market = UtcNs(max(now, self._last_market + 1, before + 1))
        return self._last_market

    # The guardian

    async def _keep_guarding(self) -> None:
        while True:
            self._changed.clear()
            if now := self._deps.market():
                try:
                    await self._guardian.step(self._view(now), now)
                except Exception as error:  # noqa: BLE001  # of this account alone
                    self._deps.metrics.guard_failures += 1
                    log.error("guardian_failed", user=str(self.user), error=type(error).__name__)
                    await self._deps.machine.sleep(GUARD_EVERY)
            pause = LONG_BOOK_EVERY if now and self._is_long(now) else 0.0
            await self._deps.machine.sleep(pause)
            await self._deps.machine.sleep_or(GUARD_EVERY - pause, self._changed)

    def _is_long(self, now: UtcNs) -> bool:
        book = self._book_of(self.user, trading_day(now))
        return book is not None and len(book.orders) >= HUGE_ROWS

    async def _keep_exit(self) -> None:
        while True:
            if now := self._deps.market():
                try:
                    await self._guardian.keep_exit(self._view(now), now)
                except Exception as error:  # noqa: BLE001  # of this account alone
                    self._deps.metrics.guard_failures += 1
                    log.error("exit_not_kept", user=str(self.user), error=type(error).__name__)
            await self._deps.machine.sleep(EXIT_EVERY)

    def _view(self, now: UtcNs) -> AccountView:
        day = trading_day(now)
        return AccountView(
            user=self.user,
            credentials=self.connected.credentials,
            token_version=self.connected.token_version,
            trading_date=day,
            book=self._book_of(self.user, day),
            read_at=None if self._is_behind() else self.read_at,
        )

    def _is_behind(self) -> bool:
        """Whether something was seen that does not come into the book, as while Kafka is away."""
        seen_at = next(iter(self._on_their_way.values()), None)
        return seen_at is not None and self._deps.machine.monotonic() - seen_at > BEHIND_AFTER


async def _beside(
    observed: Observed, book: DayBook | None, work: Callable[[Observed, DayBook | None], T]
) -> T:
    """`work`, beside the event loop where there is much to compare; the book goes on meanwhile."""
    if (events := len(observed.events)) < MANY_ROWS:
        return work(observed, book)
    kept = DayBook(dict(book.orders), dict(book.fills), book.broker) if book else None
    return await off_loop(partial(work, observed, kept), huge=events >= HUGE_ROWS)


class _Broker:
    """Reads one account's four lists."""

    def __init__(self, deps: ObserverDeps, credentials: Credentials) -> None:
        where = (deps.http, deps.base_url, credentials)
        self._orders = OrderClient(*where)
        self._portfolio = PortfolioClient(*where)
        self._super_orders = SuperOrderClient(*where)

    async def read(self) -> Reading | NoAnswer:
        """All four at one moment, or why the first of them was not shown."""
        orders, trades, super_orders, positions = await asyncio.gather(
            self._orders.orders_of_the_day(),
            self._portfolio.trades(),
            self._super_orders.orders_of_the_day(),
            self._portfolio.positions(),
        )
        if not isinstance(orders, DayOrders):
            return orders
        if not isinstance(trades, Rows):
            return trades
        if not isinstance(super_orders, Rows):
            return super_orders
        if not isinstance(positions, Rows):
            return positions
        return Reading(orders, trades, super_orders, positions)

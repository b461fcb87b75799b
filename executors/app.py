"""Puts the executors together.

One service over `ats.decisions` and `ats.orders`, and what keeps it informed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import httpx
import structlog
from supabase import AsyncClient

from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record
from bus.stateless import Handler, StatelessService, run_stateless
from executors.accounts import Accounts
from executors.addresses import Addresses
from executors.clock import MarketClock, MonotonicClock
from executors.contests import ContestSweep
from executors.fanout import FanOut
from executors.halt import kinds_of
from executors.halts import HaltBoard, HaltPoller
from executors.limits import LimitsBoard, LimitsPoller, LimitStore
from executors.loss_watch import LossWatch
from executors.members import MemberBoard, MemberPoller, MemberStore
from executors.metrics import OrderMetrics
from executors.modes import Mode, ModeRules
from executors.orders.breaker import Breakers
from executors.orders.correction_store import CorrectionStore
from executors.orders.corrections import CorrectionSweep
from executors.orders.pnl_exit import exit_at_loss
from executors.orders.pre_trade import PreTrade
from executors.orders.reconcile import CLAIM_LEASE, Reconciler
from executors.orders.telling import Telling
from executors.orders.unresolved import UnresolvedOrders
from executors.orders.unresolved_store import UnresolvedStore
from executors.orders.worker import OrderWorker, WorkerDeps
from executors.positions import FilledPositions
from executors.preflights import (
    BooksRead,
    PreflightBoard,
    PreflightDeps,
    PreflightStore,
    PreflightSweep,
)
from executors.quotes import QuoteCache
from executors.risk.order_rate import OrderRate
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.sessions import ActiveUsers, SessionPoller
from executors.store import Store
from executors.tokens import RefusedTokens
from schemas.calendar import Calendar
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument, trading_day
from schemas.messages import Execution, Position
from schemas.topics import (
    DECISIONS,
    EXECUTIONS,
    FANOUTS,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    TICKS,
    PartitionPlan,
)
from schemas.units import NS_PER_SECOND, Paise, UtcNs

log = structlog.get_logger(__name__)

GROUP: Final = "ats-executors"
# So many that slow accounts leave room for everybody else; each costs a coroutine. An order whose
# reply was lost gives its place up.
IN_FLIGHT: Final = 512
# quotes from before the start: what a backlog of decisions may ask for
TICKS_BACK: Final = UtcNs.minutes(60)
DAY_BACK: Final = UtcNs.minutes(24 * 60)  # executions of this trading day, for the day's count
# between counting the day and following on; clocks of writers differ by less
OVERLAP: Final = UtcNs.minutes(5)


@dataclass(frozen=True, slots=True)
class ExecutorDeps:
    """Everything the executors are given.

    Attributes:
        calendar: When the exchanges trade, with the shares that close in an auction.
        limits: The platform's; a user's own only tighten them.
        book: The last prices, kept up here. Who gives it can look at it too.
        halts: The halts in force, likewise.
        lease: Seconds after which an open claim's owner can no longer be sending
            (`executors.orders.reconcile`).
        pnl_exit_loss: A day's loss at which Dhan itself is to leave every account; None for none.
        instruments_of: The Indian day on which `instruments` was read; None: today.
    """

    connection: KafkaConnection
    plan: PartitionPlan
    database: AsyncClient
    http: httpx.AsyncClient
    rules: ModeRules
    instruments: Mapping[InstrumentId, Instrument]
    limits: UserLimits
    clock: MarketClock
    calendar: Calendar
    lease: float = CLAIM_LEASE
    machine: MonotonicClock = field(default_factory=MonotonicClock)
    wall: Callable[[], int] = time.time_ns
    metrics: OrderMetrics = field(default_factory=OrderMetrics)
    book: QuoteCache | None = None
    halts: HaltBoard = field(default_factory=HaltBoard)
    square_off: SquareOff = field(default_factory=SquareOff)
    pnl_exit_loss: Paise | None = None
    instruments_of: date | None = None


def execution_service(fan_out: Handler, worker: Handler) -> StatelessService:
    """The service to run: decisions become intents, intents become executions."""
    return StatelessService(
        GROUP,
        {DECISIONS: fan_out, ORDERS: worker},
        (ORDERS, EXECUTIONS, FANOUTS, ORDER_EVENTS),
        IN_FLIGHT,
    )


async def run_executors(
    ports: ExecutorDeps,
    *,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None = None,
    metrics: ShellMetrics | None = None,
) -> None:
    """Run until `stop` is set.

    Orders whose fate is unknown are looked up beside it: nobody waits for them.

    Raises:
        Misconfigured, TryLater: as `bus.stateless.run_stateless`; also when something that informs
        the gate fails.
    """
    store = Store(ports.database)
    book = ports.book or QuoteCache(ports.plan.instrument)
    active, budget, halts = ActiveUsers(ports.machine), OrderRate(), ports.halts
    limits = LimitsBoard(ports.limits, real_money=ports.rules.mode is not Mode.PAPER)
    broker = ports.rules.broker(ports.http)
    tokens = RefusedTokens(store, ports.machine)
    breakers = Breakers(ports.machine, ports.metrics)
    reconciler = Reconciler(store, broker, tokens, ports.machine, breakers, lease=ports.lease)
    members = MemberBoard(needed=ports.rules.family)
    preflights = PreflightBoard(required=ports.rules.mode is not Mode.PAPER)
    pre_trade = replace(
        _pre_trade(ports, tokens, book, active, budget=budget, halts=halts, limits=limits),
        addresses=Addresses(ports.rules, ports.http, members, ports.machine),
        is_member=members.admits,
        preflight=preflights.red,
    )
    telling = Telling(budget, ports.metrics)
    unresolved = UnresolvedOrders(
        UnresolvedStore(ports.database), reconciler, telling.outputs, ports.machine, ports.metrics
    )
    deps = WorkerDeps(
        store=store,
        broker=broker,
        unresolved=unresolved,
        breakers=breakers,
        tokens=tokens,
        pre_trade=pre_trade,
        telling=telling,
        machine=ports.machine,
    )
    service = execution_service(
        FanOut(active, ports.instruments, pre_trade.limits_of, ports.clock, ports.machine),
        OrderWorker(deps),
    )
    limits_poller = LimitsPoller(LimitStore(ports.database), limits, ports.machine)
    await limits_poller.poll()  # before the first order: without it no entry leaves
    await _load_day_counts(ports, budget)
    async with Publisher(ports.connection) as publisher:
        sweep = CorrectionSweep(
            CorrectionStore(ports.database),
            broker,
            tokens,
            publish=publisher.send_and_wait,
            machine=ports.machine,
            metrics=ports.metrics,
        )
        poller = SessionPoller(
            store,
            active,
            publisher.send_and_wait,
            lambda: _datetime(ports.wall()),
            ports.machine,
            on_change=sweep.wake,  # who connected anew can be asked about again
            connected=budget.connected,
        )
        serving = run_stateless(
            service,
            ports.connection,
            ports.plan,
            instance=instance,
            stop=stop,
            options=options,
            metrics=metrics,
        )
        await run_with_feeds(
            serving,
            poller.run(),
            HaltPoller(store, halts, ports.machine).run(),
            limits_poller.run(),
            LossWatch(
                store,
                limits,
                pre_trade.day_result,
                lambda: ports.clock.of_market(book.feed_clock),
                ports.calendar,
                ports.machine,
                ports.wall,
            ).run(),
            sweep.run(),
            MemberPoller(MemberStore(ports.database), members, ports.machine).run(),
            ContestSweep(store, ports.rules, ports.http, tokens, ports.machine).run(),
            *_preflight_feeds(
                ports, store, pre_trade, book, preflights, publish=publisher.send_and_wait
            ),
            follow_ticks(ports.connection, book, ports.wall()),
            _follow_executions(ports, budget),
            _follow_positions(ports, pre_trade.positions),
            unresolved.run(publisher.send_and_wait),
        )


def _preflight_feeds(
    ports: ExecutorDeps,
    store: Store,
    pre_trade: PreTrade,
    book: QuoteCache,
    board: PreflightBoard,
    *,
    publish: Callable[[Output], Awaitable[None]],
) -> list[Coroutine[Any, Any, None]]:
    """What keeps `board` true; nothing where no preflight is required."""
    if not board.required or pre_trade.addresses is None:
        return []
    books = BooksRead()

    def pnl_exit_wanted(user: UserId) -> bool:
        own = pre_trade.limits_of(user).max_daily_loss
        return exit_at_loss(ports.pnl_exit_loss, own) is not None

    deps = PreflightDeps(
        store=store,
        http=ports.http,
        rules=ports.rules,
        addresses=pre_trade.addresses,
        active=pre_trade.active,
        books=books,
        calendar=ports.calendar,
        kinds=kinds_of(ports.instruments.values(), ports.calendar),
        instruments_of=ports.instruments_of or trading_day(UtcNs(ports.wall())),
        pnl_exit_wanted=pnl_exit_wanted,
        market=lambda: ports.clock.of_market(book.feed_clock),
        feed_clock=lambda: book.feed_clock,
        publish=publish,
        record=PreflightStore(ports.database).record,
        machine=ports.machine,
    )
    return [PreflightSweep(deps, board).run(), books.follow(ports.connection, ports.wall())]


def _pre_trade(
    ports: ExecutorDeps,
    tokens: RefusedTokens,
    book: QuoteCache,
    active: ActiveUsers,
    *,
    budget: OrderRate,
    halts: HaltBoard,
    limits: LimitsBoard,
) -> PreTrade:
    """What is looked at before an order leaves."""
    return PreTrade(
        rules=ports.rules,
        tokens=tokens,
        accounts=Accounts(ports.rules, ports.http, tokens),
        book=book,
        active=active,
        budget=budget,
        clock=ports.clock,
        calendar=ports.calendar,
        limits_of=limits.of,
        square_off=ports.square_off,
        halted=halts.halted,
        stopped=halts.stopped,
    )


async def run_with_feeds(
    service: Coroutine[Any, Any, None], *informers: Coroutine[Any, Any, None]
) -> None:
    """Run `service` to its end.

    An informer that fails ends it: a gate without information would deny everything. One that
    has done its work does not.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(informer) for informer in informers]
            await tasks.create_task(service)
            for task in background:
                task.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _load_day_counts(ports: ExecutorDeps, budget: OrderRate) -> None:
    since = UtcNs(ports.wall() - DAY_BACK)
    async with aclosing(
        read_topics(ports.connection, [EXECUTIONS], since=since, until_end=True)
    ) as records:
        await _observe(records, budget)


async def _follow_executions(ports: ExecutorDeps, budget: OrderRate) -> None:
    since = UtcNs(ports.wall() - OVERLAP)  # what is seen twice counts once
    async with aclosing(read_topics(ports.connection, [EXECUTIONS], since=since)) as records:
        await _observe(records, budget)


async def _follow_positions(ports: ExecutorDeps, positions: FilledPositions) -> None:
    since = UtcNs(ports.wall() - DAY_BACK)
    async with aclosing(read_topics(ports.connection, [POSITIONS], since=since)) as records:
        async for record in records:
            try:
                positions.observe(decode(Position, record.value))
            except Unreadable as error:
                log.warning("position_unreadable", record=str(record), reason=error.reason)


async def follow_ticks(connection: KafkaConnection, quotes: QuoteCache, now: int) -> None:
    """Keep `quotes` up to date for ever, from an hour before machine time `now` (UTC ns) on."""
    since = UtcNs(now - TICKS_BACK)
    async with aclosing(read_topics(connection, [TICKS], since=since)) as records:
        await quotes.follow(records)


async def _observe(records: AsyncIterator[Record], budget: OrderRate) -> None:
    async for record in records:
        try:
            budget.observe(decode(Execution, record.value))
        except Unreadable as error:
            log.warning("execution_unreadable", record=str(record), reason=error.reason)


def _datetime(wall: int) -> datetime:
    return datetime.fromtimestamp(wall / NS_PER_SECOND, tz=UTC)

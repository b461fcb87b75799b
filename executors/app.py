"""Puts the executors together.

One service over `ats.decisions` and `ats.orders`, and what keeps it informed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import structlog
from supabase import AsyncClient

from bus.connection import KafkaConnection
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.reader import read_topics
from bus.records import Output, Record
from bus.routing import Router
from bus.stateless import Handler, StatelessService, run_stateless
from executors.accounts import Accounts
from executors.addresses import Addresses
from executors.approvals import Answered, Approvals, ApprovalStore
from executors.bans import BanBoard, BanPoller, OnBans
from executors.clock import MarketClock, MonotonicClock, ReplayClock
from executors.contests import ContestSweep
from executors.crowds import Crowds
from executors.fanout import FanOut
from executors.funds import FundsBoard
from executors.halt import kinds_of
from executors.halts import HaltBoard, HaltPoller, OnHalts
from executors.ledger import LedgerBoard
from executors.limits import LimitsBoard, LimitsPoller, LimitStore, OnLimits
from executors.loss_watch import LossWatch
from executors.members import MemberBoard, MemberPoller, MemberStore, OnMembers
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
from executors.risk.listed import DayMaster
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
from schemas.units import NS_PER_SECOND, BasisPoints, Paise, UtcNs

log = structlog.get_logger(__name__)

Publish: TypeAlias = Callable[[Output], Awaitable[None]]

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
        crowd: How much of a symbol's traded volume all users together may order; None: any.
        ban_list: File of the shares whose contracts may only be closed; None: nobody knows.
        on_limits, on_halts, on_members, on_bans: Hear of users' limits, halts, declared members and
            banned shares whenever they are others, before they hold.
        ledger: Which intents have a signed leaf; None: nobody asks.
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
    crowd: BasisPoints | None = None
    ban_list: Path | None = None
    on_limits: OnLimits = lambda _: None
    on_halts: OnHalts = lambda _: None
    on_members: OnMembers = lambda _: None
    on_bans: OnBans = lambda _: None
    ledger: LedgerBoard | None = None


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
    known = _Known.at_start(ports)
    pre_trade = _pre_trade(ports, known)
    telling = Telling(known.budget, ports.metrics)
    unresolved = _unresolved(ports, known, telling)
    approvals = Approvals(ApprovalStore(ports.database), ports.machine, ports.metrics)
    fan_out = _fan_out(ports, known, pre_trade, approvals)
    service = execution_service(
        fan_out,
        OrderWorker(_worker_deps(ports, known, pre_trade, unresolved, telling)),
    )
    limits_poller = LimitsPoller(
        LimitStore(ports.database), known.limits, ports.machine, ports.on_limits
    )
    await limits_poller.poll()  # before the first order: without it no entry leaves
    await _load_day_counts(ports, known)
    async with Publisher(ports.connection) as publisher:
        publish = publisher.send_and_wait
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
            *_database_feeds(ports, known, pre_trade, publish),
            *_preflight_feeds(ports, known, pre_trade, publish),
            limits_poller.run(),
            unresolved.run(publish),
            approvals.run(_routed(fan_out, ports.plan), publisher.send_all),
            follow_ticks(ports.connection, known.book, ports.wall()),
            *([ports.ledger.follow(ports.connection, ports.wall())] if ports.ledger else []),
            _follow_executions(ports, known),
            _follow_positions(ports, pre_trade.positions, known.funds),
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process knows; feeds keep it true."""

    store: Store
    book: QuoteCache
    active: ActiveUsers
    budget: OrderRate
    limits: LimitsBoard
    members: MemberBoard
    preflights: PreflightBoard
    books: BooksRead
    bans: BanBoard
    crowds: Crowds
    funds: FundsBoard
    tokens: RefusedTokens
    breakers: Breakers

    def reconciled(self, user: UserId, day: date) -> bool:
        """Whether the user's book of `day` is known for certain, where that is asked for."""
        return not self.preflights.required or self.books.reconciled(user, day)

    @classmethod
    def at_start(cls, ports: ExecutorDeps) -> _Known:
        """Nothing yet."""
        store, real_money = Store(ports.database), ports.rules.mode is not Mode.PAPER
        book = ports.book or QuoteCache(ports.plan.instrument)
        return cls(
            store=store,
            book=book,
            active=ActiveUsers(ports.machine),
            budget=OrderRate(),
            limits=LimitsBoard(ports.limits, real_money=real_money),
            members=MemberBoard(needed=ports.rules.family),
            preflights=PreflightBoard(required=real_money),
            books=BooksRead(),
            bans=BanBoard(),
            crowds=Crowds(ports.crowd, book),
            funds=FundsBoard(ports.machine.monotonic, required=real_money),
            tokens=RefusedTokens(store, ports.machine),
            breakers=Breakers(ports.machine, ports.metrics),
        )


def _fan_out(
    ports: ExecutorDeps, known: _Known, pre_trade: PreTrade, approvals: Approvals
) -> FanOut:
    """From decisions to intents; what closes a position waits for no yes."""
    return FanOut(
        known.active,
        ports.instruments,
        pre_trade.limits_of,
        ports.clock,
        ports.machine,
        platform=ports.rules.platform,
        approvals=approvals,
        exits=lambda intent, now: not pre_trade.opens(intent, now),
    )


def _routed(fan_out: FanOut, plan: PartitionPlan) -> Callable[[Answered], Awaitable[list[Output]]]:
    """What comes of an answered decision, as the service's shell would have written it."""
    router = Router({DECISIONS.name: DECISIONS}, (ORDERS, FANOUTS), plan)

    async def outputs_of(answered: Answered) -> list[Output]:
        return list(router.route(answered.record, await fan_out.answered(answered)))

    return outputs_of


def _pre_trade(ports: ExecutorDeps, known: _Known) -> PreTrade:
    """What is looked at before an order leaves."""
    return PreTrade(
        rules=ports.rules,
        tokens=known.tokens,
        accounts=Accounts(ports.rules, ports.http, known.tokens),
        book=known.book,
        active=known.active,
        budget=known.budget,
        clock=ports.clock,
        calendar=ports.calendar,
        limits_of=known.limits.of,
        square_off=ports.square_off,
        halted=ports.halts.halted,
        stopped=ports.halts.stopped,
        addresses=Addresses(ports.rules, ports.http, known.members, ports.machine),
        is_member=known.members.admits,
        preflight=known.preflights.red,
        listed=_day_master(ports, known.bans).of,
        reconciled=known.reconciled,
        crowds=known.crowds,
        funds=known.funds.of,
        entering=known.funds.sent,
        ledger=ports.ledger,
    )


def _day_master(ports: ExecutorDeps, bans: BanBoard) -> DayMaster:
    """In a replay the master is of the replayed day, whichever that is."""
    replay = isinstance(ports.clock, ReplayClock)
    return DayMaster(ports.instruments, None if replay else _instruments_of(ports), bans.of)


def _instruments_of(ports: ExecutorDeps) -> date:
    return ports.instruments_of or trading_day(UtcNs(ports.wall()))


def _unresolved(ports: ExecutorDeps, known: _Known, telling: Telling) -> UnresolvedOrders:
    """The orders whose fate is unknown."""
    broker = ports.rules.broker(ports.http)
    reconciler = Reconciler(
        known.store, broker, known.tokens, ports.machine, known.breakers, lease=ports.lease
    )
    store = UnresolvedStore(ports.database)
    return UnresolvedOrders(store, reconciler, telling.outputs, ports.machine, ports.metrics)


def _worker_deps(
    ports: ExecutorDeps,
    known: _Known,
    pre_trade: PreTrade,
    unresolved: UnresolvedOrders,
    telling: Telling,
) -> WorkerDeps:
    """What an order worker needs."""
    return WorkerDeps(
        store=known.store,
        broker=ports.rules.broker(ports.http),
        unresolved=unresolved,
        breakers=known.breakers,
        tokens=known.tokens,
        pre_trade=pre_trade,
        telling=telling,
        machine=ports.machine,
    )


def _database_feeds(
    ports: ExecutorDeps, known: _Known, pre_trade: PreTrade, publish: Publish
) -> list[Coroutine[Any, Any, None]]:
    """What is asked of the database again and again."""
    sweep = CorrectionSweep(
        CorrectionStore(ports.database),
        ports.rules.broker(ports.http),
        known.tokens,
        publish=publish,
        machine=ports.machine,
        metrics=ports.metrics,
    )
    poller = SessionPoller(
        known.store,
        known.active,
        publish,
        lambda: _datetime(ports.wall()),
        ports.machine,
        on_change=sweep.wake,  # who connected anew can be asked about again
        connected=known.budget.connected,
    )
    loss_watch = LossWatch(
        known.store,
        known.limits,
        pre_trade.day_result,
        lambda: ports.clock.of_market(known.book.feed_clock),
        ports.calendar,
        ports.machine,
        ports.wall,
    )
    bans = ports.ban_list
    halts = HaltPoller(known.store, ports.halts, ports.machine, ports.on_halts)
    members = MemberStore(ports.database)
    return [
        *(
            [BanPoller(bans, known.bans, ports.machine, on_change=ports.on_bans).run()]
            if bans
            else []
        ),
        poller.run(),
        halts.run(),
        loss_watch.run(),
        sweep.run(),
        MemberPoller(members, known.members, ports.machine, ports.on_members).run(),
        ContestSweep(known.store, ports.rules, ports.http, known.tokens, ports.machine).run(),
    ]


def _preflight_feeds(
    ports: ExecutorDeps, known: _Known, pre_trade: PreTrade, publish: Publish
) -> list[Coroutine[Any, Any, None]]:
    """What keeps the preflights true; nothing where none is required."""
    book, board = known.book, known.preflights
    if not board.required or pre_trade.addresses is None:
        return []
    books = known.books

    def pnl_exit_wanted(user: UserId) -> bool:
        own = pre_trade.limits_of(user).max_daily_loss
        return exit_at_loss(ports.pnl_exit_loss, own) is not None

    deps = PreflightDeps(
        store=known.store,
        http=ports.http,
        rules=ports.rules,
        addresses=pre_trade.addresses,
        active=pre_trade.active,
        books=books,
        calendar=ports.calendar,
        kinds=kinds_of(ports.instruments.values(), ports.calendar),
        instruments_of=_instruments_of(ports),
        pnl_exit_wanted=pnl_exit_wanted,
        market=lambda: ports.clock.of_market(book.feed_clock),
        feed_clock=lambda: book.feed_clock,
        publish=publish,
        record=PreflightStore(ports.database).record,
        funds=known.funds,
        machine=ports.machine,
    )
    return [PreflightSweep(deps, board).run(), books.follow(ports.connection, ports.wall())]


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


async def _load_day_counts(ports: ExecutorDeps, known: _Known) -> None:
    since = UtcNs(ports.wall() - DAY_BACK)
    async with aclosing(
        read_topics(ports.connection, [EXECUTIONS], since=since, until_end=True)
    ) as records:
        await _observe(records, known)


async def _follow_executions(ports: ExecutorDeps, known: _Known) -> None:
    since = UtcNs(ports.wall() - OVERLAP)  # what is seen twice counts once
    async with aclosing(read_topics(ports.connection, [EXECUTIONS], since=since)) as records:
        await _observe(records, known)


async def _follow_positions(
    ports: ExecutorDeps, positions: FilledPositions, funds: FundsBoard
) -> None:
    since = UtcNs(ports.wall() - DAY_BACK)
    async with aclosing(read_topics(ports.connection, [POSITIONS], since=since)) as records:
        async for record in records:
            try:
                position = decode(Position, record.value)
            except Unreadable as error:
                log.warning("position_unreadable", record=str(record), reason=error.reason)
                continue
            positions.observe(position)
            funds.observe(position)


async def follow_ticks(connection: KafkaConnection, quotes: QuoteCache, now: int) -> None:
    """Keep `quotes` up to date for ever, from an hour before machine time `now` (UTC ns) on."""
    since = UtcNs(now - TICKS_BACK)
    async with aclosing(read_topics(connection, [TICKS], since=since)) as records:
        await quotes.follow(records)


async def _observe(records: AsyncIterator[Record], known: _Known) -> None:
    async for record in records:
        try:
            # why it left is nobody's question here, and most of the message
            execution = decode(Execution, record.value, without="evidence")
            known.budget.observe(execution)
            known.crowds.observe(execution)
        except Unreadable as error:
            log.warning("execution_unreadable", record=str(record), reason=error.reason)


def _datetime(wall: int) -> datetime:
    return datetime.fromtimestamp(wall / NS_PER_SECOND, tz=UTC)

"""Puts `ats books` together: the fold over `ats.order-events`, and who is observed beside it.

Where Kafka does not answer at the start, the accounts that were ours last are guarded all the same;
what is seen and done is recorded when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final

import httpx
import structlog
from supabase import AsyncClient

from bus.connection import KafkaConnection
from bus.exit import terminate_on
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.records import Output
from bus.stateful import run_stateful
from bus.topics import check_topics
from dhan.trader_control import PnlExit
from executors.accounts import Accounts
from executors.app import follow_ticks, run_with_feeds
from executors.charges.rates import shipped_rates
from executors.clock import MarketClock, MonotonicClock
from executors.halts import HaltBoard, HaltPoller, OnHalts
from executors.limits import LimitsBoard, LimitsPoller, LimitStore, OnLimits
from executors.members import MemberBoard, MemberPoller, MemberStore, OnMembers
from executors.metrics import BookMetrics
from executors.modes import Mode, ModeRules
from executors.orders.account import no_guardian
from executors.orders.book_machine import BookMachine, book_service
from executors.orders.book_store import BookStore
from executors.orders.connected import ConnectedAccounts
from executors.orders.guardian import GuardianDeps
from executors.orders.guardian_metrics import GuardianMetrics, UnprotectedTime
from executors.orders.guardians import ExitRecorder, Guardians
from executors.orders.last_owned import LastOwned
from executors.orders.observer import READ_EVERY, ObserverDeps
from executors.orders.plans import Plans
from executors.orders.pnl_exit import exit_at_loss
from executors.orders.projection import Projection, no_time_counted
from executors.orders.reading import AccountClients
from executors.quotes import QuoteCache
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.store import Store
from executors.tokens import RefusedTokens
from schemas.calendar import Calendar
from schemas.errors import TryLater
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument
from schemas.topics import ORDER_EVENTS, PartitionPlan
from schemas.units import NS_PER_SECOND, Paise

log = structlog.get_logger(__name__)

KAFKA_WITHIN: Final = 3.0  # seconds to answer at the start; a position may be without its stop
ASK_KAFKA_EVERY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Guards:
    """What guardians go by.

    Attributes:
        calendar: When the exchanges trade, with the shares that close in an auction.
        limits: The platform's; users may have tighter ones.
        pnl_exit_loss: A day's loss at which Dhan itself is to leave every account; None for none.
        on_limits, on_halts, on_members: Hear of users' limits, halts and declared members whenever
            they are others, before they hold.
    """

    calendar: Calendar
    square_off: SquareOff
    limits: UserLimits
    pnl_exit_loss: Paise | None = None
    metrics: GuardianMetrics = field(default_factory=GuardianMetrics)
    unprotected: UnprotectedTime = field(default_factory=UnprotectedTime)
    on_limits: OnLimits = lambda _: None
    on_halts: OnHalts = lambda _: None
    on_members: OnMembers = lambda _: None


@dataclass(frozen=True, slots=True)
class BookDeps:
    """Everything `ats books` is given.

    Attributes:
        quotes: The last prices, kept up here; their clock is the market's in a replay.
        guards: What guardians go by; None leaves every account to its owner.
        read_every: Seconds between two readings of one account.
        last_owned: Whose accounts to guard where Kafka is away at the start; None: nobody's.
    """

    connection: KafkaConnection
    plan: PartitionPlan
    database: AsyncClient
    http: httpx.AsyncClient
    rules: ModeRules
    instruments: Mapping[InstrumentId, Instrument]
    clock: MarketClock
    quotes: QuoteCache
    wall: Callable[[], int]
    random: Random = field(repr=False)
    guards: Guards | None = None
    read_every: float = READ_EVERY
    last_owned: LastOwned | None = None
    machine: MonotonicClock = field(default_factory=MonotonicClock)
    metrics: BookMetrics = field(default_factory=BookMetrics)


async def run_books(
    ports: BookDeps,
    *,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None = None,
    metrics: ShellMetrics | None = None,
) -> None:
    """Run until `stop` is set.

    Raises:
        Misconfigured, TryLater: as `bus.stateful.run_stateful`.
    """
    store = Store(ports.database)
    tokens = RefusedTokens(store, ports.machine)
    projection = Projection(
        BookStore(ports.database),
        ports.instruments,
        ports.machine,
        ports.metrics,
        partitions=ports.plan.user,
        rates=shipped_rates(),
        unprotected=ports.guards.unprotected.of if ports.guards else no_time_counted,
    )
    recorder = _LateRecorder()
    members = MemberBoard(needed=ports.rules.family)
    on_members: OnMembers = ports.guards.on_members if ports.guards else lambda _: None
    member_poller = MemberPoller(MemberStore(ports.database), members, ports.machine, on_members)
    await member_poller.poll_if_needed()  # before anybody is looked at
    guardians = _guardians(ports, store, ports.guards) if ports.guards else None
    async with AsyncExitStack() as stack:
        accounts = _accounts(
            ports,
            store,
            tokens,
            projection,
            recorder=recorder,
            members=members,
            guardians=guardians,
        )

        async def serve() -> None:
            if guardians and not await _kafka_or_stop(ports, accounts, stop):
                return
            recorder.open(await stack.enter_async_context(_publisher(ports)))
            await run_stateful(
                book_service(),
                ports.connection,
                ports.plan,
                instance=instance,
                stop=stop,
                options=options,
                metrics=metrics,
                listener=accounts,
            )
            if ports.last_owned:
                ports.last_owned.forget()

        async def ticks() -> None:
            await recorder.opened.wait()
            await follow_ticks(ports.connection, ports.quotes, ports.wall())

        beside = [accounts.run(), projection.run(), ticks(), member_poller.run()]
        await run_with_feeds(serve(), *beside, *([guardians.run()] if guardians else []))
        await projection.write()


def _accounts(
    ports: BookDeps,
    store: Store,
    tokens: RefusedTokens,
    projection: Projection,
    *,
    recorder: _LateRecorder,
    members: MemberBoard,
    guardians: Guardians | None,
) -> ConnectedAccounts:
    """Who is observed, each with a guardian where there are any."""
    return ConnectedAccounts(
        store,
        Accounts(ports.rules, ports.http, tokens),
        ports.rules,
        ObserverDeps(
            http=ports.http,
            base_url=ports.rules.base_url,
            updates_url=ports.rules.updates_url,
            recorder=recorder,
            tokens=tokens,
            machine=ports.machine,
            market=lambda: ports.clock.of_market(ports.quotes.feed_clock),
            metrics=ports.metrics,
            open_guardian=guardians.open if guardians else no_guardian,
            random=ports.random,
            read_every=ports.read_every,
            egress=ports.rules.egress,
        ),
        projection,
        partitions=ports.plan.user,
        minds=members.minds,
        wall=lambda: datetime.fromtimestamp(ports.wall() / NS_PER_SECOND, tz=UTC),
        last_owned=ports.last_owned,
    )


class _LateRecorder:
    """Records once Kafka is there; until then whoever records waits."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._publisher: Publisher | None = None

    def open(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.opened.set()

    async def send(self, output: Output) -> asyncio.Future[Any]:
        await self.opened.wait()
        assert self._publisher is not None
        return await self._publisher.send(output)


def _publisher(ports: BookDeps) -> Publisher:
    return Publisher(
        ports.connection, lambda error: terminate_on(error, "an observation was not accepted")
    )


async def _kafka_or_stop(ports: BookDeps, accounts: ConnectedAccounts, stop: asyncio.Event) -> bool:
    """Wait until Kafka answers, while those are guarded who were ours last; False: told to stop.

    Raises:
        TryLater: it does not answer, and nobody was ours.
        Misconfigured: the topic is missing or has another number of partitions.
    """
    owned = ports.last_owned.recall() if ports.last_owned else ()
    alone = False
    while not stop.is_set():
        try:
            async with asyncio.timeout(KAFKA_WITHIN):
                await check_topics(ports.connection, ports.plan, (ORDER_EVENTS,))
        except (TryLater, TimeoutError) as error:
            if not owned:
                raise TryLater("Kafka does not answer") from error
            if not alone:
                log.error("guarding_without_kafka", partitions=list(owned))
                accounts.owned({number: BookMachine() for number in owned})
                alone = True
            await ports.machine.sleep(ASK_KAFKA_EVERY)
        else:
            return True
    return False


def _guardians(ports: BookDeps, store: Store, guards: Guards) -> Guardians:
    board, recorder = HaltBoard(), ExitRecorder(ports.connection, ports.machine)
    limits = LimitsBoard(guards.limits, real_money=ports.rules.mode is not Mode.PAPER)

    def pnl_exit_of(user: UserId) -> PnlExit | None:
        own = limits.of(user)
        return exit_at_loss(guards.pnl_exit_loss, own.max_daily_loss) if own.known else None

    deps = GuardianDeps(
        open_clients=partial(AccountClients.open, ports.http, ports.rules.base_url),
        instruments=ports.instruments,
        calendar=guards.calendar,
        square_off=guards.square_off,
        plans=Plans(),
        halts=board.of,
        quote_at=ports.quotes.quote_at,
        record=recorder,
        pnl_exit_of=pnl_exit_of,
        machine=ports.machine,
        metrics=guards.metrics,
        unprotected=guards.unprotected,
    )
    halts = HaltPoller(store, board, ports.machine, guards.on_halts)
    bounds = LimitsPoller(LimitStore(ports.database), limits, ports.machine, guards.on_limits)
    return Guardians(deps, ports.connection, recorder, halts, bounds, ports.wall)

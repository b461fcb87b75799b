"""The order path on real parts: our migrations on Postgres, the real Supabase client, and a Dhan
that can be made to fail.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, cast
from uuid import UUID

import asyncpg
import httpx
from supabase import AsyncClient

from bus.records import Output, Record
from dhan.transport import OrderUrl
from executors.accounts import Accounts
from executors.clock import MonotonicClock, ReplayClock
from executors.metrics import OrderMetrics
from executors.modes import Mode, ModeRules
from executors.orders.breaker import Breakers
from executors.orders.pre_trade import PreTrade
from executors.orders.reconcile import Reconciler
from executors.orders.telling import Telling
from executors.orders.unresolved import UnresolvedOrders
from executors.orders.unresolved_store import UnresolvedStore
from executors.orders.worker import OrderWorker, WorkerDeps
from executors.quotes import QuoteCache
from executors.risk.order_rate import OrderRate
from executors.risk.sizing import UserLimits
from executors.sessions import ACTIVE, ActiveUsers, UserState
from executors.store import OrderKey, Store
from executors.tokens import RefusedTokens
from schemas.calendar import EVERY_DAY
from schemas.codec import decode
from schemas.ids import DhanClientId, UserId
from schemas.market import Action, Side
from schemas.messages import Decision, Execution, OrderIntent
from schemas.topics import EXECUTIONS
from schemas.units import UtcNs
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user
from tests.executors.factories import (
    LIMITS,
    RELIANCE,
    TEN_O_CLOCK,
    a_decision,
    a_record,
    an_intent,
    some_ticks,
)

LEASE = 0.6  # seconds; the product's lease is ten
CLIENT = "1100000001"


class FastMachine:
    """Machine time in which sleeping takes no time but counts."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.05))

    async def until(self, moment: float) -> None:
        while self.now < moment:  # noqa: ASYNC110  # others move this clock on
            await asyncio.sleep(0.01)

    def time(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.now, self.sleep)


Told: TypeAlias = defaultdict[OrderKey, asyncio.Event]


class NotingStore(UnresolvedStore):
    """Says when an unresolved order was told."""

    def __init__(self, client: AsyncClient, noted: Told) -> None:
        super().__init__(client)
        self._noted = noted

    async def told(self, key: OrderKey) -> None:
        await super().told(key)
        self._noted[key].set()


class ResolvingOrders(UnresolvedOrders):
    """Shows what it looks orders up with."""

    @property
    def reconciler(self) -> Reconciler:
        return self._reconciler


class ResolvingWorker(OrderWorker):
    """A worker whose unresolved orders are looked up beside it; returns when they are told."""

    def __init__(self, deps: WorkerDeps, told: Told) -> None:
        super().__init__(deps)
        self._resolving, self._told = deps.unresolved, told

    async def __call__(self, record: Record) -> Sequence[Output]:
        if outputs := await super().__call__(record):
            return outputs
        sweep = asyncio.create_task(self._resolving.run(_to_nobody))
        told = asyncio.create_task(
            self._told[OrderKey.of(decode(OrderIntent, record.value))].wait()
        )
        await asyncio.wait([sweep, told], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        sweep.cancel()
        if sweep.done():
            await sweep
        return await super().__call__(record)


async def _to_nobody(_: Output) -> None:
    pass


@dataclass
class World:
    """One database, one broker address, and orders to try on them."""

    stack: SupabaseStack
    client: AsyncClient
    http: httpx.AsyncClient
    broker_url: str
    tokens: list[str] = field(default_factory=list)
    users: list[UUID] = field(default_factory=list)
    told: Told = field(default_factory=lambda: defaultdict(asyncio.Event))

    async def user(self, *, client_id: str = "", token: str = "", hours: float = 24) -> UserId:
        """A user with a Dhan token and the switch on.

        The first one's account is CLIENT, unless told.
        """
        account = client_id or ("" if self.users else CLIENT)
        person = await self.person()
        self.tokens.append(await person.connect_dhan(client_id=account, token=token, hours=hours))
        await person.switch(on=True)
        return UserId(person.id)

    async def person(self) -> SignedInUser:
        """Somebody who has connected nothing yet."""
        person = await signed_in_user(self.stack)
        self.users.append(person.id)
        return person

    async def give_up_account(self, user: UserId) -> str:
        """`user` disconnects; returns the account's client id."""
        rows = await self.sql(
            "update public.user_trading_keys set dhan_access_token = null, token_expiry = null"
            " where user_id = $1 returning dhan_client_id",
            user,
        )
        return str(rows[0]["dhan_client_id"])

    async def give_accounts_back(self) -> None:
        """For the next test on the same database: one account has one user."""
        await self.sql(
            "update public.user_trading_keys set dhan_access_token = null where user_id = any ($1)",
            self.users,
        )
        await self.sql("delete from private.unresolved_orders where user_id = any ($1)", self.users)

    async def decision(self, **changes: Any) -> Decision:
        """A decision as the agents leave it: its row is written before its message."""
        decision = a_decision(**changes)
        row = {
            "id": str(decision.id),
            "symbol": decision.symbol,
            "action": decision.action,
            "reasoning": "because",
        }
        await self.client.table("trade_decisions").insert(row).execute()
        return decision

    async def intent(self, user: UserId, **changes: Any) -> OrderIntent:
        action = Action(changes.get("side", Side.BUY).value)
        return an_intent(user, await self.decision(action=action), **changes)

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Past the API, to arrange and to look."""
        connection = await asyncpg.connect(self.stack.dsn)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return rows
        finally:
            await connection.close()

    async def switch_off(self, user: UserId) -> None:
        await self.sql(
            "update public.user_trading_keys set is_trading_enabled = false where user_id = $1",
            user,
        )

    async def logged(self, intent: OrderIntent) -> list[tuple[str, str | None, str | None]]:
        rows = await self.sql(
            "select status, dhan_order_id, failure_reason from public.user_trade_logs where "
            "user_id = $1 and decision_id = $2",
            intent.user_id,
            intent.decision_id,
        )
        return [(row["status"], row["dhan_order_id"], row["failure_reason"]) for row in rows]

    async def executed(self, decision: UUID) -> bool:
        rows = await self.sql(
            "select is_executed from public.trade_decisions where id = $1", decision
        )
        return bool(rows[0]["is_executed"])

    def worker(self, *users: UserId, **changes: Any) -> OrderWorker:
        """A worker for whom the market is open and quoted, and `users` are active."""
        return ResolvingWorker(self.surroundings(*users, **changes), self.told)

    def reconciler(self, **changes: Any) -> Reconciler:
        """What looks orders up."""
        deps = self.surroundings(**changes)
        return cast(ResolvingOrders, deps.unresolved).reconciler

    async def resolve(self, *intents: OrderIntent, **changes: Any) -> list[Output]:
        """Leave the claimed `intents` and look them up until each is told; what was published."""
        told: list[Output] = []

        async def publish(output: Output) -> None:
            told.append(output)

        unresolved = self.surroundings(**changes).unresolved
        for intent in intents:
            record = a_record(intent, intent.user_id, partition=3, offset=17)
            assert await unresolved.leave(intent, record) is None
        sweep = asyncio.create_task(unresolved.run(publish))
        try:
            async with asyncio.timeout(20):
                for intent in intents:
                    await self.told[OrderKey.of(intent)].wait()
        finally:
            sweep.cancel()
        return told

    def surroundings(self, *users: UserId, **changes: Any) -> WorkerDeps:
        machine: MonotonicClock = changes.pop("machine", MonotonicClock())
        base_url = OrderUrl.parse(changes.pop("broker_url", self.broker_url))
        rules: ModeRules = changes.pop("rules", ModeRules(Mode.PAPER, base_url, None))
        store, broker = changes.pop("store", Store(self.client)), rules.broker(self.http)
        lease: float = changes.pop("lease", LEASE)
        tokens: RefusedTokens = changes.pop("tokens", RefusedTokens(store, machine))
        metrics = changes.pop("metrics", OrderMetrics())
        breakers = Breakers(machine, metrics)
        active = ActiveUsers(machine)
        active.replace(
            {user: UserState(ACTIVE, DhanClientId(CLIENT)) for user in users}, machine.monotonic()
        )

        def limits_of(_: UserId) -> UserLimits:
            return LIMITS

        pre_trade = PreTrade(
            rules=rules,
            tokens=tokens,
            accounts=Accounts(rules, self.http, tokens),
            book=a_quoted_book(),
            active=active,
            budget=OrderRate(),
            clock=ReplayClock(wall=lambda: 0),
            calendar=EVERY_DAY,
            limits_of=limits_of,
        )
        facts = {f.name: changes.pop(f.name) for f in fields(PreTrade) if f.name in changes}
        pre_trade = replace(pre_trade, **facts)
        telling = Telling(pre_trade.budget, metrics)
        reconciler = Reconciler(store, broker, tokens, machine, breakers, lease=lease)
        deps = WorkerDeps(
            store=store,
            broker=broker,
            unresolved=ResolvingOrders(
                NotingStore(self.client, self.told),
                reconciler,
                telling.outputs,
                machine,
                metrics,
            ),
            breakers=breakers,
            tokens=tokens,
            pre_trade=pre_trade,
            telling=telling,
            machine=machine,
        )
        return replace(deps, **changes)


def a_quoted_book() -> QuoteCache:
    book = QuoteCache(partitions=1)
    book.apply(0, some_ticks((RELIANCE, UtcNs(TEN_O_CLOCK), 150_000)))
    return book


async def run(worker: OrderWorker, intent: OrderIntent) -> Execution:
    return read(await worker(a_record(intent, intent.user_id)))


def read(outputs: Sequence[Output]) -> Execution:
    """The outcome; an accepted order is observed beside it."""
    (output,) = [each for each in outputs if each.topic is EXECUTIONS]
    return decode(Execution, output.value)


@asynccontextmanager
async def world_at(
    stack: SupabaseStack, http: httpx.AsyncClient, broker_url: str
) -> AsyncIterator[World]:
    client = await stack.service()
    try:
        world = World(stack, client, http, broker_url)
        yield world
        await world.give_accounts_back()
    finally:
        await client.postgrest.aclose()

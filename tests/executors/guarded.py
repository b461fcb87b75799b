"""An account at the simulator, its guardian, and nobody else: no Kafka, no database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from dhan.orders import NewOrder
from dhan.outcomes import Accepted
from dhan.super_orders import Exits, NewSuperOrder
from dhan.transport import Credentials, OrderUrl
from executors.clock import MonotonicClock
from executors.orders.account import AccountView
from executors.orders.guardian import ExitGuardian, GuardianDeps
from executors.orders.plans import Plans
from executors.orders.reading import AccountClients, Reading, read_account
from executors.risk.situation import Quote
from executors.risk.square_off import SquareOff
from executors.store import Halt
from schemas.calendar import Calendar
from schemas.ids import DhanClientId, InstrumentId
from schemas.market import Instrument
from schemas.messages import ExitAction, ExitOrder, ExitReason, OrderIntent
from schemas.units import Price, Quantity, UtcNs
from simulator.server import Simulator
from tests.executors.factories import RELIANCE, a_decision, an_intent
from tests.executors.factories import USER as TRADER
from tests.simulator.factories import DAY, USER, call, running

HALT = Halt(None, flatten=True, broker_kill=False, since=datetime.now(UTC), reason="test")


class Hurried:
    """Machine time in which a pause costs nothing."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.dies_at_pause = False

    def monotonic(self) -> float:
        return time.monotonic() + self.slept

    async def sleep(self, seconds: float) -> None:
        if self.dies_at_pause:
            raise asyncio.CancelledError
        self.slept += seconds
        await asyncio.sleep(0)


class NoObserver:
    """Nobody records anything: as while Kafka is away."""

    def __init__(self) -> None:
        self.asked = 0

    def read_soon(self) -> None:
        """Nothing is read."""
        self.asked += 1

    async def record(self, event: object) -> None:
        raise AssertionError(f"nobody records {event}")


@dataclass
class GuardedAccount:
    simulator: Simulator
    clients: AccountClients
    plans: Plans = field(default_factory=Plans)
    told: list[ExitOrder] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)  # seconds slept until then
    halts: tuple[Halt, ...] = ()
    machine: Hurried = field(default_factory=Hurried)
    last: Price | None = field(default_factory=lambda: Price(150_000))
    square_off: SquareOff = field(default_factory=SquareOff)
    guardian: ExitGuardian = field(init=False)
    observer: NoObserver = field(init=False)
    minute: int = 0
    share: Instrument = RELIANCE

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new life: nothing is remembered."""

        def quote(_: InstrumentId, now: UtcNs) -> Quote | None:
            return Quote(self.last, now) if self.last else None

        deps = GuardianDeps(
            open_clients=lambda _: self.clients,
            instruments={self.share.id: self.share},
            calendar=Calendar(),
            square_off=self.square_off,
            plans=self.plans,
            halts=lambda _: self.halts,
            quote_at=quote,
            record=self.record,
            machine=MonotonicClock(self.machine.monotonic, self.machine.sleep),
        )
        self.deps = deps
        self.observer = NoObserver()
        self.guardian = ExitGuardian(TRADER, self.observer, deps)
        self.machine.slept += 1.5  # what an earlier life sent stands in the book

    def record(self, message: ExitOrder) -> None:
        self.told.append(message)
        self.told_at.append(self.machine.slept)

    @property
    def now(self) -> UtcNs:
        return UtcNs(self.simulator.exchange.now + UtcNs.minutes(self.minute))

    def print_at(self, paise: int) -> None:
        exchange = self.simulator.exchange
        exchange.book.on_price(RELIANCE.id, paise, exchange.second)

    async def step(self, *, fresh: bool = False) -> None:
        """One step; `fresh` shows the guardian what an observer would know."""
        reading = await read_account(self.clients, self.machine.monotonic) if fresh else None
        seen = isinstance(reading, Reading)
        view = AccountView(
            user=TRADER,
            credentials=CREDENTIALS,
            token_version=1,  # type: ignore[arg-type]
            trading_date=DAY,
            book=reading.book if isinstance(reading, Reading) else None,
            read_at=self.machine.monotonic() if seen else None,
        )
        await self.guardian.step(view, self.now)

    async def look_on(self, times: int = 1) -> None:
        """As an account whose observer is away: the guardian looks for itself."""
        for _ in range(times):
            self.machine.slept += 2.0
            await self.step()

    async def enter(self, *, price: int = 150_300, quantity: int = 10, leaves: bool = True) -> Any:
        intent = an_intent(
            decision=a_decision(event_time=self.simulator.exchange.now),
            price=Price(price),
            quantity=Quantity(quantity),
            valid_until=UtcNs(self.simulator.exchange.now + UtcNs.minutes(5)),
        )
        self.plans.observe(intent)
        placed = await (self._super(intent) if leaves else self._plain(intent))
        assert isinstance(placed, Accepted), placed
        return placed.order_id

    async def _super(self, intent: OrderIntent) -> Any:
        exits = Exits(intent.stop, intent.target)
        return await self.clients.super_orders.place(
            NewSuperOrder(
                intent.instrument,
                intent.side,
                intent.quantity,
                intent.price,
                exits,
                intent.dhan_correlation_id,
            )
        )

    async def _plain(self, intent: OrderIntent) -> Any:
        return await self.clients.orders.place(
            NewOrder(
                intent.instrument,
                intent.side,
                intent.quantity,
                intent.price,
                intent.dhan_correlation_id,
            )
        )

    async def control(self, path: str, body: Any = None) -> Any:
        status, reply = await call(self.simulator, "POST", path, json=body, user=None)
        assert status in {200, 201}, reply
        return reply

    async def truth(self) -> Any:
        _, books = await call(self.simulator, "GET", f"/control/books/{USER.client_id}", user=None)
        return books

    async def net(self) -> int:
        return sum(row["net"] for row in (await self.truth())["positions"])

    async def live(self) -> list[Any]:
        ends = {"TRADED", "CANCELLED", "REJECTED", "EXPIRED"}
        return [row for row in (await self.truth())["orders"] if row["orderStatus"] not in ends]

    def actions(self) -> Sequence[tuple[ExitAction, ExitReason, str]]:
        return [(each.action, each.reason_code, each.outcome) for each in self.told]


CREDENTIALS = Credentials(DhanClientId(USER.client_id), SecretStr(USER.token))


@asynccontextmanager
async def guarded_account(
    http: httpx.AsyncClient, **settings: Any
) -> AsyncIterator[GuardedAccount]:
    async with running(**{"order_rate_limit": None} | settings) as simulator:
        simulator.exchange.second += 3_600  # 10:15
        base = OrderUrl.parse(f"{simulator.url}/v2")
        world = GuardedAccount(simulator, AccountClients.open(http, base, CREDENTIALS))
        world.print_at(150_000)
        yield world

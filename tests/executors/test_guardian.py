"""The guardian of one account, against the simulator's own books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from dhan.orders import NewOrder
from dhan.outcomes import Accepted, Rejected, Unknown
from dhan.super_orders import Exits, NewSuperOrder
from dhan.transport import Credentials, OrderUrl
from executors.clock import MonotonicClock
from executors.orders.account import AccountView
from executors.orders.guardian import ExitGuardian, GuardianDeps
from executors.orders.plans import Plans
from executors.orders.reading import AccountClients, Reading, read_account
from executors.risk.gate import Quote
from executors.risk.square_off import SquareOff
from executors.store import Halt
from schemas.calendar import Calendar
from schemas.ids import DhanClientId, InstrumentId
from schemas.messages import ExitAction, ExitOrder, ExitReason, OrderIntent
from schemas.units import IST, Price, Quantity, UtcNs
from simulator.server import Simulator
from tests.executors.factories import RELIANCE, a_decision, an_intent
from tests.executors.factories import USER as TRADER
from tests.simulator.factories import DAY, USER, an_order, call, running

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

    def read_soon(self) -> None:
        """Nothing is read."""

    async def record(self, event: object) -> None:
        raise AssertionError(f"nobody records {event}")


@dataclass
class World:
    simulator: Simulator
    clients: AccountClients
    plans: Plans = field(default_factory=Plans)
    told: list[ExitOrder] = field(default_factory=list)
    halts: tuple[Halt, ...] = ()
    machine: Hurried = field(default_factory=Hurried)
    last: Price | None = field(default_factory=lambda: Price(150_000))
    square_off: SquareOff = field(default_factory=SquareOff)
    guardian: ExitGuardian = field(init=False)
    minute: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new life: nothing is remembered."""

        def quote(_: InstrumentId, now: UtcNs) -> Quote | None:
            return Quote(self.last, now) if self.last else None

        deps = GuardianDeps(
            open_clients=lambda _: self.clients,
            instruments={RELIANCE.id: RELIANCE},
            calendar=Calendar(),
            square_off=self.square_off,
            plans=self.plans,
            halts=lambda _: self.halts,
            quote_at=quote,
            record=self.told.append,
            machine=MonotonicClock(self.machine.monotonic, self.machine.sleep),
        )
        self.deps = deps
        self.guardian = ExitGuardian(TRADER, NoObserver(), deps)
        self.machine.slept += 1.5  # what an earlier life sent stands in the book

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
async def a_world(http: httpx.AsyncClient, **settings: Any) -> AsyncIterator[World]:
    async with running(**{"order_rate_limit": None} | settings) as simulator:
        simulator.exchange.second += 3_600  # 10:15
        base = OrderUrl.parse(f"{simulator.url}/v2")
        world = World(simulator, AccountClients.open(http, base, CREDENTIALS))
        world.print_at(150_000)
        yield world


async def test_a_super_order_needs_nothing_more(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter()
        await world.look_on(3)
        truth = await world.truth()
    assert world.told == []
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 10


async def test_a_lost_stop_is_placed_again_within_two_seconds(http: httpx.AsyncClient) -> None:
    """By the simulator's own record, in machine time."""
    async with a_world(http) as world:
        number = await world.enter()
        await world.step(fresh=True)
        await world.control(f"/control/orders/{number}/lose", {"leg": "STOP_LOSS_LEG"})
        await world.step(fresh=True)
        truth = await world.truth()
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 10
    assert truth["protection"]["machine_seconds"]["worst"] < 2.0
    assert world.actions() == [(ExitAction.PLACE_STOP, ExitReason.STOP_LOST, "accepted")]


async def test_each_part_of_a_fill_gets_a_stop_of_exactly_its_size(
    http: httpx.AsyncClient,
) -> None:
    async with a_world(http) as world:
        await world.enter(quantity=3_000, leaves=False)
        sizes = []
        for _ in range(3):
            await world.look_on(2)
            sizes.append((await world.truth())["protection"]["exposures"][-1])
            world.print_at(150_000)
        await world.look_on(2)
        truth = await world.truth()
    assert sizes[0]["net"] > 0
    assert all(size["resting_stop"] == size["net"] for size in sizes)
    last = truth["protection"]["exposures"][-1]
    assert last["resting_stop"] == last["net"] == await _sum(truth)


async def _sum(truth: Any) -> int:
    return sum(row["net"] for row in truth["positions"])


async def test_an_entry_past_its_deadline_is_cancelled(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter(price=149_000)
        await world.look_on()
        before = await world.live()
        world.minute = 5
        await world.look_on()
        after = await world.live()
    assert len(before) == 1
    assert after == []
    assert world.actions() == [(ExitAction.CANCEL, ExitReason.DEADLINE, "accepted")]


async def test_square_off_ends_flat_by_the_brokers_own_book(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter()
        await world.enter(price=149_000)
        world.minute = 5 * 60 - 10  # 15:05
        await world.look_on(3)
        assert await world.net() == 0
        assert await world.live() == []
    assert ExitReason.SQUARE_OFF in {each.reason_code for each in world.told}


async def test_a_halt_cancels_entries_and_keeps_the_stop(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter()
        await world.enter(price=149_000)
        world.halts = (replace(HALT, flatten=False),)
        await world.look_on(3)
        truth = await world.truth()
        assert [row["legName"] for row in await world.live()] != []
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 10
    assert world.actions() == [(ExitAction.CANCEL, ExitReason.HALT, "accepted")]


async def test_a_halt_that_flattens_is_proved_once_from_the_brokers_book(
    http: httpx.AsyncClient,
) -> None:
    async with a_world(http) as world:
        await world.enter()
        world.halts = (HALT,)
        await world.look_on(4)
        assert await world.net() == 0
        assert await world.live() == []
    assert [each.action for each in world.told].count(ExitAction.FLAT) == 1
    assert world.told[-1].action is ExitAction.FLAT


async def test_a_halt_goes_on_after_a_restart_in_the_middle(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter(quantity=20)
        world.halts = (HALT,)
        world.machine.dies_at_pause = True
        with pytest.raises(asyncio.CancelledError):
            await world.look_on()
        assert world.told
        world.machine.dies_at_pause = False
        world.restart()
        await world.look_on(4)
        assert await world.net() == 0
        assert await world.live() == []
    assert world.told[-1].action is ExitAction.FLAT


async def test_a_closing_order_whose_reply_is_lost_is_never_sent_twice(
    http: httpx.AsyncClient,
) -> None:
    async with a_world(http) as world:
        await world.enter(leaves=False)
        world.halts = (HALT,)
        await world.control("/control/faults", {"kind": "accept_then_drop_reply"})
        await world.look_on(4)
        orders = (await world.truth())["orders"]
        assert await world.net() == 0
    closing = [row for row in orders if row["correlationId"].startswith("AXC")]
    assert len(closing) == 1
    assert [each.outcome for each in world.told if each.action is ExitAction.PLACE_CLOSE] == [
        "unknown"
    ]


async def test_a_closing_order_that_never_shows_is_tried_again_late_and_under_another_name(
    http: httpx.AsyncClient,
) -> None:
    async with a_world(http) as world:
        await world.enter(leaves=False)
        lost = _Lost(world.clients.orders)
        world.clients = replace(world.clients, orders=lost)  # type: ignore[arg-type]
        world.restart()
        world.halts = (HALT,)
        await world.look_on(4)  # eight seconds
        early = list(lost.names)
        await world.look_on(3)
        assert await world.net() == 0
    assert len(early) == 1
    assert len(set(lost.names)) == len(lost.names) == 2


async def test_a_market_beyond_the_stop_is_left(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        await world.enter(leaves=False)
        world.last = Price(148_000)
        world.print_at(148_000)
        await world.look_on(2)
        assert await world.net() == 0
    assert ExitReason.STOP_PASSED in {each.reason_code for each in world.told}


async def test_a_position_that_no_stop_protects_in_time_is_closed(
    http: httpx.AsyncClient,
) -> None:
    async with a_world(http) as world:
        await world.enter(leaves=False)
        world.clients = replace(world.clients, orders=_NoStops(world.clients.orders))  # type: ignore[arg-type]
        world.restart()
        await world.look_on(6)
        assert await world.net() == 0
    assert ExitReason.UNPROTECTED in {each.reason_code for each in world.told}


async def test_what_a_person_holds_is_left_alone(http: httpx.AsyncClient) -> None:
    async with a_world(http) as world:
        order = an_order(correlationId=None, price=1510.0)
        await world.control("/control/orders", {"client_id": USER.client_id, "order": order})
        await world.look_on(3)
        assert await world.net() == 10
    assert world.told == []


@pytest.mark.parametrize("at", [clock_time(15, 4), clock_time(15, 6)])
async def test_nothing_is_squared_off_before_its_time(
    http: httpx.AsyncClient, at: clock_time
) -> None:
    async with a_world(http) as world:
        await world.enter()
        due = UtcNs.from_datetime(datetime.combine(DAY, at, tzinfo=IST))
        world.minute = (due - world.simulator.exchange.now) // UtcNs.minutes(1)
        await world.look_on(3)
        assert bool(await world.net()) == (at < clock_time(15, 5))


class _NoStops:
    """A broker that refuses every stop."""

    def __init__(self, orders: Any) -> None:
        self._orders = orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)

    async def place(self, order: NewOrder) -> Any:
        if order.trigger is not None:
            return Rejected("DH-906", "no stops today")
        return await self._orders.place(order)


class _Lost(_NoStops):
    """The first order is lost on the way, and nobody can say so."""

    def __init__(self, orders: Any) -> None:
        super().__init__(orders)
        self.names: list[str] = []

    async def place(self, order: NewOrder) -> Any:
        self.names.append(order.correlation_id)
        if len(self.names) == 1:
            return Unknown("timeout")
        return await self._orders.place(order)

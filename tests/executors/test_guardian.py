"""The guardian of one account, against the simulator's own books."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from datetime import time as clock_time
from typing import Any

import httpx
import pytest

from dhan.orders import NewOrder
from dhan.outcomes import Rejected, Unknown
from executors.orders.exits import ExitKind
from executors.orders.guardian import PAUSE
from executors.orders.guardians import Guardians
from executors.orders.reading import Reading, read_account
from schemas.market import PriceBand
from schemas.messages import ExitAction, ExitReason, Leg
from schemas.units import IST, Price, Quantity, UtcNs
from tests.executors.factories import RELIANCE
from tests.executors.factories import USER as TRADER
from tests.executors.guarded import HALT, GuardedAccount, NoObserver, guarded_account
from tests.simulator.factories import DAY, OTHER, USER, an_order


async def test_a_super_order_needs_nothing_more(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        await world.enter()
        await world.look_on(3)
        truth = await world.truth()
    assert world.told == []
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 10


async def test_a_lost_stop_is_placed_again_within_two_seconds(http: httpx.AsyncClient) -> None:
    """By the simulator's own record, in machine time."""
    async with guarded_account(http) as world:
        number = await world.enter()
        await world.step(fresh=True)
        await world.control(f"/control/orders/{number}/lose", {"leg": "STOP_LOSS_LEG"})
        await world.step(fresh=True)
        truth = await world.truth()
        await world.look_on(3)  # and sees that it rests
    counted = world.deps.unprotected.of(TRADER, RELIANCE.id, DAY)
    assert 0 < counted < 2.0
    assert world.deps.unprotected.of(TRADER, RELIANCE.id, DAY + timedelta(days=1)) == 0
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 10
    assert truth["protection"]["machine_seconds"]["worst"] < 2.0
    assert world.actions() == [(ExitAction.PLACE_STOP, ExitReason.STOP_LOST, "accepted")]


async def test_a_stop_is_not_taken_away_before_its_replacement_may_follow(
    http: httpx.AsyncClient,
) -> None:
    """Four exits a second: three targets leave one, and a position that shrank would be bare."""
    async with guarded_account(http) as world:
        for _ in range(3):
            await world.enter()
        order = an_order(correlationId=None, transactionType="SELL", quantity=5, price=1490.0)
        await world.control("/control/orders", {"client_id": USER.client_id, "order": order})
        await world.look_on(4)
        truth = await world.truth()
    sent = [(each.action, each.leg) for each in world.told]
    at = sent.index((ExitAction.CANCEL, Leg.STOP_LOSS))
    assert sent[at + 1] == (ExitAction.PLACE_STOP, Leg.ENTRY)
    assert world.told_at[at + 1] - world.told_at[at] == PAUSE
    assert truth["protection"]["exposures"][-1]["resting_stop"] == 25


async def test_each_part_of_a_fill_gets_a_stop_of_exactly_its_size(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
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
    async with guarded_account(http) as world:
        await world.enter(price=149_000)
        await world.look_on()
        before = await world.live()
        world.minute = 5
        await world.look_on()
        after = await world.live()
    assert len(before) == 1
    assert after == []
    assert world.actions() == [(ExitAction.CANCEL, ExitReason.DEADLINE, "accepted")]


async def test_a_missing_stop_comes_before_late_entries(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        for _ in range(3):
            await world.enter(price=149_000)
        await world.enter(leaves=False)
        world.minute = 5
        await world.look_on()
    assert world.told[0].action is ExitAction.PLACE_STOP
    assert [each.reason_code for each in world.told[1:]].count(ExitReason.DEADLINE) == 3


async def test_square_off_ends_flat_by_the_brokers_own_book(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        await world.enter()
        await world.enter(price=149_000)
        world.minute = 5 * 60 - 10  # 15:05
        await world.look_on(3)
        assert await world.net() == 0
        assert await world.live() == []
    assert ExitReason.SQUARE_OFF in {each.reason_code for each in world.told}


async def test_no_closing_order_and_no_stop_leaves_the_days_band(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        await world.enter(leaves=False)
        world.share = replace(RELIANCE, band=PriceBand(Price(148_400), Price(160_000)))
        world.restart()
        await world.look_on()  # the stop
        world.last = Price(148_500)  # the market falls away below
        world.print_at(140_000)
        world.halts = (HALT,)
        await world.look_on(4)
    prices = {each.action: each.price for each in world.told if each.price}
    assert prices.keys() == {ExitAction.PLACE_STOP, ExitAction.PLACE_CLOSE}
    assert min(prices.values()) == 148_400


async def test_an_entry_that_comes_late_into_the_way_to_flat_is_cancelled_too(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
        await world.enter(leaves=False)
        broker = _NoCloses(world.clients.orders)
        world.clients = replace(world.clients, orders=broker)  # type: ignore[arg-type]
        world.restart()
        world.halts = (HALT,)
        await world.look_on(4)  # eight seconds on its way
        await world.enter(price=149_000)
        await world.look_on()
        broker.refuses = False
        await world.look_on(2)
        assert await world.live() == []
        assert await world.net() == 0


async def test_a_halt_cancels_entries_and_keeps_the_stop(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
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
    async with guarded_account(http) as world:
        await world.enter()
        world.halts = (HALT,)
        await world.look_on(4)
        assert await world.net() == 0
        assert await world.live() == []
    assert [each.action for each in world.told].count(ExitAction.FLAT) == 1
    assert world.told[-1].action is ExitAction.FLAT


async def test_the_observer_is_asked_to_read_once_after_all_that_was_sent(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
        await world.enter()
        world.halts = (HALT,)
        await world.look_on()
        assert len(world.told) > 2
        assert world.observer.asked == 1


async def test_a_closing_order_that_did_not_fill_is_followed_by_one_that_goes_further(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
        await world.enter()
        world.halts, world.last = (HALT,), Price(152_000)  # a quote that nobody pays
        await world.look_on(4)
        assert await world.net() == 0
    prices = [each.price for each in world.told if each.action is ExitAction.PLACE_CLOSE]
    assert len(prices) > 2
    assert prices == sorted(set(prices), reverse=True)


async def nobody_buys(world: GuardedAccount) -> None:
    """Another account sells to all who bid, until the next print."""
    for _ in range(2):
        order = an_order(
            dhanClientId=OTHER.client_id,
            correlationId=None,
            transactionType="SELL",
            quantity=3_000,
            price=1_470.0,
            validity="IOC",
        )
        await world.control("/control/orders", {"client_id": OTHER.client_id, "order": order})


async def test_a_market_without_buyers_does_not_use_up_what_the_account_may_send(
    http: httpx.AsyncClient,
) -> None:
    users = (USER, replace(OTHER, funds=10_000_000))
    async with guarded_account(http, users=users) as world:
        await world.enter()
        await nobody_buys(world)
        world.halts = (HALT,)
        began = world.machine.slept
        while world.machine.slept - began < 60:
            await world.look_on()
        assert await world.net() == 10
    assert len(world.told) < 60  # without rests all of the 100 that guardians have in a minute


async def test_a_position_that_nobody_buys_has_a_stop_until_the_next_try_and_goes_then(
    http: httpx.AsyncClient,
) -> None:
    users = (USER, replace(OTHER, funds=10_000_000))
    async with guarded_account(http, users=users) as world:
        await world.enter()
        await nobody_buys(world)
        world.halts = (HALT,)
        while not any(each.action is ExitAction.PLACE_STOP for each in world.told):
            assert len(world.told) < 20
            await world.look_on()
        [stop] = await world.live()
        world.print_at(150_000)
        await world.look_on(10)
        assert await world.net() == 0
        assert await world.live() == []
    assert (stop["orderType"], stop["quantity"]) == ("STOP_LOSS", 10)
    assert world.told[-1].action is ExitAction.FLAT


async def test_a_halt_goes_on_after_a_restart_in_the_middle(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
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
    async with guarded_account(http) as world:
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
    async with guarded_account(http) as world:
        await world.enter(leaves=False)
        lost = _Lost(world.clients.orders)
        world.clients = replace(world.clients, orders=lost)  # type: ignore[arg-type]
        world.restart()
        world.halts = (HALT,)
        await world.look_on(4)  # eight seconds
        early = lost.closes()
        protected = (await world.truth())["protection"]["exposures"][-1]["resting_stop"]
        await world.look_on(3)
        assert await world.net() == 0
    assert len(early) == 1
    assert protected == 10
    assert len(set(lost.closes())) == len(lost.closes()) == 2


async def test_a_market_beyond_the_stop_is_left(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        await world.enter(leaves=False)
        world.last = Price(148_000)
        world.print_at(148_000)
        await world.look_on(2)
        assert await world.net() == 0
    assert ExitReason.STOP_PASSED in {each.reason_code for each in world.told}


async def test_a_position_that_no_stop_protects_in_time_is_closed(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
        await world.enter(leaves=False)
        world.clients = replace(world.clients, orders=_NoStops(world.clients.orders))  # type: ignore[arg-type]
        world.restart()
        await world.look_on(6)
        assert await world.net() == 0
    assert ExitReason.UNPROTECTED in {each.reason_code for each in world.told}


async def test_what_a_person_holds_is_left_alone(http: httpx.AsyncClient) -> None:
    async with guarded_account(http) as world:
        order = an_order(correlationId=None, price=1510.0)
        await world.control("/control/orders", {"client_id": USER.client_id, "order": order})
        await world.look_on(3)
        assert await world.net() == 10
    assert world.told == []


@pytest.mark.parametrize("at", [clock_time(15, 4), clock_time(15, 6)])
async def test_nothing_is_squared_off_before_its_time(
    http: httpx.AsyncClient, at: clock_time
) -> None:
    async with guarded_account(http) as world:
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


class _NoCloses(_NoStops):
    """A broker that refuses every closing order for a while."""

    refuses = True

    async def place(self, order: NewOrder) -> Any:
        if self.refuses:
            return Rejected("DH-906", "no closing now")
        return await self._orders.place(order)


class _Lost(_NoStops):
    """The first order is lost on the way, and nobody can say so."""

    def __init__(self, orders: Any) -> None:
        super().__init__(orders)
        self.names: list[str] = []

    def closes(self) -> list[str]:
        return [name for name in self.names if name.startswith(ExitKind.CLOSE)]

    async def place(self, order: NewOrder) -> Any:
        self.names.append(order.correlation_id)
        if len(self.names) == 1:
            return Unknown("timeout")
        return await self._orders.place(order)


async def test_no_stop_stays_for_what_was_converted_to_delivery(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would sell short what it no longer protects. A list that lags is waited for."""

    async def converted(*arguments: Any) -> Any:
        reading = await read_account(*arguments)
        assert isinstance(reading, Reading)
        return replace(reading, net={RELIANCE.id: 0}, listed=frozenset({RELIANCE.id}))

    async with guarded_account(http) as world:
        await world.enter()
        await world.look_on()
        monkeypatch.setattr("executors.orders.guardian.read_account", converted)
        await world.look_on(2)
        assert world.told == []
        await world.look_on(4)
        assert await world.live() == []
    assert {each.reason_code for each in world.told} == {ExitReason.STOP_EXCESS}


async def test_a_closing_order_above_the_freeze_quantity_goes_in_parts(
    http: httpx.AsyncClient,
) -> None:
    async with guarded_account(http) as world:
        await world.enter(quantity=120)
        book = world.simulator.exchange.book
        book.rules = replace(book.rules, freeze_quantity=Quantity(50))
        world.halts = (HALT,)
        await world.look_on(30)
        assert await world.net() == 0
    assert world.told[-1].action is ExitAction.FLAT
    sizes = [each.quantity for each in world.told if each.action is ExitAction.PLACE_CLOSE]
    assert sizes == [120, 60, 30, 30, 30, 30]


async def test_what_has_no_stop_gets_one_before_the_way_to_flat_is_clear(
    http: httpx.AsyncClient,
) -> None:
    """Four exits a second: the targets of eight entries alone take two seconds to go."""
    async with guarded_account(http) as world:
        for _ in range(8):
            await world.enter()
        order = an_order(correlationId=None, transactionType="BUY", quantity=5, price=1510.0)
        await world.control("/control/orders", {"client_id": USER.client_id, "order": order})
        world.halts = (HALT,)
        await world.look_on(30)
        assert await world.net() == 0
    first = world.told[0]
    assert (first.action, first.quantity) == (ExitAction.PLACE_STOP, 5)
    assert world.told[-1].action is ExitAction.FLAT


async def test_what_was_on_its_way_when_the_token_was_replaced_is_not_sent_twice(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second closing order would turn the position over."""

    async def replaced_meanwhile(*_: Any) -> Any:
        raise asyncio.CancelledError

    async with guarded_account(http) as world:
        nothing: Any = None
        guardians = Guardians(world.deps, nothing, nothing, nothing, nothing, nothing)
        world.guardian = guardians.open(TRADER, NoObserver())
        await world.enter()
        await world.look_on()
        world.halts = (HALT,)
        with monkeypatch.context() as patch:
            patch.setattr(type(world.clients.orders), "place", replaced_meanwhile)
            with pytest.raises(asyncio.CancelledError):
                await world.look_on(5)
        world.guardian = guardians.open(TRADER, NoObserver())
        world.told.clear()
        await world.look_on(2)
        assert ExitAction.PLACE_CLOSE not in {each.action for each in world.told}
        await world.look_on(6)
        assert await world.net() == 0


async def test_nothing_is_sent_or_called_flat_where_a_row_could_not_be_read(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def doubtful(*arguments: Any) -> Any:
        reading = await read_account(*arguments)
        assert isinstance(reading, Reading)
        return replace(reading, doubtful=frozenset({RELIANCE.id}))

    async with guarded_account(http) as world:
        await world.enter()
        world.halts = (HALT,)
        monkeypatch.setattr("executors.orders.guardian.read_account", doubtful)
        await world.look_on(3)
        assert world.told == []
        monkeypatch.undo()
        await world.look_on(4)
        assert await world.net() == 0

"""Our Dhan client against the simulator, which was written from the documents and shares no code
with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from random import Random
from typing import TypeVar

import httpx
import pytest
import pytest_asyncio

from dhan.history import History
from dhan.instruments import fetch, parse
from dhan.order_updates import OrderUpdates, UpdatesUrl
from dhan.orders import (
    BrokerOrder,
    DayOrders,
    Found,
    LegName,
    NewOrder,
    NotFound,
    OrderChange,
    OrderClient,
    Validity,
)
from dhan.outcomes import Accepted, ChangeResult, InTransit, NoAnswer, Rejected, Rows
from dhan.portfolio import FundLimits, PortfolioClient
from dhan.super_orders import Exits, NewSuperOrder, SuperOrderClient
from dhan.trader_control import (
    Done,
    KillSwitchState,
    PnlExit,
    PnlExitState,
    TraderControlClient,
)
from dhan.transport import Credentials, OrderUrl
from schemas.ids import CorrelationId, DhanOrderId, Segment
from schemas.market import Side, trading_day
from schemas.units import Paise, Price, Quantity
from simulator.config import Casing, SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from tests.dhan.factories import TOKEN, an_order, credentials
from tests.simulator.factories import as_listed


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    running = Simulator(SimulatorConfig(users=(SimulatedUser("1100000001", TOKEN),), shares=5))
    await running.start()
    yield running
    await running.stop()


def at(simulator: Simulator) -> OrderUrl:
    return OrderUrl.parse(f"{simulator.url}/v2")


async def test_an_order_is_accepted_and_found_by_our_name_for_it(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = OrderClient(http, at(simulator), credentials())

    placed = await client.place(an_order(validity=Validity.IOC))
    found = await client.find(an_order().correlation_id)

    assert isinstance(placed, Accepted)
    assert isinstance(found, Found)
    assert found.order.order_id == placed.order_id


async def test_a_resting_stop_is_changed_and_then_cancelled(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = OrderClient(http, at(simulator), credentials())
    stop = a_far_stop(simulator)
    placed = await client.place(stop)
    assert isinstance(placed, Accepted)
    order_id, tick = placed.order_id, Paise(50)
    assert stop.trigger is not None
    lower = OrderChange(Quantity(5), Price(stop.price - tick), Price(stop.trigger - tick))

    changed = await ended_transit(lambda: client.modify(order_id, lower))
    seen = await of_the_day(client, order_id)
    cancelled = await ended_transit(lambda: client.cancel(order_id))
    again = await client.cancel(order_id)

    assert isinstance(changed, Accepted)
    assert (seen.quantity, seen.price, seen.trigger) == (5, lower.price, lower.trigger)
    assert (seen.order_type, seen.side, seen.filled) == ("STOP_LOSS", Side.SELL, 0)
    assert isinstance(cancelled, Accepted)
    assert (await of_the_day(client, order_id)).status == "CANCELLED"
    assert isinstance(again, Rejected)


def a_far_stop(simulator: Simulator) -> NewOrder:
    """A stop that sells a share when it has lost a lot."""
    share = next(each for each in simulator.market.listings if each.instrument.tradable)
    far = share.previous_close * 92 // 100 // 100 * 100
    return an_order(instrument=share.id, side=Side.SELL, price=Price(far), trigger=Price(far + 100))


async def of_the_day(client: OrderClient, order_id: DhanOrderId) -> BrokerOrder:
    day = await client.orders_of_the_day()
    assert isinstance(day, DayOrders)
    assert day.whole
    order = day.numbered(order_id)
    assert order is not None
    return order


async def ended_transit(change: Callable[[], Awaitable[ChangeResult]]) -> ChangeResult:
    """The answer to `change` once the order has arrived at the exchange."""
    while True:
        answer = await change()
        if not isinstance(answer, InTransit):
            return answer
        await asyncio.sleep(0.02)


async def test_an_order_nobody_placed_is_not_found(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    assert (
        await OrderClient(http, at(simulator), credentials()).find(CorrelationId("AT-nobody"))
        == NotFound()
    )


async def test_a_wrong_price_and_a_wrong_token_are_rejected_in_words(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    off_grid = await OrderClient(http, at(simulator), credentials()).place(
        an_order(price=Price(165853))
    )
    stranger = await OrderClient(
        http, at(simulator), credentials("some-other-token-of-nobody")
    ).place(an_order())

    assert isinstance(off_grid, Rejected)
    assert isinstance(stranger, Rejected)
    assert (off_grid.code, stranger.code) == ("DH-906", "DH-901")


async def test_the_master_names_every_instrument_of_the_market(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    text = await fetch(http, f"{simulator.url}/instruments/api-scrip-master-detailed.csv")

    master = parse(text, frozenset(Segment))

    assert master.bad == ()
    assert list(master.by_id.items()) == list(as_listed(simulator.market).items())


async def test_daily_candles_come_for_the_days_asked_for(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    listing = next(listing for listing in simulator.market.listings if listing.instrument.tradable)
    today = trading_day(simulator.market.session.open)

    bars = await History(http, at(simulator), credentials()).daily(
        listing.instrument, today - timedelta(days=30), today - timedelta(days=1)
    )

    assert len(bars) >= 15
    assert all(today - timedelta(days=30) <= bar.day < today for bar in bars)
    assert all(bar.day.weekday() < 5 for bar in bars)


async def test_a_super_order_is_listed_with_its_legs_and_cancelled_with_its_entry(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = SuperOrderClient(http, at(simulator), credentials())
    placed = await client.place(a_far_super_order(simulator))
    assert isinstance(placed, Accepted)

    [listed] = (await whole(client.orders_of_the_day())).rows
    cancelled = await ended_transit(lambda: client.cancel(placed.order_id, LegName.ENTRY))
    [ended] = (await whole(client.orders_of_the_day())).rows

    assert listed.entry.order_id == placed.order_id
    assert listed.legs_whole
    assert {leg.leg for leg in listed.legs} == {LegName.STOP_LOSS, LegName.TARGET}
    assert isinstance(cancelled, Accepted)
    assert ended.entry.status == "CANCELLED"


def a_far_super_order(simulator: Simulator) -> NewSuperOrder:
    """An entry that buys a share when it has lost a lot."""
    share = next(each for each in simulator.market.listings if each.instrument.tradable)
    far = share.previous_close * 92 // 100 // 100 * 100
    return NewSuperOrder(
        instrument=share.id,
        side=Side.BUY,
        quantity=Quantity(10),
        price=Price(far),
        exits=Exits(stop_loss=Price(far - 1_000), target=Price(far + 1_000)),
        correlation_id=an_order().correlation_id,
    )


RowT = TypeVar("RowT")


async def whole(asked: Awaitable[Rows[RowT] | NoAnswer]) -> Rows[RowT]:
    rows = await asked
    assert isinstance(rows, Rows)
    assert rows.whole
    return rows


async def test_a_fresh_account_has_funds_and_nothing_else(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = PortfolioClient(http, at(simulator), credentials())

    funds = await client.funds()

    assert isinstance(funds, FundLimits)
    assert funds.available == funds.start_of_day
    assert (await whole(client.trades())).rows == ()
    assert (await whole(client.positions())).rows == ()


async def test_a_pnl_exit_is_armed_read_back_and_disarmed(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = TraderControlClient(http, at(simulator), credentials())
    wanted = PnlExit(Paise(1_000_000), Paise(500_050), kill_switch=True)

    armed = await client.set_pnl_exit(wanted)
    shown = await client.pnl_exit()
    disarmed = await client.delete_pnl_exit()
    after = await client.pnl_exit()

    assert isinstance(armed, Done)
    assert isinstance(shown, PnlExitState)
    assert shown.is_set_as(wanted)
    assert isinstance(disarmed, Done)
    assert isinstance(after, PnlExitState)
    assert not after.active


async def test_the_kill_switch_stops_orders_and_everything_can_be_exited(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    client = TraderControlClient(http, at(simulator), credentials())

    exited = await client.exit_all()
    before = await client.kill_switch()
    killed = await client.activate_kill_switch()
    after = await client.kill_switch()
    refused = await OrderClient(http, at(simulator), credentials()).place(an_order())

    assert isinstance(exited, Done)
    assert before == KillSwitchState(active=False)
    assert isinstance(killed, Done)
    assert after == KillSwitchState(active=True)
    assert isinstance(refused, Rejected)


@pytest.mark.parametrize("casing", list(Casing))
async def test_what_becomes_of_an_order_is_told_as_it_happens(
    http: httpx.AsyncClient, casing: Casing
) -> None:
    running = Simulator(
        SimulatorConfig(users=(SimulatedUser("1100000001", TOKEN),), shares=5, update_keys=casing)
    )
    await running.start()
    client = OrderClient(http, at(running), credentials())
    connected = asyncio.Event()

    async def token() -> Credentials:
        return credentials()

    url = UpdatesUrl.parse(f"{running.url.replace('http', 'ws', 1)}/orderupdate")
    updates = OrderUpdates(url, token, connected.set, Random(1))

    async def until_cancelled() -> list[BrokerOrder]:
        seen = []
        async with aclosing(updates.observe()) as stream:
            async for order in stream:
                seen.append(order)
                if order.status == "CANCELLED":
                    break
        return seen

    try:
        watching = asyncio.create_task(until_cancelled())
        await connected.wait()
        placed = await client.place(a_far_stop(running))
        assert isinstance(placed, Accepted)
        await ended_transit(lambda: client.cancel(placed.order_id))
        seen = await watching
        booked = await of_the_day(client, placed.order_id)
    finally:
        await running.stop()

    assert {order.order_id for order in seen} == {placed.order_id}
    last = seen[-1]
    assert (last.instrument, last.side, last.product, last.order_type) == (
        booked.instrument,
        booked.side,
        booked.product,
        booked.order_type,
    )
    assert (last.quantity, last.filled, last.price, last.trigger, last.leg) == (
        booked.quantity,
        booked.filled,
        booked.price,
        booked.trigger,
        booked.leg,
    )
    assert updates.metrics.malformed == 0

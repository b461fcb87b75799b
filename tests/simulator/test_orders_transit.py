"""Orders on their way to the exchange: what can and cannot be done to them, as measured."""

from __future__ import annotations

import pytest

from schemas.units import Paise, Quantity
from simulator.matching.controls import Controls
from simulator.matching.enums import Leg, Status
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.order import Modification, Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.super_orders import Exits, SuperOrders
from tests.simulator.factories import DAY, RELIANCE, THE_SHARE, USER, a_request, until
from tests.simulator.test_orders_dhanhq import SHARE, a_desk

ON_ITS_WAY = 3_600.0  # seconds: it does not arrive while a test runs
NOON = 1_795_415_400


async def test_a_placement_answers_transit_and_the_order_is_pending_a_moment_later() -> None:
    passed: list[Status] = []
    async with a_desk(transit=0.01) as desk:
        desk.simulator.exchange.book.on_change(lambda order: passed.append(order.status))
        placed = await desk.ask(
            desk.dhan.place_order, *SHARE.values(), "BUY", 10, "LIMIT", "INTRADAY", desk.at(-2)
        )
        await until(lambda: len(passed) > 1)
        row = await desk.order(placed["orderId"])

    assert placed["orderStatus"] == "TRANSIT"
    assert passed == [Status.TRANSIT, Status.PENDING]
    assert row["orderStatus"] == "PENDING"


async def test_a_cancellation_in_transit_is_refused_in_the_measured_words() -> None:
    async with a_desk(transit=ON_ITS_WAY) as desk:
        order_id = await desk.place(-2)
        reply = await desk.cancel(order_id)
        row = await desk.order(order_id)

    assert reply == ("DH-906", "Order is in Transit state")
    assert row["orderStatus"] == "TRANSIT"


async def test_a_modification_in_transit_is_accepted_and_goes_out_with_the_order() -> None:
    async with a_desk(transit=ON_ITS_WAY) as desk:
        order_id = await desk.place(-2)
        changed = await desk.ask(
            desk.dhan.modify_order, order_id, "LIMIT", None, 7, desk.at(0), 0, 0, "DAY"
        )
        waiting = await desk.order(order_id)
        book = desk.simulator.exchange.book
        (order,) = book.all()
        book.release(order, desk.simulator.exchange.second)
        arrived = await desk.order(order_id)

    assert changed["orderStatus"] == "TRANSIT"
    assert (waiting["orderStatus"], waiting["quantity"]) == ("TRANSIT", 7)
    assert (arrived["orderStatus"], arrived["filledQty"]) == ("TRADED", 7)


async def test_the_entry_of_a_super_order_in_transit_cannot_be_cancelled() -> None:
    async with a_desk(transit=ON_ITS_WAY) as desk:
        placed = await desk.ask(
            desk.dhan.place_super_order, *SHARE.values(), "BUY", 10, "LIMIT", "INTRADAY",
            desk.at(-1), desk.at(2), desk.at(-3), 1.0
        )  # fmt: skip
        code = await desk.refused(desk.dhan.cancel_super_order, placed["orderId"], "ENTRY_LEG")
        (listed,) = await desk.ask(desk.dhan.get_super_order_list)

    assert (placed["orderStatus"], code, listed["orderStatus"]) == ("TRANSIT", "DH-906", "TRANSIT")


@pytest.mark.parametrize("as_super_order", [False, True])
def test_an_exit_of_everything_does_not_reach_an_order_in_transit(as_super_order: bool) -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    desk = SuperOrders(book)
    controls = Controls(book, desk, ForeverOrders(book))
    book.on_price(RELIANCE, 100_000, NOON - 1)
    exits = Exits(target=Paise(102_000), stop=Paise(99_000))
    order = (
        desk.place(a_request(), exits, NOON, hold=True)
        if as_super_order
        else book.place(a_request(), NOON, hold=True)
    )
    assert isinstance(order, Order)

    controls.exit_all(USER.client_id, NOON)
    book.release(order, NOON)

    assert order.status is Status.TRADED
    made = desk.by_id(USER.client_id, order.order_id)
    assert made is None or made.leg_status(Leg.STOP_LOSS) is Status.PENDING


def test_a_modification_in_transit_does_not_send_the_order_early() -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    book.on_price(RELIANCE, 100_000, NOON - 1)
    order = book.place(a_request(), NOON, hold=True)
    assert isinstance(order, Order)

    book.modify(USER.client_id, order.order_id, Modification(quantity=Quantity(5)), NOON)

    assert (order.status, order.filled) == (Status.TRANSIT, 0)

"""The broker's own square-off: at which times, of what, and until it is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time
from typing import Any

import pytest

from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import IST, Paise, Quantity
from simulator.matching.controls import Controls
from simulator.matching.enums import Product, Status
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.order import Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Rules
from simulator.matching.square_off import SquareOff
from simulator.matching.super_orders import Exits, SuperOrders
from tests.simulator.factories import DAY, OTHER, RELIANCE, THE_SHARE, USER, a_request, running

CONTRACT = InstrumentId(Segment.NSE_FNO, 41_000)
THE_CONTRACT = replace(THE_SHARE, id=CONTRACT, kind="OPTIDX", lot_size=Quantity(65))
ME = USER.client_id


def second_of(clock: str) -> int:
    return int(datetime.combine(DAY, time.fromisoformat(clock), IST).timestamp())


class Broker:
    """A book of one share and one contract at 1,000.00, and its square-off."""

    def __init__(self, **rules: Any) -> None:
        settings = {"market_hours": True, "margin": False} | rules
        self.book = OrderManager(
            DAY, {RELIANCE: THE_SHARE, CONTRACT: THE_CONTRACT}, rules=Rules(**settings)
        )
        self.supers = SuperOrders(self.book)
        controls = Controls(self.book, self.supers, ForeverOrders(self.book))
        self.square_off = SquareOff(self.book, controls)
        for instrument in (RELIANCE, CONTRACT):
            self.book.on_price(instrument, 100_000, second_of("15:00:00"))

    def place(self, **changed: Any) -> Order:
        order = self.book.place(a_request(**changed), second_of("15:05:00"))
        assert isinstance(order, Order), order
        return order

    def nets(self, clock: str, client_id: str = ME) -> dict[tuple[InstrumentId, Product], int]:
        """The open positions after the square-off of this time."""
        self.square_off.at(second_of(clock))
        return {
            (position.instrument.id, position.product): position.net
            for position in self.book.ledger.of(client_id)
            if position.net
        }


def test_shares_are_left_at_ten_past_three_and_contracts_at_twenty_five_past() -> None:
    broker = Broker()
    broker.place()
    broker.place(instrument=CONTRACT, quantity=Quantity(65))
    share, contract = (RELIANCE, Product.INTRADAY), (CONTRACT, Product.INTRADAY)

    assert broker.nets("15:09:59") == {share: 10, contract: 65}
    assert broker.nets("15:10:00") == {contract: 65}
    assert broker.nets("15:24:59") == {contract: 65}
    assert broker.nets("15:25:00") == {}


def test_it_cancels_intraday_orders_and_leaves_other_products_alone() -> None:
    broker = Broker()
    resting = broker.place(price=Paise(99_000))
    kept = broker.place(price=Paise(99_000), product=Product.CNC)
    broker.place(product=Product.CNC, client_id=OTHER.client_id)
    exits = Exits(Paise(102_000), Paise(98_000))
    entry = broker.supers.place(a_request(), exits, second_of("15:05:00"))
    assert isinstance(entry, Order)

    assert broker.nets("15:10:00") == {}
    assert (resting.status, kept.status) == (Status.CANCELLED, Status.PENDING)
    assert broker.book.live(ME) == [kept]
    assert broker.nets("15:30:00", OTHER.client_id) == {(RELIANCE, Product.CNC): 10}


def test_an_exit_that_finds_nobody_is_sent_again_at_the_market_of_its_time() -> None:
    broker = Broker()
    bought = broker.place(quantity=Quantity(9_000), price=Paise(102_000))
    for step in range(6):
        broker.book.on_price(RELIANCE, 100_000 + step * 35, second_of(f"15:06:0{step}"))
    assert bought.status is Status.TRADED
    left = broker.nets("15:10:00")
    assert left

    for step in range(1, 6):
        broker.book.on_price(RELIANCE, 100_000 - step * 2_000, second_of(f"15:10:0{step}"))
        left = broker.nets(f"15:10:0{step}")

    assert left == {}


def test_what_is_bought_after_the_time_is_left_too() -> None:
    broker = Broker()
    broker.nets("15:10:00")
    broker.place(side=Side.SELL, price=Paise(99_000))

    assert broker.nets("15:11:00") == {}


@pytest.mark.parametrize("rules", [{"square_off_cash": None}, {"market_hours": False}])
def test_it_can_be_switched_off(rules: dict[str, Any]) -> None:
    broker = Broker(**rules)
    broker.place()

    assert broker.nets("15:20:00") == {(RELIANCE, Product.INTRADAY): 10}


async def test_a_paced_market_squares_off_on_its_way() -> None:
    async with running(speed=1.0) as simulator:
        simulator.exchange.pause()
        await simulator.exchange.step(second_of("15:09:00") - simulator.exchange.second)
        last = simulator.exchange.book.last(RELIANCE)
        assert last is not None
        request = a_request(price=Paise(last + 500))
        order = simulator.exchange.book.place(request, simulator.exchange.second)
        assert isinstance(order, Order)
        assert order.status is Status.TRADED
        await simulator.exchange.step(300)
        net = simulator.exchange.book.ledger.net(ME, RELIANCE, Product.INTRADAY)

    assert net == 0


def test_a_contract_trades_in_whole_lots_only() -> None:
    broker = Broker()
    order = broker.place(instrument=CONTRACT, quantity=Quantity(65 * 400), price=Paise(102_000))
    for step in range(3):
        broker.book.on_price(CONTRACT, 100_000 + step * 35, second_of(f"15:06:0{step}"))

    assert len(order.trades) > 5
    assert all(trade.quantity % 65 == 0 for trade in order.trades)

"""Positions, money, conversions, and the controls over all of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.controls import DELIVERY, INTRADAY, Controls, PnlExit
from simulator.matching.enums import Product, Status
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.ledger import Account, Ledger, PositionKey
from simulator.matching.order import Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Rules
from simulator.matching.super_orders import Exits, SuperOrders
from simulator.refusals import Refusal
from tests.simulator.factories import DAY, OTHER, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400
ME = USER.client_id
FUNDS = Paise(10_000_000)


class Trader:
    """A book with one share at 1,000.00 and its companions."""

    def __init__(self, **rules: Any) -> None:
        self.book = OrderManager(
            DAY, {RELIANCE: THE_SHARE}, rules=Rules(**rules), purses=lambda _: Account(FUNDS)
        )
        self.supers, self.forevers = SuperOrders(self.book), ForeverOrders(self.book)
        self.controls = Controls(self.book, self.supers, self.forevers)
        self.print(100_000)

    def print(self, price: int) -> None:
        self.book.on_price(RELIANCE, price, NOON)

    def trade(
        self, side: Side, quantity: int, product: Product = Product.INTRADAY, client_id: str = ME
    ) -> Order:
        price = Paise(101_000 if side is Side.BUY else 99_000)
        request = a_request(
            side=side,
            quantity=Quantity(quantity),
            product=product,
            price=price,
            client_id=client_id,
        )
        order = self.book.place(request, NOON)
        assert isinstance(order, Order)
        assert order.status is Status.TRADED, order.reason
        return order

    def rest(self, **changed: Any) -> Order:
        order = self.book.place(a_request(**{"price": Paise(95_000)} | changed), NOON)
        assert isinstance(order, Order)
        return order

    @property
    def nets(self) -> dict[Product, int]:
        return {position.product: position.net for position in self.book.ledger.of(ME)}


def test_profit_is_realised_by_closing_and_open_by_the_last_price() -> None:
    account = Trader()
    account.trade(Side.BUY, 10)
    account.trade(Side.SELL, 4)
    account.print(100_500)
    (position,) = account.book.ledger.of(ME)

    assert position.realised == 4 * (99_995 - 100_000)
    assert position.unrealised(100_500) == 6 * 500
    assert (position.net, position.cost) == (6, Fraction(100_000))


def test_funds_bind_margin_and_move_with_realised_profit() -> None:
    account = Trader()
    account.trade(Side.BUY, 10)
    account.rest(quantity=Quantity(5))
    funds = account.book.funds(ME)

    assert funds.used == (10 * 100_000 + 5 * 95_000) * 20 // 100
    assert funds.available == FUNDS - funds.used

    account.trade(Side.SELL, 10)
    after = account.book.funds(ME)
    assert after.realised == -50
    assert after.available == FUNDS - 50 - 5 * 95_000 * 20 // 100


def test_a_sale_that_closes_binds_nothing_more() -> None:
    account = Trader()
    account.trade(Side.BUY, 10)
    before = account.book.funds(ME).used

    account.rest(side=Side.SELL, price=Paise(105_000))

    assert account.book.funds(ME).used == before


def test_a_conversion_keeps_the_average_price_exactly() -> None:
    account = Trader(freeze_quantity=Quantity(10_000), margin=False)
    account.print(100_000)
    account.trade(Side.BUY, 700)
    account.print(100_050)
    account.trade(Side.BUY, 1)
    cost = account.book.ledger.of(ME)[0].cost
    assert cost.denominator > 1

    assert (
        account.book.convert(ME, PositionKey(RELIANCE, Product.INTRADAY), 300, Product.CNC) is None
    )

    intraday, delivery = account.book.ledger.of(ME)
    assert intraday.cost == delivery.cost == cost
    assert (intraday.net, delivery.net) == (401, 300)


@pytest.mark.parametrize("quantity", [0, 11, -1])
def test_nobody_converts_what_is_not_open(quantity: int) -> None:
    account = Trader()
    account.trade(Side.BUY, 10)

    intraday, delivery = (
        PositionKey(RELIANCE, product) for product in (Product.INTRADAY, Product.CNC)
    )
    assert isinstance(account.book.convert(ME, intraday, quantity, Product.CNC), Refusal)
    assert isinstance(account.book.convert(ME, delivery, 1, Product.INTRADAY), Refusal)


def test_a_conversion_to_delivery_must_be_paid_for() -> None:
    account = Trader()
    account.trade(Side.BUY, 110)  # 22,000 of 1,00,000 rupees
    key = PositionKey(RELIANCE, Product.INTRADAY)

    assert isinstance(account.book.convert(ME, key, 98, Product.CNC), Refusal)
    assert account.book.convert(ME, key, 97, Product.CNC) is None


def test_exit_all_cancels_what_waits_and_leaves_every_position_of_that_user_only() -> None:
    account = Trader(margin=False)
    account.trade(Side.BUY, 10)
    account.trade(Side.SELL, 5, Product.MARGIN)
    account.trade(Side.BUY, 3, client_id=OTHER.client_id)
    resting = account.rest()
    forever = account.forevers.place(
        a_request(product=Product.CNC, trigger=Paise(90_000), price=Paise(90_000)), None, NOON
    )
    bracket = account.supers.place(a_request(), Exits(Paise(105_000), Paise(95_000)), NOON)
    assert not isinstance(bracket, Refusal)
    assert not isinstance(forever, Refusal)

    account.controls.exit_all(ME, NOON)

    assert account.nets == {Product.INTRADAY: 0, Product.MARGIN: 0}
    assert account.book.live(ME) == []
    assert resting.status is Status.CANCELLED
    assert forever.legs[0].status is Status.CANCELLED
    assert account.book.ledger.net(OTHER.client_id, RELIANCE, Product.INTRADAY) == 3


def test_the_kill_switch_needs_everything_closed_and_then_refuses_orders() -> None:
    account = Trader()
    resting = account.rest()
    assert isinstance(account.controls.kill(ME), Refusal)
    account.book.cancel(ME, resting.order_id, NOON)
    account.trade(Side.BUY, 1)
    assert isinstance(account.controls.kill(ME), Refusal)
    account.trade(Side.SELL, 1)

    assert account.controls.kill(ME) is None
    assert isinstance(account.book.place(a_request(), NOON), Refusal)
    assert isinstance(account.book.place(a_request(client_id=OTHER.client_id), NOON), Order)

    account.controls.revive(ME)
    assert isinstance(account.book.place(a_request(), NOON), Order)


@pytest.mark.parametrize(
    ("price", "fires"), [(100_995, False), (101_000, True), (99_505, False), (99_500, True)]
)
def test_the_pnl_exit_fires_at_its_bounds(price: int, fires: bool) -> None:
    account = Trader()
    account.trade(Side.BUY, 10)
    account.controls.set_pnl_exit(
        ME, PnlExit(Paise(10_000), Paise(5_000), (INTRADAY,), then_kill=True), NOON
    )

    account.print(price)

    assert (account.nets == {Product.INTRADAY: 0}) is fires
    assert account.controls.is_killed(ME) is fires
    assert (account.controls.pnl_exit(ME) is None) is fires


def test_a_pnl_exit_inside_the_present_profit_fires_at_once_and_only_for_its_products() -> None:
    account = Trader(margin=False)
    account.trade(Side.BUY, 10)
    account.trade(Side.BUY, 10, Product.CNC)
    account.print(101_000)
    waiting = account.rest(product=Product.CNC)

    account.controls.set_pnl_exit(
        ME, PnlExit(Paise(100), Paise(100), (INTRADAY,), then_kill=False), NOON
    )

    assert account.nets == {Product.INTRADAY: 0, Product.CNC: 10}
    assert waiting.status is Status.PENDING
    account.controls.set_pnl_exit(
        ME, PnlExit(Paise(100), Paise(100), (DELIVERY,), then_kill=False), NOON
    )
    assert account.nets[Product.CNC] == 0


def test_a_stopped_pnl_exit_does_nothing() -> None:
    account = Trader()
    account.trade(Side.BUY, 10)
    account.controls.set_pnl_exit(
        ME, PnlExit(Paise(10_000), Paise(5_000), (INTRADAY,), then_kill=False), NOON
    )

    assert account.controls.stop_pnl_exit(ME)
    account.print(90_000)

    assert account.nets == {Product.INTRADAY: 10}
    assert not account.controls.stop_pnl_exit(ME)


def test_an_empty_ledger_has_no_positions() -> None:
    ledger = Ledger()

    assert (ledger.of(ME), ledger.net(ME, RELIANCE, Product.CNC)) == ([], 0)

"""Forever orders: what waits for a trigger outside the exchange."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.market import Side
from schemas.units import Paise
from simulator.matching.enums import Leg, OrderType, Product, Status
from simulator.matching.forever_orders import Flag, ForeverOrder, ForeverOrders
from simulator.matching.order import Modification, Order, OrderRequest
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Rules
from simulator.refusals import Code, Refusal
from tests.simulator.factories import DAY, OTHER, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400


def a_desk(*, last: int | None = 100_000) -> tuple[OrderManager, ForeverOrders]:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE}, rules=Rules(margin=False))
    if last:
        book.on_price(RELIANCE, last, NOON - 1)
    return book, ForeverOrders(book)


def a_wish(**changed: Any) -> OrderRequest:
    return a_request(
        **{"product": Product.CNC, "trigger": Paise(99_000), "price": Paise(99_100)} | changed
    )


def waiting(desk: ForeverOrders, *wishes: OrderRequest) -> ForeverOrder:
    made = desk.place(wishes[0], wishes[1] if len(wishes) > 1 else None, NOON)
    assert isinstance(made, ForeverOrder), made
    return made


@pytest.mark.parametrize(
    ("trigger", "before", "reached"),
    [(99_000, 99_005, 99_000), (101_000, 100_995, 101_000), (101_000, 100_500, 102_000)],
)
def test_it_is_sent_when_the_market_comes_to_its_trigger_from_where_it_stood(
    trigger: int, before: int, reached: int
) -> None:
    book, desk = a_desk()
    made = waiting(desk, a_wish(trigger=Paise(trigger), price=Paise(103_000)))

    book.on_price(RELIANCE, before, NOON + 1)
    assert (made.legs[0].status, book.all()) == (Status.CONFIRM, [])

    book.on_price(RELIANCE, reached, NOON + 2)
    (sent,) = book.all()
    assert (sent.parent_id, sent.status, made.legs[0].status) == (
        made.order_id,
        Status.TRADED,
        Status.TRADED,
    )


def test_before_any_price_the_first_one_says_from_which_side() -> None:
    book, desk = a_desk(last=None)
    waiting(desk, a_wish())

    book.on_price(RELIANCE, 100_000, NOON)
    assert book.all() == []
    book.on_price(RELIANCE, 98_995, NOON + 1)
    assert len(book.all()) == 1


@pytest.mark.parametrize(("price", "sent", "ended"), [(102_000, 0, 1), (98_000, 1, 0)])
def test_of_two_triggers_the_first_reached_ends_the_other(
    price: int, sent: int, ended: int
) -> None:
    book, desk = a_desk()
    up = a_wish(side=Side.SELL, trigger=Paise(102_000), price=Paise(101_000), product=Product.MTF)
    down = a_wish(side=Side.SELL, trigger=Paise(98_000), price=Paise(97_000), product=Product.MTF)
    made = waiting(desk, up, down)

    book.on_price(RELIANCE, price, NOON + 1)
    book.on_price(RELIANCE, 200_000 - price, NOON + 2)

    assert made.flag is Flag.OCO
    assert (made.legs[sent].status, made.legs[ended].status) == (Status.TRADED, Status.CANCELLED)
    assert len(book.all()) == 1


def test_it_can_be_modified_and_cancelled_while_it_waits() -> None:
    book, desk = a_desk()
    made = waiting(desk, a_wish())
    wish = Modification(order_type=OrderType.LIMIT, trigger=Paise(98_000), price=Paise(98_100))

    assert desk.modify(USER.client_id, made.order_id, Leg.TARGET, wish, NOON + 1) is made
    book.on_price(RELIANCE, 99_000, NOON + 2)
    assert made.legs[0].status is Status.CONFIRM

    assert desk.cancel(USER.client_id, made.order_id, NOON + 3) is made
    book.on_price(RELIANCE, 98_000, NOON + 4)
    assert (made.legs[0].status, book.all()) == (Status.CANCELLED, [])
    assert isinstance(desk.cancel(USER.client_id, made.order_id, NOON), Refusal)
    assert isinstance(desk.modify(USER.client_id, made.order_id, Leg.TARGET, wish, NOON), Refusal)


def test_both_names_dhan_gives_the_first_leg_are_understood() -> None:
    _, desk = a_desk()
    made = waiting(desk, a_wish(), a_wish(trigger=Paise(101_000)))

    assert made.leg(Leg.ENTRY) is made.leg(Leg.TARGET) is made.legs[0]
    assert made.leg(Leg.STOP_LOSS) is made.legs[1]


def test_a_trigger_reached_while_the_account_may_not_trade_ends_rejected() -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    desk = ForeverOrders(book)
    book.on_price(RELIANCE, 100_000, NOON)
    made = waiting(desk, a_wish())
    book.add_check(lambda _: Refusal(Code.ORDER, "no"))

    book.on_price(RELIANCE, 99_000, NOON + 1)

    assert made.legs[0].status is Status.REJECTED


@pytest.mark.parametrize(
    "change", [{"product": Product.INTRADAY}, {"trigger": Paise(0)}, {"price": Paise(99_001)}]
)
def test_a_forever_order_is_for_delivery_and_needs_a_trigger(change: dict[str, Any]) -> None:
    assert isinstance(a_desk()[1].place(a_wish(**change), None, NOON), Refusal)


def test_nobody_sees_or_touches_another_users_forever_order() -> None:
    _, desk = a_desk()
    made = waiting(desk, a_wish())

    assert desk.of(OTHER.client_id) == []
    assert isinstance(desk.cancel(OTHER.client_id, made.order_id, NOON), Refusal)
    assert isinstance(
        desk.modify(OTHER.client_id, made.order_id, Leg.TARGET, Modification(), NOON), Refusal
    )


def test_what_it_sends_is_an_order_like_any_other() -> None:
    book, desk = a_desk()
    waiting(desk, a_wish(price=Paise(98_000)))

    book.on_price(RELIANCE, 99_000, NOON + 1)
    (sent,) = book.all()

    assert isinstance(book.cancel(USER.client_id, sent.order_id, NOON + 2), Order)

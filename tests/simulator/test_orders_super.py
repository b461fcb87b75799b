"""Super orders: the life of an entry and its exits."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import Leg, OrderType, Status
from simulator.matching.order import Modification, Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.super_orders import Exits, SuperOrder, SuperOrders
from simulator.refusals import Refusal
from tests.simulator.factories import DAY, OTHER, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400
BOUNDS = Exits(target=Paise(102_000), stop=Paise(99_000), jump=Paise(100))


def a_desk() -> tuple[OrderManager, SuperOrders]:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    book.on_price(RELIANCE, 100_000, NOON - 1)
    return book, SuperOrders(book)


def entered(
    desk: tuple[OrderManager, SuperOrders], exits: Exits = BOUNDS, **changed: Any
) -> SuperOrder:
    entry = desk[1].place(a_request(**changed), exits, NOON)
    assert isinstance(entry, Order), entry
    made = desk[1].by_id(USER.client_id, entry.order_id)
    assert made is not None
    return made


def test_an_entry_that_waits_has_no_exits_at_the_exchange() -> None:
    made = entered(a_desk(), price=Paise(99_500))

    assert made.legs == {}
    assert (made.status, made.leg_status(Leg.TARGET)) == (Status.PENDING, Status.PENDING)


def test_a_traded_entry_stands_with_target_and_stop_for_what_it_bought() -> None:
    made = entered(a_desk())
    target, stop = made.legs[Leg.TARGET], made.legs[Leg.STOP_LOSS]

    assert (target.request.side, target.request.order_type, target.limit) == (
        Side.SELL,
        OrderType.LIMIT,
        102_000,
    )
    assert (stop.request.trigger, stop.armed) == (99_000, True)
    assert target.remaining == stop.remaining == 10


@pytest.mark.parametrize(
    ("price", "left", "other"),
    [(102_005, Leg.TARGET, Leg.STOP_LOSS), (99_000, Leg.STOP_LOSS, Leg.TARGET)],
)
def test_one_exit_trades_and_the_other_is_cancelled(price: int, left: Leg, other: Leg) -> None:
    book, desk = a_desk()
    made = entered((book, desk), Exits(BOUNDS.target, BOUNDS.stop))

    book.on_price(RELIANCE, price, NOON + 1)

    assert made.status is Status.CLOSED
    assert (made.leg_status(left), made.leg_status(other)) == (Status.TRADED, Status.CANCELLED)
    assert book.ledger.of(USER.client_id)[0].net == 0


def test_the_stop_trails_by_whole_jumps_and_never_back() -> None:
    book, desk = a_desk()
    made = entered((book, desk))
    stops = []

    for price in (100_095, 100_100, 100_250, 100_050, 100_305):
        book.on_price(RELIANCE, price, NOON + 1)
        stops.append(int(made.legs[Leg.STOP_LOSS].request.trigger))

    assert stops == [99_000, 99_100, 99_200, 99_200, 99_300]


def test_the_stop_of_a_sale_trails_downwards() -> None:
    book, desk = a_desk()
    made = entered(
        (book, desk),
        Exits(Paise(98_000), Paise(101_000), Paise(100)),
        side=Side.SELL,
        price=Paise(99_500),
    )
    entry = made.entry.traded_price
    assert entry is not None

    book.on_price(RELIANCE, entry - 250, NOON + 1)

    assert made.legs[Leg.STOP_LOSS].request.trigger == 100_800


def test_a_trailed_stop_takes_the_profit() -> None:
    book, desk = a_desk()
    made = entered((book, desk))

    book.on_price(RELIANCE, 101_500, NOON + 1)
    book.on_price(RELIANCE, 100_500, NOON + 2)

    assert made.status is Status.CLOSED
    assert made.legs[Leg.STOP_LOSS].traded_price == 100_495


def test_each_leg_is_modified_by_its_own_fields() -> None:
    book, desk = a_desk()
    made = entered((book, desk))
    order_id = made.entry.order_id
    wanted = Exits(Paise(103_000), Paise(98_500), Paise(50))

    for leg in (Leg.TARGET, Leg.STOP_LOSS):
        assert (
            desk.modify(USER.client_id, order_id, leg, Modification(), exits=wanted, second=NOON)
            is None
        )

    assert made.exits == wanted
    assert made.legs[Leg.TARGET].limit == 103_000
    assert made.legs[Leg.STOP_LOSS].request.trigger == 98_500


def test_moving_the_stop_without_a_jump_ends_the_trail() -> None:
    book, desk = a_desk()
    made = entered((book, desk))

    desk.modify(
        USER.client_id,
        made.entry.order_id,
        Leg.STOP_LOSS,
        Modification(),
        exits=Exits(stop=Paise(99_500)),
        second=NOON,
    )
    book.on_price(RELIANCE, 101_000, NOON + 1)

    assert made.legs[Leg.STOP_LOSS].request.trigger == 99_500
    assert made.exits.target == BOUNDS.target


def test_a_waiting_entry_can_be_modified_as_a_whole() -> None:
    book, desk = a_desk()
    made = entered((book, desk), price=Paise(99_500))
    wish = Modification(order_type=OrderType.LIMIT, quantity=Quantity(7), price=Paise(100_000))

    refusal = desk.modify(
        USER.client_id,
        made.entry.order_id,
        Leg.ENTRY,
        wish,
        exits=Exits(Paise(104_000), Paise(97_000)),
        second=NOON,
    )

    assert refusal is None
    assert (made.entry.status, made.legs[Leg.TARGET].remaining) == (Status.TRADED, 7)
    assert (made.legs[Leg.TARGET].limit, made.legs[Leg.STOP_LOSS].request.trigger) == (
        104_000,
        97_000,
    )


def test_a_cancelled_exit_never_comes_back() -> None:
    book, desk = a_desk()
    made = entered((book, desk))
    order_id = made.entry.order_id

    assert desk.cancel(USER.client_id, order_id, Leg.TARGET, NOON) is None
    book.on_price(RELIANCE, 105_000, NOON + 1)
    again = desk.modify(
        USER.client_id, order_id, Leg.TARGET, Modification(), exits=BOUNDS, second=NOON
    )

    assert (made.leg_status(Leg.TARGET), made.legs[Leg.TARGET].filled) == (Status.CANCELLED, 0)
    assert made.legs[Leg.STOP_LOSS].status is Status.PENDING
    assert isinstance(again, Refusal)
    assert isinstance(desk.cancel(USER.client_id, order_id, Leg.TARGET, NOON), Refusal)


def test_cancelling_a_waiting_entry_cancels_everything() -> None:
    book, desk = a_desk()
    made = entered((book, desk), price=Paise(99_500))

    assert desk.cancel(USER.client_id, made.entry.order_id, Leg.ENTRY, NOON) is None
    book.on_price(RELIANCE, 99_000, NOON + 1)

    assert (made.status, made.leg_status(Leg.TARGET)) == (Status.CANCELLED, Status.CANCELLED)
    assert (made.entry.filled, made.legs) == (0, {})


def test_each_fill_of_an_entry_has_exits_of_exactly_its_size_at_once() -> None:
    book, desk = a_desk()
    made = entered((book, desk), Exits(BOUNDS.target, BOUNDS.stop), quantity=Quantity(4_000))
    filled = []

    for step in range(3):
        filled.append(made.entry.filled)
        assert {leg.remaining for leg in made.legs.values()} == {made.entry.filled}
        book.on_price(RELIANCE, 100_000 - step * 5, NOON + 1 + step)

    assert 0 < filled[0] < filled[1] < filled[2]
    assert [leg.armed for leg in made.legs.values()] == [True, False]


def test_an_exit_of_a_part_filled_entry_takes_the_rest_of_the_entry_away() -> None:
    book, desk = a_desk()
    made = entered((book, desk), Exits(BOUNDS.target, BOUNDS.stop), quantity=Quantity(4_000))
    bought = made.entry.filled
    assert 0 < bought < 4_000

    book.on_price(RELIANCE, 103_000, NOON + 1)

    assert made.entry.status is Status.CANCELLED
    assert made.entry.filled == bought
    stop = made.legs[Leg.STOP_LOSS]
    assert (stop.remaining if stop.status.live else 0) == made.open


def test_cancelling_a_part_filled_entry_takes_its_stop_too_and_leaves_what_it_bought() -> None:
    book, desk = a_desk()
    made = entered((book, desk), quantity=Quantity(4_000))
    bought = made.entry.filled
    assert 0 < bought < 4_000

    assert desk.cancel(USER.client_id, made.entry.order_id, Leg.ENTRY, NOON) is None

    assert made.status is Status.CANCELLED
    assert {order.status for order in made.legs.values()} == {Status.CANCELLED}
    assert made.open == bought


def test_a_part_filled_entry_cannot_be_cut_to_what_it_bought() -> None:
    book, desk = a_desk()
    made = entered((book, desk), quantity=Quantity(4_000))
    bought = made.entry.filled
    order_id = made.entry.order_id

    least = desk.modify(
        USER.client_id,
        order_id,
        Leg.ENTRY,
        Modification(quantity=Quantity(bought)),
        exits=BOUNDS,
        second=NOON,
    )

    assert isinstance(least, Refusal)
    assert made.legs[Leg.STOP_LOSS].remaining == bought


def test_a_traded_entry_cannot_be_cancelled() -> None:
    book, desk = a_desk()
    made = entered((book, desk))

    assert isinstance(desk.cancel(USER.client_id, made.entry.order_id, Leg.ENTRY, NOON), Refusal)
    assert made.legs[Leg.STOP_LOSS].status is Status.PENDING


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        (Exits(Paise(99_000), Paise(98_000)), "order"),
        (Exits(Paise(102_000), Paise(101_000)), "order"),
        (Exits(), "needs"),
        (Exits(Paise(102_001)), "tick"),
        (Exits(Paise(102_000), Paise(99_000), Paise(3)), "tick"),
    ],
)
def test_exits_that_make_no_sense_are_refused(exits: Exits, words: str) -> None:
    book, desk = a_desk()

    refusal = desk.place(a_request(), exits, NOON)

    assert isinstance(refusal, Refusal)
    assert words in refusal.message
    assert book.all() == []


def test_nobody_touches_another_users_super_order() -> None:
    _, desk = a_desk()
    order_id = entered((_, desk)).entry.order_id

    assert isinstance(desk.cancel(OTHER.client_id, order_id, Leg.TARGET, NOON), Refusal)
    assert isinstance(
        desk.modify(
            OTHER.client_id, order_id, Leg.TARGET, Modification(), exits=BOUNDS, second=NOON
        ),
        Refusal,
    )
    assert desk.of(OTHER.client_id) == []

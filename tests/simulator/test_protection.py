"""The broker's own record of which position had a resting stop, and when."""

from __future__ import annotations

from typing import Any

from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import Leg, OrderType, Product
from simulator.matching.ledger import PositionKey
from simulator.matching.order import Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.protection import ProtectionRecord
from simulator.matching.super_orders import Exits, SuperOrders
from tests.simulator.factories import DAY, OTHER, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400
KEY = PositionKey(RELIANCE, Product.INTRADAY)
ME = USER.client_id


class Broker:
    """A book with its record, and both clocks in the test's hand."""

    def __init__(self) -> None:
        self.machine = 100.0
        self.second = NOON
        self.book = OrderManager(DAY, {RELIANCE: THE_SHARE})
        self.record = ProtectionRecord(self.book, lambda: self.machine)
        self.supers = SuperOrders(self.book)
        self.book.on_price(RELIANCE, 100_000, NOON)

    def wait(self, seconds: float) -> None:
        self.machine += seconds
        self.second += int(seconds) * 60

    def place(self, **changed: Any) -> Order:
        order = self.book.place(a_request(**changed), self.second)
        assert isinstance(order, Order), order
        return order

    def stop(self, quantity: int = 10, **changed: Any) -> Order:
        usual: dict[str, Any] = {
            "side": Side.SELL,
            "order_type": OrderType.STOP_LOSS,
            "trigger": Paise(99_000),
            "price": Paise(98_900),
            "quantity": Quantity(quantity),
        }
        return self.place(**usual | changed)

    def spells(self, client_id: str = ME) -> list[tuple[float, float, int, int, bool]]:
        return [
            (one.machine_from, one.machine_seconds, one.market_seconds, one.most, one.over)
            for one in self.record.spells(client_id, self.second)
        ]


def test_a_position_is_unprotected_from_its_fill_until_its_stop_rests() -> None:
    broker = Broker()
    broker.wait(1)
    broker.place()
    broker.wait(3)
    broker.stop()
    broker.wait(5)

    assert broker.spells() == [(1.0, 3.0, 180, 10, True)]


def test_a_stop_of_less_than_the_position_leaves_the_rest_unprotected_until_now() -> None:
    broker = Broker()
    broker.place()
    broker.stop(6)
    broker.wait(2)

    assert broker.spells() == [(0.0, 2.0, 120, 10, False)]
    assert [one.unprotected for one in broker.record.of(ME)[KEY]][-1] == 4


def test_the_spell_of_a_position_that_is_left_ends_with_it() -> None:
    broker = Broker()
    broker.place()
    broker.wait(4)
    broker.place(side=Side.SELL, price=Paise(99_000))
    broker.wait(9)

    assert broker.spells() == [(0.0, 4.0, 240, 10, True)]


def test_a_stop_in_transit_a_target_and_a_stop_of_another_product_protect_nothing() -> None:
    broker = Broker()
    broker.place()
    broker.book.place(
        a_request(
            side=Side.SELL,
            order_type=OrderType.STOP_LOSS,
            trigger=Paise(99_000),
            price=Paise(98_900),
        ),
        broker.second,
        hold=True,
    )
    broker.place(side=Side.SELL, price=Paise(103_000))
    broker.stop(product=Product.MARGIN)
    broker.wait(1)

    assert broker.spells() == [(0.0, 1.0, 60, 10, False)]
    last = broker.record.of(ME)[KEY][-1]
    assert (last.net, last.resting_stop, last.resting_exit) == (10, 0, 10)


def test_a_super_order_is_never_unprotected_until_its_stop_is_lost() -> None:
    broker = Broker()
    entry = broker.supers.place(
        a_request(quantity=Quantity(2_000)), Exits(Paise(102_000), Paise(99_000)), broker.second
    )
    assert isinstance(entry, Order)
    made = broker.supers.by_id(ME, entry.order_id)
    assert made is not None
    assert 0 < entry.filled < 2_000
    broker.wait(2)
    assert sum(length for _, length, *_ in broker.spells()) == 0

    broker.book.withdraw(made.legs[Leg.STOP_LOSS], broker.second)
    broker.wait(3)

    assert [spell[1] for spell in broker.spells() if spell[1]] == [3.0]


def test_each_account_has_its_own_record() -> None:
    broker = Broker()
    broker.place(client_id=OTHER.client_id)
    broker.wait(1)

    assert broker.spells() == []
    assert len(broker.spells(OTHER.client_id)) == 1


def test_a_stop_that_the_broker_has_and_the_exchange_has_not_is_on_its_way() -> None:
    broker = Broker()
    broker.place()
    broker.wait(2)
    stop = broker.book.place(
        a_request(
            side=Side.SELL,
            order_type=OrderType.STOP_LOSS,
            trigger=Paise(99_000),
            price=Paise(98_900),
        ),
        broker.second,
        hold=True,
    )
    assert isinstance(stop, Order)
    broker.wait(3)
    broker.book.release(stop, broker.second)

    (spell,) = broker.record.spells(ME, broker.second)
    assert spell.machine_seconds == 5.0
    assert spell.on_their_way == ((2.0, 5.0),)
    assert spell.seconds_without([]) == 2.0


def test_silences_of_the_broker_are_taken_out_of_a_spell_once() -> None:
    broker = Broker()
    broker.wait(1)
    broker.place()
    broker.wait(9)

    (spell,) = broker.record.spells(ME, broker.second)
    assert spell.seconds_without([(0.0, 2.0), (4.0, 7.0), (5.0, 6.0), (20.0, 30.0)]) == 5.0

"""The book of one account, against a broker that trades at random and is heard badly."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from executors.orders.book import DayBook, OrderKey, _Number
from executors.orders.book_machine import BookMachine
from schemas.codec import decode
from schemas.ids import DhanOrderId, InstrumentId, Segment, UserId, derive
from schemas.market import Side
from schemas.messages import (
    BookRead,
    BrokerPosition,
    Leg,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderStatus,
    Position,
    Trade,
)
from schemas.topics import ORDER_EVENTS, POSITIONS, TRADES
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.executors.factories import a_record

DAY = date(2026, 11, 27)
USER = UserId(UUID(int=7))
SHARES = [InstrumentId(Segment.NSE_EQ, 2885), InstrumentId(Segment.NSE_EQ, 1333)]
ORDER = OrderStatus


def event(
    *,
    by: ObservedBy = ObservedBy.ORDER_BOOK,
    order: ObservedOrder | None = None,
    fill: ObservedFill | None = None,
    book: BookRead | None = None,
    at: int = 1,
) -> OrderEvent:
    return OrderEvent(
        id=derive("observed", repr((by, order, fill, book, at))),
        event_time=UtcNs(at),
        user_id=USER,
        observed_by=by,
        trading_date=DAY,
        order=order,
        fill=fill,
        book=book,
    )


def an_order(number: str = "1", **changes: object) -> ObservedOrder:
    told = {
        "dhan_order_id": DhanOrderId(number),
        "leg": Leg.ENTRY,
        "instrument": SHARES[0],
        "side": Side.BUY,
        "product": "INTRADAY",
        "order_type": "LIMIT",
        "status": ORDER.PENDING,
        "status_word": "PENDING",
        "quantity": Quantity(10),
    }
    return ObservedOrder.model_validate(told | changes)


def a_fill(number: str = "1", trade: str = "t1", **changes: object) -> ObservedFill:
    told = {
        "trade_id": trade,
        "dhan_order_id": DhanOrderId(number),
        "instrument": SHARES[0],
        "side": Side.BUY,
        "product": "INTRADAY",
        "quantity": Quantity(10),
        "price": Price(10_000),
    }
    return ObservedFill.model_validate(told | changes)


@dataclass
class BrokersOrder:
    """One order as the broker's own book has it."""

    number: str
    leg: Leg
    instrument: InstrumentId
    side: Side
    quantity: int
    price: int
    order_type: str
    status: OrderStatus = ORDER.TRANSIT
    fills: list[tuple[str, int, int]] = field(default_factory=list)
    updated: int = 0

    @property
    def filled(self) -> int:
        return sum(quantity for _, quantity, _ in self.fills)

    def seen(self, by: ObservedBy) -> OrderEvent:
        order = an_order(
            self.number,
            leg=self.leg,
            instrument=self.instrument,
            side=self.side,
            quantity=Quantity(self.quantity),
            price=Paise(self.price),
            order_type=self.order_type,
            status=self.status,
            status_word=self.status.value,
            filled=Quantity(self.filled),
            filled_value=Paise(sum(quantity * price for _, quantity, price in self.fills)),
            updated_at=UtcNs(self.updated),
        )
        return event(by=by, order=order)

    def trades(self) -> list[OrderEvent]:
        return [
            event(
                by=ObservedBy.TRADE_BOOK,
                fill=a_fill(
                    self.number,
                    trade,
                    instrument=self.instrument,
                    side=self.side,
                    quantity=Quantity(quantity),
                    price=Price(price),
                ),
            )
            for trade, quantity, price in self.fills
        ]


class HeardBadly(RuleBasedStateMachine):
    """A broker trades; what it says comes late, twice, in any order, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[BrokersOrder] = []
        self.said: list[OrderEvent] = []
        self.heard: list[OrderEvent] = []
        self.book, self.clock = DayBook(), count(1)
        self.trade = count(1)

    def working(self) -> list[BrokersOrder]:
        return [order for order in self.orders if not order.status.final]

    @rule(
        share=st.sampled_from(SHARES),
        side=st.sampled_from(Side),
        quantity=st.integers(1, 50),
        stop=st.booleans(),
    )
    def place(self, share: InstrumentId, side: Side, quantity: int, stop: bool) -> None:
        order = BrokersOrder(
            number=str(len(self.orders) + 1),
            leg=Leg.STOP_LOSS if stop else Leg.ENTRY,
            instrument=share,
            side=side,
            quantity=quantity,
            price=10_000,
            order_type="LIMIT",
            updated=next(self.clock),
        )
        self.orders.append(order)
        self.said.append(order.seen(ObservedBy.PLACEMENT))

    @precondition(lambda self: self.working())
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.working()))
        order.updated = next(self.clock)
        match data.draw(st.sampled_from(["rest", "fill", "modify", "cancel", "reject", "expire"])):
            case "rest" if not order.filled:
                order.status = ORDER.PENDING
            case "fill":
                left = order.quantity - order.filled
                quantity = data.draw(st.integers(1, left))
                price = data.draw(st.integers(9_000, 11_000))
                order.fills.append((f"t{next(self.trade)}", quantity, price))
                order.status = ORDER.TRADED if quantity == left else ORDER.PART_TRADED
            case "modify":
                order.price = data.draw(st.integers(9_000, 11_000))
                order.quantity = data.draw(st.integers(order.filled + 1, order.filled + 60))
            case "reject" if not order.filled:
                order.status = ORDER.REJECTED
            case "cancel":
                order.status = ORDER.CANCELLED
            case "expire":
                order.status = ORDER.EXPIRED
        source = data.draw(st.sampled_from([ObservedBy.ORDER_UPDATE, ObservedBy.ORDER_BOOK]))
        self.said += [order.seen(source), *order.trades()]

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        heard = data.draw(st.sampled_from(self.said))  # any, perhaps again; some never
        self.heard.append(heard)
        known = self.book.knows(heard)
        assert self.book.observe(heard) is not known

    @rule()
    def read_the_whole_book(self) -> None:
        whole = [order.seen(ObservedBy.ORDER_BOOK) for order in self.orders]
        whole += [trade for order in self.orders for trade in order.trades()]
        for each in whole:
            self.book.observe(each)
        self.heard += whole
        self.agrees_with_the_broker()

    def agrees_with_the_broker(self) -> None:
        for order in self.orders:
            known = self.book.orders[OrderKey(DhanOrderId(order.number), order.leg)]
            assert (known.status, known.filled, known.quantity, known.price) == (
                order.status,
                order.filled,
                order.quantity,
                order.price,
            )
        for share in SHARES:
            held, cash = self.book.holding(share), 0
            for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
                of_side = [o for o in self.orders if o.instrument == share and o.side is side]
                cash += sign * sum(q * p for order in of_side for _, q, p in order.fills)
                quantity = sum(order.filled for order in of_side)
                assert quantity == (held.bought if side is Side.BUY else held.sold)
            assert held.bought_value - held.sold_value == cash
            assert held.by_trades
            if held.net == 0:
                assert held.realised == -cash

    @invariant()
    def all_nets_together_are_those_of_each(self) -> None:
        nets = self.book.nets()
        assert {share: self.book.holding(share).net for share in nets} == nets
        assert nets.keys() == self.book.instruments()

    @invariant()
    def the_order_of_hearing_does_not_matter(self) -> None:
        shuffled = self.heard * 2
        random.Random(len(self.heard)).shuffle(shuffled)
        other = DayBook()
        for each in shuffled:
            other.observe(each)
        assert (other.orders, other.fills) == (self.book.orders, self.book.fills)


TestHeardBadly = HeardBadly.TestCase
TestHeardBadly.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.permutations(range(4)))
def test_a_late_pending_takes_no_fill_back(order: list[int]) -> None:
    said = [
        an_order(status=ORDER.TRANSIT, status_word="TRANSIT"),
        an_order(),
        an_order(status=ORDER.PART_TRADED, status_word="PART_TRADED", filled=Quantity(4)),
        an_order(status=ORDER.TRADED, status_word="TRADED", filled=Quantity(10)),
    ]
    book = DayBook()
    for nth in order:
        book.observe(event(order=said[nth]))

    (known,) = book.orders.values()
    assert (known.status, known.filled) == (ORDER.TRADED, 10)


@given(st.permutations(range(2)))
def test_that_an_order_is_part_of_a_super_order_is_not_forgotten(order: list[int]) -> None:
    said = [an_order(), an_order(super_order=DhanOrderId("9"))]
    book = DayBook()
    for nth in order:
        book.observe(event(order=said[nth]))

    (known,) = book.orders.values()
    assert known.super_order == "9"


def test_a_word_nobody_knows_ends_nothing() -> None:
    book = DayBook()
    book.observe(event(order=an_order(status=ORDER.OTHER, status_word="MODIFIED")))

    (known,) = book.orders.values()
    assert known.remaining == 10


def test_a_position_counts_from_the_first_word_of_a_fill() -> None:
    book = DayBook()
    told: dict[str, Any] = {"filled": Quantity(4), "filled_value": Paise(40_000)}
    book.observe(event(order=an_order(status=ORDER.PART_TRADED, status_word="x", **told)))

    held = book.holding(SHARES[0])
    assert (held.net, held.bought_value, held.by_trades, held.unprotected) == (4, 40_000, False, 4)


def test_a_stop_protects_no_more_than_is_left_of_it() -> None:
    book = DayBook()
    book.observe(event(fill=a_fill()))
    stop: dict[str, Any] = {"leg": Leg.STOP_LOSS, "side": Side.SELL, "trigger": Paise(9_900)}
    book.observe(event(order=an_order("2", **stop, filled=Quantity(3), quantity=Quantity(10))))

    held = book.holding(SHARES[0])
    assert (held.net, held.resting_stop, held.unprotected) == (7, 7, 0)


def test_a_stop_of_the_wrong_side_protects_nothing() -> None:
    book = DayBook()
    book.observe(event(fill=a_fill()))
    book.observe(event(order=an_order("2", leg=Leg.STOP_LOSS, side=Side.BUY)))

    assert book.holding(SHARES[0]).unprotected == 10


def test_the_closed_part_earns_the_difference_of_the_means() -> None:
    book = DayBook()
    book.observe(event(fill=a_fill(quantity=Quantity(3), price=Price(10_001))))
    sold = {"side": Side.SELL, "quantity": Quantity(2), "price": Price(10_100)}
    book.observe(event(fill=a_fill("2", "t2", **sold)))

    assert book.holding(SHARES[0]).realised == 2 * (10_100 - 10_001)


def outputs(machine: BookMachine, *events: OrderEvent) -> list[Position | Trade]:
    kinds: dict[str, type[Position | Trade]] = {POSITIONS.name: Position, TRADES.name: Trade}
    made = [out for each in events for out in machine.apply(a_record(each, USER, ORDER_EVENTS))]
    return [decode(kinds[out.topic.name], out.value) for out in made]


def test_each_fill_is_told_once_and_each_change_of_a_position() -> None:
    machine = BookMachine()
    fill = event(by=ObservedBy.TRADE_BOOK, fill=a_fill())

    assert [type(out) for out in outputs(machine, fill, fill)] == [Position, Trade]


def test_a_reading_of_the_book_says_whether_the_broker_counts_the_same() -> None:
    machine = BookMachine()
    net = BrokerPosition(instrument=SHARES[0], product="INTRADAY", net=9)
    read = BookRead(whole=True, orders=0, trades=1, positions=(net,))
    told = outputs(machine, event(fill=a_fill()), event(book=read, at=2))

    assert [out.agrees for out in told if isinstance(out, Position)] == [None, False]


def test_what_changes_no_position_leaves_the_agreement_as_it_was() -> None:
    machine = BookMachine()
    net = BrokerPosition(instrument=SHARES[0], product="INTRADAY", net=10)
    read = BookRead(whole=True, orders=1, trades=1, positions=(net,))
    late = event(order=an_order(status=ORDER.TRADED, status_word="TRADED", filled=Quantity(10)))
    more = event(fill=a_fill("2", "t2"), at=3)
    told = outputs(machine, event(fill=a_fill()), event(book=read, at=2), late, more)

    assert [out.agrees for out in told if isinstance(out, Position)] == [None, True, True, None]


def test_a_restored_machine_tells_the_same() -> None:
    machine = BookMachine()
    stop: dict[str, Any] = {"leg": Leg.STOP_LOSS, "side": Side.SELL, "trigger": Paise(9_900)}
    read = BookRead(whole=True, orders=2, trades=1, positions=())
    outputs(
        machine,
        event(fill=a_fill()),
        event(order=an_order("2", **stop, super_order=DhanOrderId("1"))),
        event(book=read, at=3),
    )
    restored = BookMachine.restore(machine.dump())
    later = event(fill=a_fill("2", "t2", side=Side.SELL), at=4)

    assert restored.books == machine.books
    assert outputs(restored, later) == outputs(machine, later)


def test_what_is_told_of_a_day_long_gone_changes_nothing() -> None:
    machine = BookMachine()
    days = [date(2026, 11, 24), date(2026, 11, 26), date(2026, 11, 27)]
    told = [event(fill=a_fill()).model_copy(update={"trading_date": day}) for day in days]
    outputs(machine, *told[1:])

    assert outputs(machine, told[0]) == []
    assert sorted(machine.books[USER]) == days[1:]


def test_one_more_observation_has_only_its_own_order_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a day of seven thousand orders in one instrument stops every account for seconds."""
    book = DayBook()
    for nth in range(100):
        book.observe(event(fill=a_fill(str(nth), f"t{nth}")))
    book.holding(SHARES[0])
    counted, tally = list[Side](), _Number.tally

    def watch(number: _Number, side: Side) -> Any:
        counted.append(side)
        return tally(number, side)

    monkeypatch.setattr(_Number, "tally", watch)

    book.observe(event(fill=a_fill("7", "t_new")))

    assert book.holding(SHARES[0]).bought == 101 * a_fill().quantity
    assert len(counted) == 2


def test_what_was_asked_in_between_changes_no_answer() -> None:
    """Also where an order turns out to be of another instrument."""
    said = [
        event(order=an_order(instrument=SHARES[1], filled=Quantity(4))),
        event(order=an_order(instrument=SHARES[0], filled=Quantity(6))),
        event(fill=a_fill()),
        event(fill=a_fill("2", "t2", side=Side.SELL, quantity=Quantity(3))),
    ]
    asked, silent = DayBook(), DayBook()
    for each in said:
        asked.observe(each)
        for share in SHARES:
            asked.holding(share)
        silent.observe(each)

    assert [asked.holding(share) for share in SHARES] == [silent.holding(share) for share in SHARES]
    assert [asked.orders_of(s) for s in SHARES] == [silent.orders_of(s) for s in SHARES]

"""Which stops of the day have traded, by the user's own book."""

from __future__ import annotations

from itertools import permutations

from executors.orders.book import DayBook, position_of
from executors.positions import FilledPositions
from schemas.ids import DhanOrderId, derive
from schemas.market import Side, trading_day
from schemas.messages import (
    Leg,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderStatus,
    Position,
)
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, USER

DAY = trading_day(TEN_O_CLOCK)
LATER = UtcNs(TEN_O_CLOCK + UtcNs.minutes(3))


def event(number: int, **part: object) -> OrderEvent:
    return OrderEvent.model_validate(
        {
            "id": derive("event", number),
            "event_time": LATER,
            "user_id": USER,
            "observed_by": ObservedBy.ORDER_BOOK,
            "trading_date": DAY,
            **part,
        }
    )


def an_order(
    number: int, name: str, leg: Leg, *, kind: str = "LIMIT", filled: int = 10, of: str = ""
) -> OrderEvent:
    order = ObservedOrder(
        dhan_order_id=DhanOrderId(name),
        leg=leg,
        instrument=RELIANCE.id,
        side=Side.BUY if leg is Leg.ENTRY and kind == "LIMIT" else Side.SELL,
        product="INTRADAY",
        order_type=kind,
        status=OrderStatus.TRADED if filled else OrderStatus.PENDING,
        status_word="TRADED" if filled else "PENDING",
        quantity=Quantity(10),
        filled=Quantity(filled),
        filled_value=Paise(filled * 100_000),
        updated_at=TEN_O_CLOCK,
        super_order=DhanOrderId(of),
    )
    return event(number, order=order)


def a_fill(number: int, name: str, side: Side) -> OrderEvent:
    fill = ObservedFill(
        trade_id=f"T{number}",
        dhan_order_id=DhanOrderId(name),
        instrument=RELIANCE.id,
        side=side,
        product="INTRADAY",
        quantity=Quantity(10),
        price=Price(100_000),
        traded_at=LATER,
    )
    return event(number, fill=fill)


def position(*events: OrderEvent) -> Position:
    book = DayBook()
    for each in events:
        book.observe(each)
        last = position_of(USER, DAY, RELIANCE.id, book, each)
    return last


ENTRY = an_order(1, "1", Leg.ENTRY, of="1")
STOP = an_order(2, "2", Leg.STOP_LOSS, filled=0, of="1")
STOP_FILL = a_fill(3, "2", Side.SELL)


def test_a_leg_that_traded_is_a_stop_out_at_the_time_of_its_trade_in_any_order() -> None:
    seen = [position(*order) for order in permutations([ENTRY, STOP, STOP_FILL])]

    assert {(told.stop_outs, told.stopped_out_at) for told in seen} == {(1, LATER)}


def test_a_stop_that_rests_and_a_target_that_traded_are_none() -> None:
    target = an_order(4, "3", Leg.TARGET, of="1")
    told = position(ENTRY, STOP, target, a_fill(5, "3", Side.SELL))

    assert (told.stop_outs, told.stopped_out_at) == (0, None)
    assert "stop_outs" not in told.model_dump()


def test_a_plain_stop_order_counts_and_one_seen_under_two_numbers_counts_once() -> None:
    plain = an_order(6, "7", Leg.ENTRY, kind="STOP_LOSS")
    same = an_order(7, "1", Leg.STOP_LOSS, of="1")

    assert position(plain, a_fill(8, "7", Side.SELL)).stop_outs == 1
    assert position(ENTRY, STOP, STOP_FILL, same).stop_outs == 1


def test_order_workers_know_the_stop_outs_of_the_day() -> None:
    known = FilledPositions()
    known.observe(position(ENTRY, STOP, STOP_FILL))

    filled = known.of(USER, DAY)[RELIANCE.id]

    assert (filled.stop_outs, filled.stopped_out_at) == (1, LATER)

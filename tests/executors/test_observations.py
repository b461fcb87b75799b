"""What Dhan shows, as observations: the same content has the same id, and nothing is made up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dhan.orders import BrokerOrder, DayOrders, LegName
from dhan.outcomes import Accepted, Rows
from dhan.portfolio import PositionRow, TradeRow
from dhan.super_orders import NO_TRAIL, BrokerLeg, BrokerSuperOrder
from executors.orders.book import DayBook, OrderKey
from executors.orders.observations import (
    Reading,
    disagrees,
    fill_event,
    news,
    observe,
    order_event,
    placement_event,
)
from executors.orders.outcomes import denied, of_placement
from schemas.ids import DhanOrderId
from schemas.market import Side, trading_day
from schemas.messages import Leg, ObservedBy, OrderStatus
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, USER, an_intent

NOW = TEN_O_CLOCK
LATER = UtcNs(NOW + UtcNs.minutes(1))
ENTRY = DhanOrderId("112111182198")
BOOK = ObservedBy.ORDER_BOOK


def a_row(**changes: Any) -> BrokerOrder:
    row = BrokerOrder(
        ENTRY,
        "AT1",
        "PENDING",
        instrument=RELIANCE.id,
        side=Side.BUY,
        product="INTRADAY",
        order_type="LIMIT",
        quantity=Quantity(10),
        price=Price(150_000),
        updated_at=NOW,
    )
    return replace(row, **changes)


def a_trade(**changes: Any) -> TradeRow:
    row = TradeRow(
        "15112111182045",
        ENTRY,
        RELIANCE.id,
        Side.BUY,
        "INTRADAY",
        Quantity(10),
        Decimal("1500.05"),
        traded_at=NOW,
    )
    return replace(row, **changes)


def a_position(net: int, **changes: Any) -> PositionRow:
    absent = dict.fromkeys(
        ("buy_average", "sell_average", "day_buy_value", "day_sell_value", "realised", "unrealised")
    )
    row = PositionRow(
        instrument=RELIANCE.id,
        symbol="RELIANCE",
        product="INTRADAY",
        net=net,
        bought=Quantity(max(0, net)),
        sold=Quantity(max(0, -net)),
        day_bought=Quantity(max(0, net)),
        day_sold=Quantity(max(0, -net)),
        **absent,
    )
    return replace(row, **changes)


def a_reading(**lists: Any) -> Reading:
    return Reading(
        DayOrders(tuple(lists.get("orders", ()))),
        Rows(tuple(lists.get("trades", ())), lists.get("whole", True)),
        Rows(tuple(lists.get("super_orders", ()))),
        Rows(tuple(lists.get("positions", ()))),
    )


def a_leg(**changes: Any) -> BrokerLeg:
    leg = BrokerLeg(
        LegName.STOP_LOSS,
        DhanOrderId("7"),
        "PENDING",
        side=Side.SELL,
        quantity=Quantity(10),
        remaining=Quantity(10),
        triggered=Quantity(0),
        price=Price(145_000),
        trailing_jump=NO_TRAIL,
    )
    return replace(leg, **changes)


def joined(reading: Reading) -> DayBook:
    book, observed = DayBook(), observe(USER, reading, NOW)
    for event in (*observed.events, observed.read):
        book.observe(event)
    return book


def test_the_same_row_is_the_same_event_whenever_it_is_seen() -> None:
    seen = [order_event(USER, a_row(), BOOK, at) for at in (NOW, LATER)]
    traded = [fill_event(USER, a_trade(), at) for at in (NOW, LATER)]

    assert len({each.id for each in seen if each}) == 1
    assert len({each.id for each in traded if each}) == 1


def test_another_content_or_source_is_another_event() -> None:
    rows = [a_row(), a_row(filled=Quantity(1)), a_row(status="CANCELLED")]
    seen = [order_event(USER, row, BOOK, NOW) for row in rows]
    seen.append(order_event(USER, a_row(), ObservedBy.ORDER_UPDATE, NOW))

    assert len({each.id for each in seen if each}) == 4


def test_an_order_is_of_the_day_of_its_last_change_and_a_fill_of_its_own() -> None:
    next_day = UtcNs(NOW + UtcNs.minutes(24 * 60))

    order = order_event(USER, a_row(), BOOK, next_day)
    fill = fill_event(USER, a_trade(), next_day)
    empty = observe(USER, a_reading(), next_day)
    friday = observe(USER, a_reading(orders=[a_row()]), next_day)

    assert order
    assert fill
    assert order.trading_date == fill.trading_date == trading_day(NOW)
    assert empty.read.trading_date == trading_day(next_day)
    assert friday.read.trading_date == trading_day(NOW)


def test_what_dhan_dates_to_a_day_to_come_is_of_today() -> None:
    """Two such rows would push today's book out of the two days that are kept."""
    tomorrow = UtcNs(NOW + UtcNs.minutes(24 * 60))
    order = order_event(USER, a_row(updated_at=tomorrow), BOOK, NOW)
    fill = fill_event(USER, a_trade(traded_at=tomorrow), NOW)

    assert order
    assert fill
    assert order.trading_date == fill.trading_date == trading_day(NOW)


def test_what_traded_is_told_exactly_in_paise() -> None:
    row = a_row(status="PART_TRADED", filled=Quantity(3), average_price=Decimal("1500.0167"))
    order, fill = order_event(USER, row, BOOK, NOW), fill_event(USER, a_trade(), NOW)

    assert order
    assert order.order
    assert order.order.filled_value == Paise(450_005)
    assert fill
    assert fill.fill
    assert fill.fill.price == Price(150_005)


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("TRADED", 4, OrderStatus.PART_TRADED),
        ("TRADED", 10, OrderStatus.TRADED),
        ("TRADED", None, OrderStatus.TRADED),
        ("CONFIRM", 0, OrderStatus.OTHER),
    ],
)
def test_a_status_is_not_believed_against_the_quantities_and_new_words_are_kept(
    word: str, filled: int | None, status: OrderStatus
) -> None:
    units = None if filled is None else Quantity(filled)
    event = order_event(USER, a_row(status=word, filled=units), BOOK, NOW)

    assert event
    assert event.order
    assert (event.order.status, event.order.status_word) == (status, word)


def test_what_cannot_be_named_is_no_observation() -> None:
    assert order_event(USER, a_row(instrument=None), BOOK, NOW) is None
    assert fill_event(USER, a_trade(instrument=None), NOW) is None
    assert fill_event(USER, a_trade(price=Decimal("83.4525")), NOW) is None


def test_a_reading_is_whole_when_every_row_could_be_read() -> None:
    strange = a_row(instrument=None, side=None)

    assert observe(USER, a_reading(orders=[strange]), NOW).whole
    assert not observe(USER, a_reading(orders=[a_row(side=None)]), NOW).whole
    assert not observe(USER, a_reading(whole=False), NOW).whole


def test_only_what_the_book_does_not_know_is_news() -> None:
    reading = a_reading(orders=[a_row(), a_row(order_id=DhanOrderId("2"))], trades=[a_trade()])
    observed, book = observe(USER, reading, NOW), joined(a_reading(orders=[a_row()]))

    assert news(observed, None) == list(observed.events)
    assert news(observed, book) == list(observed.events[1:])
    assert news(observed, joined(reading)) == []


def test_the_brokers_count_is_compared_with_its_own_orders_and_trades() -> None:
    reading = a_reading(orders=[a_row()], trades=[a_trade()], positions=[a_position(10)])
    short = a_reading(orders=[a_row()], trades=[a_trade()], positions=[a_position(9)])
    behind = a_reading(orders=[a_row()], positions=[a_position(10)])

    assert not disagrees(observe(USER, reading, NOW), None)
    assert disagrees(observe(USER, short, NOW), None)
    assert disagrees(observe(USER, behind, NOW), None)
    assert not disagrees(observe(USER, behind, NOW), joined(reading))


def test_what_was_carried_over_is_none_of_the_days_doing() -> None:
    carried = a_position(60, day_bought=Quantity(10), day_sold=Quantity(0))
    reading = a_reading(orders=[a_row()], trades=[a_trade()], positions=[carried])

    assert not disagrees(observe(USER, reading, NOW), None)


def test_a_leg_with_a_number_of_its_own_is_known_by_its_super_order() -> None:
    whole = BrokerSuperOrder(a_row(status="TRIGGERED"), (a_leg(),))
    its_row = a_row(order_id=DhanOrderId("7"), side=Side.SELL, leg=LegName.STOP_LOSS)
    book = joined(a_reading(orders=[a_row(), its_row], super_orders=[whole]))

    assert {key: order.super_order for key, order in book.orders.items()} == {
        OrderKey(ENTRY, Leg.ENTRY): ENTRY,
        OrderKey(DhanOrderId("7"), Leg.STOP_LOSS): ENTRY,
    }


def test_a_leg_for_which_nothing_stands_yet_protects_nothing() -> None:
    waiting = a_leg(order_id=ENTRY, quantity=Quantity(0))
    reading = a_reading(trades=[a_trade()], super_orders=[BrokerSuperOrder(a_row(), (waiting,))])
    standing = a_reading(trades=[a_trade()], super_orders=[BrokerSuperOrder(a_row(), (a_leg(),))])

    assert OrderKey(ENTRY, Leg.STOP_LOSS) not in joined(reading).orders
    assert joined(reading).holding(RELIANCE.id).unprotected == 10
    assert joined(standing).holding(RELIANCE.id).unprotected == 0


def test_a_leg_that_was_cancelled_closed_nothing() -> None:
    gone = a_leg(order_id=ENTRY, status="CANCELLED", remaining=Quantity(0))
    reading = a_reading(trades=[a_trade()], super_orders=[BrokerSuperOrder(a_row(), (gone,))])

    assert joined(reading).holding(RELIANCE.id).net == 10


def test_an_accepted_order_is_observed_as_it_was_sent_and_repeats_byte_for_byte() -> None:
    intent = an_intent()
    accepted = of_placement(Accepted(ENTRY, "TRANSIT"))

    first, again = placement_event(intent, accepted), placement_event(intent, accepted)

    assert first
    assert first == again
    assert first.order
    assert (first.order.dhan_order_id, first.order.quantity) == (ENTRY, intent.quantity)
    assert first.order.dhan_correlation_id == intent.dhan_correlation_id
    assert (first.order.status, first.causation_id) == (OrderStatus.TRANSIT, intent.id)
    assert placement_event(intent, denied("quote_stale")) is None

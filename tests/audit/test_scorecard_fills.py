"""What decisions came to at the broker, matched by hand."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest

from audit.scorecard.traded import round_trip, traded_of
from executors.charges.rates import shipped_rates
from schemas.ids import CorrelationId, DecisionId, DhanOrderId, OrderId, UserId
from schemas.market import Side
from schemas.messages import ObservedFill, OrderIntent, Trade
from schemas.units import Price, Quantity, UtcNs
from tests.audit.scorecard_days import MONDAY, TCS, opens

SPACE = UUID(int=1)
USER = UserId(UUID(int=2))
RATES = shipped_rates()


def a_fill(number: int, side: Side, quantity: int, price: int, name: str = "") -> Trade:
    fill = ObservedFill(
        trade_id=str(number),
        dhan_order_id=DhanOrderId(f"D{number}"),
        instrument=TCS,
        side=side,
        product="INTRADAY",
        quantity=Quantity(quantity),
        price=Price(price),
        traded_at=UtcNs(opens(MONDAY) + number),
    )
    return Trade(
        id=uuid5(SPACE, str(number)),
        event_time=fill.traded_at,
        user_id=USER,
        trading_date=MONDAY,
        fill=fill,
        dhan_correlation_id=name,
    )


def an_intent(name: str, side: Side) -> OrderIntent:
    return OrderIntent(
        id=OrderId(uuid5(SPACE, name)),
        event_time=opens(MONDAY),
        decision_id=DecisionId(uuid5(SPACE, f"decision {name}")),
        user_id=USER,
        instrument=TCS,
        symbol="TCS",
        side=side,
        quantity=Quantity(10),
        price=Price(10_000),
        stop=Price(9_900),
        target=Price(10_200),
        reference_price=Price(10_000),
        valid_until=UtcNs(opens(MONDAY) + 1),
        dhan_correlation_id=CorrelationId(name),
    )


def test_a_stop_without_a_name_closes_the_oldest_lot_first() -> None:
    intents = [an_intent("one", Side.BUY), an_intent("two", Side.BUY)]
    trades = [
        a_fill(1, Side.BUY, 10, 10_000, "one"),
        a_fill(2, Side.BUY, 10, 10_100, "two"),
        a_fill(3, Side.SELL, 15, 10_200),
    ]

    found = traded_of([*reversed(trades), trades[0]], intents, RATES)

    one, two = (found.by_decision[each.decision_id] for each in intents)
    assert (one.gross, one.open) == (2_000, 0)
    assert (two.gross, two.open) == (500, 5)
    assert found.gross == 2_500
    assert found.charges is not None
    assert found.charges > 0
    assert found.strangers == 0


def test_a_fill_of_no_decision_is_a_stranger_and_earns_nobody_anything() -> None:
    trades = [a_fill(1, Side.BUY, 10, 10_000, "phone"), a_fill(2, Side.SELL, 10, 11_000)]

    found = traded_of(trades, [an_intent("one", Side.BUY)], RATES)

    assert (dict(found.by_decision), found.strangers) == ({}, 1)


def test_a_round_trip_of_one_lakh_costs_what_the_charges_page_counts() -> None:
    """Brokerage twice ₹20 with GST alone is 4.7 basis points."""
    assert round_trip(MONDAY, RATES) == pytest.approx(8.27, abs=0.05)

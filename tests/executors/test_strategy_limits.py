"""A strategy's own capital and limits: what counts, and for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from executors.orders.outcomes import denied, execution
from executors.risk.denial import Denial
from executors.risk.exposure import Filled, Ordered, Reach
from executors.risk.order_rate import OrderRate
from executors.risk.sizing import plan
from executors.risk.strategy import StrategyOrders, UsersDay, strategy_context
from executors.store import OrderOutcome
from schemas.ids import UserId
from schemas.market import Side
from schemas.messages import OrderIntent, Outcome
from schemas.strategy import Strategy, StrategyMode
from schemas.units import Paise, Quantity, UtcNs
from tests.executors.factories import (
    LIMITS,
    NIFTY,
    RELIANCE,
    TEN_O_CLOCK,
    USER,
    a_decision,
    an_intent,
)
from tests.executors.test_sessions_and_fanout import USERS

CROSS, SURGE = Strategy(name="ema_cross"), Strategy(name="volume_surge")
ACCEPTED = OrderOutcome(Outcome.ACCEPTED, "accepted")
TOMORROW = UtcNs(TEN_O_CLOCK + UtcNs.minutes(24 * 60))
NEW = an_intent().id


def an_order(strategy: Strategy | None = CROSS, user: UserId = USER, **said: Any) -> OrderIntent:
    return an_intent(user, a_decision(), strategy=strategy, **said)


def after(*orders: OrderIntent) -> OrderRate:
    """What an instance knows that heard of the outcomes alone, as after a restart."""
    rate = OrderRate()
    for order in orders:
        rate.observe(execution(order, ACCEPTED))
    return rate


def test_a_strategy_counts_its_own_orders_of_one_user_and_day() -> None:
    rate = after(an_order(), an_order(SURGE), an_order(None), an_order(user=USERS[1]))

    assert rate.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW).entries == 1
    assert rate.placed_for(USER, "ema_cross", TOMORROW, NEW) == StrategyOrders()
    assert rate.placed_for(USER, "macd_cross", TEN_O_CLOCK, NEW) == StrategyOrders()


def test_an_order_without_an_outcome_counts_but_for_its_own_next_try() -> None:
    rate, order = OrderRate(), an_order()
    rate.spend(order, TEN_O_CLOCK)

    again = rate.placed_for(USER, "ema_cross", TEN_O_CLOCK, order.id)
    next_one = rate.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW)

    assert again == StrategyOrders()
    assert (next_one.entries, next_one.instruments) == (1, frozenset({RELIANCE.id}))


def test_an_order_that_dhan_rejected_is_counted_and_holds_no_instrument() -> None:
    rate = OrderRate()
    rate.observe(execution(an_order(), replace(ACCEPTED, outcome=Outcome.REJECTED)))

    placed = rate.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW)

    assert (placed.entries, placed.instruments) == (1, frozenset())


@pytest.mark.parametrize("other", [SURGE, None])
def test_an_instrument_is_shared_where_another_ordered_too(other: Strategy | None) -> None:
    alone, both = after(an_order()), after(an_order(), an_order(other, side=Side.SELL))

    assert not alone.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW).shared
    assert both.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW).shared == {RELIANCE.id}


def test_a_loss_that_denied_an_order_is_remembered_until_the_next_day() -> None:
    rate = OrderRate()
    rate.observe(execution(an_order(), denied(Denial.STRATEGY_LOSS_REACHED)))
    rate.observe(execution(an_order(SURGE), denied(Denial.DAILY_LOSS_REACHED)))

    assert rate.placed_for(USER, "ema_cross", TEN_O_CLOCK, NEW).lost
    assert not rate.placed_for(USER, "ema_cross", TOMORROW, NEW).lost
    assert not rate.placed_for(USER, "volume_surge", TEN_O_CLOCK, NEW).lost


HELD = Filled(bought=10, bought_value=1_000_000)
DAY = UsersDay(
    ordered={RELIANCE.id: Ordered(10, 0, 100_000), NIFTY.id: Ordered(10, 0, 100_000)},
    filled={RELIANCE.id: HELD, NIFTY.id: HELD},
    prices={RELIANCE.id: 99_000, NIFTY.id: 101_500},
)


def test_a_strategy_is_held_to_the_instruments_that_it_entered() -> None:
    orders = StrategyOrders(1, frozenset({RELIANCE.id}))

    seen = strategy_context(CROSS, StrategyMode.PAPER, orders, NIFTY.id, DAY)

    assert (seen.exposure.here, seen.exposure.positions) == (Reach(), 1)
    assert (seen.exposure.elsewhere, seen.day_result) == (990_000, -10_000)


def test_what_others_may_have_gained_hides_no_loss_of_a_strategy() -> None:
    both = frozenset({RELIANCE.id, NIFTY.id})
    alone, shared = StrategyOrders(2, both), StrategyOrders(2, both, shared=both)

    results = [
        strategy_context(CROSS, StrategyMode.PAPER, orders, NIFTY.id, DAY).day_result
        for orders in (alone, shared)
    ]

    assert results == [5_000, -10_000]


def test_no_order_of_a_strategy_is_larger_than_its_capital() -> None:
    small = Strategy(name="ema_cross", capital=Paise.from_rupees(4_600))

    intent = plan(a_decision(strategy=small), USER, RELIANCE, LIMITS)

    assert isinstance(intent, OrderIntent)
    assert (intent.quantity, intent.price) == (Quantity(3), 150_300)

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.risk.sizing import NoOrder, UserLimits, plan
from schemas.codec import encode
from schemas.ids import correlation_id, order_id
from schemas.market import Action, Instrument, Side
from schemas.messages import Decision, OrderIntent
from schemas.strategy import Strategy
from schemas.units import BasisPoints, Paise, Price, Quantity
from tests.executors.factories import LIMITS, NIFTY, RELIANCE, USER, a_decision, orders_to_plan


@pytest.mark.parametrize(
    ("action", "price", "stop", "target", "quantity"),
    [
        (Action.BUY, 150_300, 148_800, 153_305, 33),
        (Action.SELL, 149_700, 151_195, 146_710, 33),
    ],
)
def test_fifty_thousand_rupees_of_a_share_at_fifteen_hundred(
    action: Action, price: int, stop: int, target: int, quantity: int
) -> None:
    intent = plan(a_decision(action=action), USER, RELIANCE, LIMITS)

    assert isinstance(intent, OrderIntent)
    assert (intent.price, intent.stop, intent.target, intent.quantity) == (
        price,
        stop,
        target,
        quantity,
    )


def test_the_order_carries_ids_that_follow_from_decision_and_user_alone() -> None:
    decision = a_decision()

    intent = plan(decision, USER, RELIANCE, LIMITS)

    assert isinstance(intent, OrderIntent)
    assert intent.id == order_id(decision.id, USER)
    assert intent.dhan_correlation_id == correlation_id(intent.id)
    assert (intent.causation_id, intent.correlation_id) == (decision.id, decision.correlation_id)
    assert (intent.event_time, intent.valid_until) == (decision.event_time, decision.valid_until)


@given(orders_to_plan())
def test_no_order_costs_more_than_allowed_breaks_a_lot_or_leaves_the_tick_grid(
    order: tuple[Decision, Instrument, UserLimits],
) -> None:
    decision, instrument, allowed = order
    intent = plan(decision, USER, instrument, allowed)
    assert isinstance(intent, OrderIntent)

    assert intent.quantity * intent.price <= allowed.max_order_value
    assert (intent.quantity + instrument.lot_size) * intent.price > allowed.max_order_value
    assert intent.quantity % instrument.lot_size == 0
    assert all(
        price % instrument.tick_size == 0 for price in (intent.price, intent.stop, intent.target)
    )


def test_an_order_stays_below_the_freeze_quantity_in_whole_lots() -> None:
    contract = replace(RELIANCE, lot_size=Quantity(5), freeze_quantity=Quantity(20))

    intent = plan(a_decision(), USER, contract, LIMITS)

    assert isinstance(intent, OrderIntent)
    assert intent.quantity == 15
    frozen = replace(contract, freeze_quantity=Quantity(5))
    assert plan(a_decision(), USER, frozen, LIMITS) is NoOrder.FREEZE_BELOW_ONE_LOT


@given(orders_to_plan(), st.integers(0, 10**7))
def test_an_order_stopped_at_its_stop_loses_no_more_than_the_user_risks(
    order: tuple[Decision, Instrument, UserLimits], risk: int
) -> None:
    decision, instrument, allowed = order
    unbounded = plan(decision, USER, instrument, allowed)
    assert isinstance(unbounded, OrderIntent)
    loss = abs(unbounded.price - unbounded.stop)

    intent = plan(decision, USER, instrument, replace(allowed, risk_per_trade=Paise(risk)))

    if isinstance(intent, NoOrder):
        assert intent is NoOrder.ONE_LOT_RISKS_TOO_MUCH
        assert loss * instrument.lot_size > risk
    else:
        assert loss * intent.quantity <= risk
        assert intent.quantity % instrument.lot_size == 0
        larger = intent.quantity + instrument.lot_size
        assert intent.quantity == unbounded.quantity or loss * larger > risk


@given(orders_to_plan())
def test_the_limit_never_passes_the_collar_and_the_exits_stand_on_their_sides(
    order: tuple[Decision, Instrument, UserLimits],
) -> None:
    decision, instrument, allowed = order
    intent = plan(decision, USER, instrument, allowed)
    assert isinstance(intent, OrderIntent)

    if intent.side is Side.BUY:
        assert intent.price * 10_000 <= decision.reference_price * (10_000 + allowed.collar)
        assert intent.stop < intent.price < intent.target
    else:
        assert intent.price * 10_000 >= decision.reference_price * (10_000 - allowed.collar)
        assert intent.target < intent.price < intent.stop


@pytest.mark.parametrize(
    ("decision", "instrument", "allowed", "reason"),
    [
        (a_decision(action=Action.HOLD), RELIANCE, LIMITS, NoOrder.HOLD),
        (a_decision(), NIFTY, LIMITS, NoOrder.NOT_TRADABLE),
        (a_decision(), replace(RELIANCE, lot_size=Quantity(34)), LIMITS, NoOrder.LESS_THAN_ONE_LOT),
        (
            a_decision(),
            RELIANCE,
            replace(LIMITS, max_order_value=Paise(0)),
            NoOrder.LESS_THAN_ONE_LOT,
        ),
        (
            a_decision(strategy=Strategy(name="orb", capital=Paise(100_000))),
            RELIANCE,
            LIMITS,
            NoOrder.CAPITAL_BELOW_ONE_LOT,
        ),
        (
            a_decision(strategy=Strategy(name="orb", capital=Paise(100_000))),
            RELIANCE,
            replace(LIMITS, max_order_value=Paise(100_000)),
            NoOrder.LESS_THAN_ONE_LOT,
        ),
        (a_decision(reference_price=Price(5)), RELIANCE, LIMITS, NoOrder.LESS_THAN_ONE_TICK),
        (a_decision(), RELIANCE, replace(LIMITS, stop=BasisPoints(20_000)), None),
        (
            a_decision(),
            RELIANCE,
            replace(LIMITS, risk_per_trade=Paise(1_499)),  # the stop is 15 rupees away
            NoOrder.ONE_LOT_RISKS_TOO_MUCH,
        ),
    ],
)
def test_a_decision_that_fits_no_order_says_why(
    decision: object, instrument: Instrument, allowed: UserLimits, reason: NoOrder | None
) -> None:
    planned = plan(decision, USER, instrument, allowed)  # type: ignore[arg-type]

    assert planned == (reason or NoOrder.LESS_THAN_ONE_TICK)


def test_a_decision_read_twice_gives_the_same_bytes() -> None:
    decision = a_decision()

    first, second = (plan(decision, USER, RELIANCE, LIMITS) for _ in range(2))

    assert isinstance(first, OrderIntent)
    assert isinstance(second, OrderIntent)
    assert encode(first) == encode(second)

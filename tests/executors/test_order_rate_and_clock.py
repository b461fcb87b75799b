from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.clock import DecisionTime, LiveClock, ReplayClock
from executors.orders.correction_store import Correction
from executors.orders.outcomes import (
    correction,
    denied,
    execution,
    not_found,
)
from executors.reasons import Reason
from executors.risk.order_rate import OrderRate
from executors.risk.requests import WORKERS
from executors.store import OrderKey, OrderOutcome
from executors.terms import OrderTerms
from schemas.ids import DhanClientId, DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import NS_PER_SECOND, Quantity, UtcNs
from tests.executors.factories import NIFTY, RELIANCE, TEN_O_CLOCK, USER, a_decision, an_intent

ACCEPTED = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))


@given(st.lists(st.integers(0, 3 * NS_PER_SECOND), max_size=60))
def test_whatever_the_demand_no_second_however_counted_sees_more_than_the_budget(
    waits: list[int],
) -> None:
    budget, now, sent = OrderRate(), TEN_O_CLOCK, []

    for wait in waits:
        now = budget.next_slot(USER, UtcNs(now + wait))
        budget.spend(an_intent(), now)
        sent.append(now)

    for moment in sent:
        assert sum(moment <= other < moment + NS_PER_SECOND for other in sent) <= WORKERS.second
        assert (
            sum(other // NS_PER_SECOND == moment // NS_PER_SECOND for other in sent)
            <= WORKERS.second
        )


def test_another_user_has_a_budget_of_their_own() -> None:
    budget = OrderRate()
    for _ in range(WORKERS.second):
        budget.spend(an_intent(), TEN_O_CLOCK)

    assert budget.next_slot(UserId(uuid4()), TEN_O_CLOCK) == TEN_O_CLOCK
    assert budget.next_slot(USER, TEN_O_CLOCK) > TEN_O_CLOCK


def test_the_days_count_takes_each_order_once_and_forgets_yesterday() -> None:
    budget, intent = OrderRate(), an_intent()
    budget.spend(intent, TEN_O_CLOCK)
    budget.observe(execution(intent, ACCEPTED))
    budget.observe(execution(an_intent(), ACCEPTED))
    budget.observe(execution(an_intent(), denied("quote_stale")))

    assert budget.sent(USER, TEN_O_CLOCK).today == 2
    assert budget.sent(USER, UtcNs(TEN_O_CLOCK + UtcNs.minutes(24 * 60))).today == 0


def settled_order(side: Side, quantity: int, outcome: Outcome = Outcome.ACCEPTED) -> Execution:
    order = an_intent(decision=a_decision(), side=side, quantity=Quantity(quantity))
    return execution(order, replace(ACCEPTED, outcome=outcome))


def test_an_order_that_only_closes_is_not_counted_and_one_that_flips_is() -> None:
    budget = OrderRate()

    budget.observe(settled_order(Side.BUY, 10))
    budget.observe(settled_order(Side.SELL, 4))
    closed = budget.sent(USER, TEN_O_CLOCK).today, budget.position(USER, RELIANCE.id, TEN_O_CLOCK)
    budget.observe(settled_order(Side.SELL, 7))
    flipped = budget.sent(USER, TEN_O_CLOCK).today, budget.position(USER, RELIANCE.id, TEN_O_CLOCK)

    assert (closed, flipped) == ((1, 6), (2, -1))


def test_a_position_is_of_one_user_one_instrument_and_one_day() -> None:
    budget = OrderRate()
    budget.observe(settled_order(Side.BUY, 10))

    assert budget.position(UserId(uuid4()), RELIANCE.id, TEN_O_CLOCK) == 0
    assert budget.position(USER, NIFTY.id, TEN_O_CLOCK) == 0
    assert budget.position(USER, RELIANCE.id, UtcNs(TEN_O_CLOCK + UtcNs.minutes(24 * 60))) == 0


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.NOT_FOUND, Outcome.DENIED])
def test_an_order_that_was_not_accepted_holds_nothing(outcome: Outcome) -> None:
    budget = OrderRate()

    budget.observe(settled_order(Side.BUY, 10, outcome))

    assert budget.position(USER, RELIANCE.id, TEN_O_CLOCK) == 0


def test_an_order_told_again_with_another_outcome_counts_as_last_told() -> None:
    budget, told = OrderRate(), settled_order(Side.BUY, 10)

    for outcome, position in (
        (Outcome.ACCEPTED, 10),
        (Outcome.ACCEPTED, 10),
        (Outcome.REJECTED, 0),
    ):
        budget.observe(told.model_copy(update={"outcome": outcome}))
        assert budget.position(USER, RELIANCE.id, TEN_O_CLOCK) == position


def test_a_correction_counts_for_the_order_whatever_is_told_again_and_in_whatever_order() -> None:
    """Found after all, then rejected: the position follows, the order stays one of the day."""
    intent = an_intent(decision=a_decision(), quantity=Quantity(10))
    lost = execution(intent, not_found(Reason.NOT_FOUND))
    found = correction(a_correction(intent, 1, replace(ACCEPTED, code=Reason.FOUND_LATE.value)))
    rejected = correction(a_correction(intent, 2, replace(ACCEPTED, outcome=Outcome.REJECTED)))

    for told, position in (
        ((lost, found), 10),
        ((found, lost), 10),
        ((lost, found, lost, found), 10),
        ((lost, found, rejected), 0),
        ((rejected, lost, found), 0),
    ):
        budget = OrderRate()
        for message in told:
            budget.observe(message)
        assert budget.position(USER, RELIANCE.id, TEN_O_CLOCK) == position
        assert budget.sent(USER, TEN_O_CLOCK).today == 1


def a_correction(intent: OrderIntent, nth: int, known: OrderOutcome) -> Correction:
    return Correction(OrderKey.of(intent), nth, known, OrderTerms.of(intent))


orders_of_a_day = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(1, 5),
        st.sampled_from([Outcome.ACCEPTED, Outcome.REJECTED]),
    ),
    max_size=40,
)


@given(orders_of_a_day)
def test_what_is_not_counted_never_adds_up_to_more_than_what_is(
    orders: list[tuple[Side, int, Outcome]],
) -> None:
    """So the day's number bounds the whole, exits included."""
    budget, entered, exited = OrderRate(), 0, 0

    for side, quantity, outcome in orders:
        before = budget.sent(USER, TEN_O_CLOCK).today
        budget.observe(settled_order(side, quantity, outcome))
        if outcome is Outcome.ACCEPTED:
            counted = budget.sent(USER, TEN_O_CLOCK).today > before
            entered, exited = entered + quantity * counted, exited + quantity * (not counted)

    assert exited <= entered


@given(orders_of_a_day)
def test_an_instance_that_only_followed_counts_as_the_one_that_sent(
    orders: list[tuple[Side, int, Outcome]],
) -> None:
    sender, follower = OrderRate(), OrderRate()

    for side, quantity, outcome in orders:
        order = an_intent(decision=a_decision(), side=side, quantity=Quantity(quantity))
        sender.spend(order, TEN_O_CLOCK)
        for budget in (sender, follower, sender):
            budget.observe(execution(order, replace(ACCEPTED, outcome=outcome)))

    assert sender.sent(USER, TEN_O_CLOCK).today == follower.sent(USER, TEN_O_CLOCK).today
    assert sender.position(USER, RELIANCE.id, TEN_O_CLOCK) == follower.position(
        USER, RELIANCE.id, TEN_O_CLOCK
    )


MINE, THEIRS = DhanClientId("1100000001"), DhanClientId("1100000002")
OTHER = UserId(uuid4())


def order_of(user: UserId, side: Side = Side.BUY, quantity: int = 10) -> Execution:
    order = an_intent(user, a_decision(), side=side, quantity=Quantity(quantity))
    return execution(order, ACCEPTED)


@pytest.mark.parametrize("known_first", [True, False])
def test_an_account_that_changes_users_within_a_day_is_counted_once(known_first: bool) -> None:
    budget = OrderRate()
    if known_first:
        budget.connected(USER, MINE)
    for _ in range(WORKERS.second):
        budget.spend(an_intent(USER, a_decision()), TEN_O_CLOCK)
    budget.observe(order_of(USER))

    budget.connected(USER, MINE)
    budget.connected(OTHER, MINE)
    budget.observe(order_of(OTHER, Side.BUY, 5))

    assert budget.sent(OTHER, TEN_O_CLOCK).today == WORKERS.second + 2
    assert budget.position(OTHER, RELIANCE.id, TEN_O_CLOCK) == 15
    assert budget.next_slot(OTHER, TEN_O_CLOCK) > TEN_O_CLOCK


def test_a_user_who_changes_accounts_leaves_what_was_sent_with_the_account() -> None:
    budget, told = OrderRate(), order_of(USER)
    budget.connected(USER, MINE)
    budget.observe(told)

    budget.connected(USER, THEIRS)
    budget.observe(told)  # again: it stays where it was counted
    budget.connected(OTHER, MINE)

    assert budget.sent(USER, TEN_O_CLOCK).today == 0
    assert budget.position(USER, RELIANCE.id, TEN_O_CLOCK) == 0
    assert budget.sent(OTHER, TEN_O_CLOCK).today == 1
    assert budget.position(OTHER, RELIANCE.id, TEN_O_CLOCK) == 10


def test_yesterday_of_one_user_adds_nothing_to_today_of_another() -> None:
    budget, yesterday = OrderRate(), order_of(USER)
    day = UtcNs.minutes(24 * 60)
    budget.observe(yesterday.model_copy(update={"event_time": UtcNs(TEN_O_CLOCK - day)}))
    budget.connected(OTHER, MINE)
    budget.observe(order_of(OTHER))

    budget.connected(USER, MINE)

    assert budget.sent(USER, TEN_O_CLOCK).today == 1


def test_in_a_replay_a_decision_ages_only_by_the_machine_time_since_it_was_published() -> None:
    decided = DecisionTime(event_time=TEN_O_CLOCK, published_at=UtcNs.seconds(2_000_000_000))
    clock = ReplayClock(wall=lambda: 2_000_000_003 * NS_PER_SECOND)

    assert clock.now(decided) == TEN_O_CLOCK + UtcNs.seconds(3)


def test_a_writer_whose_clock_is_ahead_makes_no_decision_younger_than_itself() -> None:
    decided = DecisionTime(event_time=TEN_O_CLOCK, published_at=UtcNs.seconds(2_000_000_009))

    assert ReplayClock(wall=lambda: 2_000_000_000 * NS_PER_SECOND).now(decided) == TEN_O_CLOCK


def test_live_the_market_has_the_walls_time_whatever_the_decision_says() -> None:
    decided = DecisionTime(event_time=UtcNs(1), published_at=UtcNs(2))

    assert LiveClock(wall=lambda: 42).now(decided) == 42

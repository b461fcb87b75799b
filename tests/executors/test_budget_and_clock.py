from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from executors.budget import OrderBudget
from executors.clock import ChainClock, Decided, LiveClock
from executors.gate import ORDERS_PER_SECOND
from executors.outcomes import denied, execution
from executors.store import Settlement
from schemas.ids import DhanOrderId, OrderId, UserId
from schemas.messages import Outcome
from schemas.units import NS_PER_SECOND, UtcNs
from tests.executors.factories import TEN_O_CLOCK, USER, an_intent

ACCEPTED = Settlement(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))


@given(st.lists(st.integers(0, 3 * NS_PER_SECOND), max_size=60))
def test_whatever_the_demand_no_second_however_counted_sees_more_than_the_budget(waits: list[int]) -> None:
    budget, now, sent = OrderBudget(), TEN_O_CLOCK, []

    for wait in waits:
        now = budget.next_slot(USER, UtcNs(now + wait))
        budget.spend(USER, OrderId(uuid4()), now)
        sent.append(now)

    for moment in sent:
        assert sum(moment <= other < moment + NS_PER_SECOND for other in sent) <= ORDERS_PER_SECOND
        assert sum(other // NS_PER_SECOND == moment // NS_PER_SECOND for other in sent) <= ORDERS_PER_SECOND


def test_another_user_has_a_budget_of_their_own() -> None:
    budget = OrderBudget()
    for _ in range(ORDERS_PER_SECOND):
        budget.spend(USER, OrderId(uuid4()), TEN_O_CLOCK)

    assert budget.next_slot(UserId(uuid4()), TEN_O_CLOCK) == TEN_O_CLOCK
    assert budget.next_slot(USER, TEN_O_CLOCK) > TEN_O_CLOCK


def test_the_days_count_takes_each_order_once_and_forgets_yesterday() -> None:
    budget, intent = OrderBudget(), an_intent()
    budget.spend(USER, intent.id, TEN_O_CLOCK)
    budget.observe(execution(intent, ACCEPTED))
    budget.observe(execution(an_intent(), ACCEPTED))
    budget.observe(execution(an_intent(), denied("quote_stale")))

    assert budget.sent(USER, TEN_O_CLOCK).today == 2
    assert budget.sent(USER, UtcNs(TEN_O_CLOCK + UtcNs.minutes(24 * 60))).today == 0


def test_in_a_replay_a_decision_ages_only_by_the_machine_time_since_it_was_published() -> None:
    decided = Decided(event_time=TEN_O_CLOCK, published_at=UtcNs.seconds(2_000_000_000))
    clock = ChainClock(wall=lambda: 2_000_000_003 * NS_PER_SECOND)

    assert clock.now(decided) == TEN_O_CLOCK + UtcNs.seconds(3)


def test_a_writer_whose_clock_is_ahead_makes_no_decision_younger_than_itself() -> None:
    decided = Decided(event_time=TEN_O_CLOCK, published_at=UtcNs.seconds(2_000_000_009))

    assert ChainClock(wall=lambda: 2_000_000_000 * NS_PER_SECOND).now(decided) == TEN_O_CLOCK


def test_live_the_market_has_the_walls_time_whatever_the_decision_says() -> None:
    decided = Decided(event_time=UtcNs(1), published_at=UtcNs(2))

    assert LiveClock(wall=lambda: 42).now(decided) == 42

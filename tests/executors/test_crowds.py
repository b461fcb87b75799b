"""All users together order no more than a part of what trades, in however many processes."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhan.outcomes import Accepted
from executors.crowds import CROWD, TOLD_WITHIN, Crowds
from executors.orders.outcomes import execution, of_placement
from executors.quotes import QuoteCache
from executors.risk.crowd import WINDOW, Crowd
from executors.risk.denial import Denial
from executors.risk.gate import cut_to_fit, judge
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, UserId
from schemas.messages import Decision, OrderIntent
from schemas.ticks import NO_VOLUME
from schemas.units import BasisPoints, Paise, Quantity, UtcNs
from tests.executors.factories import (
    LIMITS,
    RELIANCE,
    TEN_O_CLOCK,
    a_decision,
    a_record,
    an_intent,
    some_ticks,
    the_situation_for,
)

TENTH = BasisPoints(1_000)
ONE = Quantity(1)
RICH = replace(LIMITS, max_order_value=Paise(10**12))
NOW = UtcNs(TEN_O_CLOCK + UtcNs.seconds(1))


def volumes(*told: tuple[int, int]) -> QuoteCache:
    """A market that told a day's volume so far, so many seconds before ten o'clock."""
    book = QuoteCache(partitions=1)
    for before, volume in told:
        batch = some_ticks((RELIANCE, TEN_O_CLOCK - UtcNs.seconds(before), 150_000))
        batch.rows["volume"] = volume
        book.apply(0, batch)
    return book


def heard(crowds: Crowds, decision: Decision, units: int, crowd: int) -> OrderIntent:
    intent = an_intent(UserId(uuid4()), decision, quantity=Quantity(units))
    crowds.note(intent, a_record(intent, intent.user_id, headers={CROWD: b"%d" % crowd}))
    return intent


def accepted(crowds: Crowds, intent: OrderIntent) -> None:
    outcome = of_placement(Accepted(DhanOrderId("1"), "TRANSIT"))
    crowds.observe(execution(intent, outcome))


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
    st.integers(0, 20_000),
    st.integers(0, 500),
    st.sampled_from([1, 5, 65]),
)
def test_all_orders_of_a_decision_that_may_leave_stay_within_the_cap(
    asked: list[int], volume: int, others: int, lot: int
) -> None:
    asked = [each * lot for each in asked]
    left = 0
    for units in asked:
        intent = an_intent(quantity=Quantity(units))
        crowd = Crowd(
            Quantity(units), Quantity(sum(asked)), Quantity(others), Quantity(volume), TENTH,
            Quantity(lot),
        )  # fmt: skip
        context = the_situation_for(intent, crowd=crowd, limits=RICH)
        cut = cut_to_fit(intent, context)
        assert cut.quantity % lot == 0
        left += 0 if judge(cut, context) else cut.quantity

    assert left <= max(0, volume // 10 - others)


def test_every_user_has_the_same_part_of_their_own_order() -> None:
    crowds, decision = Crowds(TENTH, volumes((60, 0), (0, 1_000))), a_decision()

    shares = [
        crowd.share
        for units in (100, 60, 40)
        if (crowd := crowds.of(heard(crowds, decision, units, 200), NOW, ONE))
    ]

    assert shares == [50, 30, 20]


def test_two_processes_with_the_same_ticks_give_the_same_share() -> None:
    decision = a_decision()
    first, second = (Crowds(TENTH, volumes((60, 0), (0, 1_000))) for _ in range(2))
    intent = heard(first, decision, 100, 200)
    second.note(intent, a_record(intent, intent.user_id, headers={CROWD: b"200"}))

    assert first.of(intent, NOW, ONE) == second.of(intent, NOW, ONE)


def test_what_another_decision_was_given_is_taken_from_the_share_once_and_for_a_while() -> None:
    crowds = Crowds(TENTH, volumes((0, 0)))
    other = heard(crowds, a_decision(), 30, 30)
    for _ in range(2):
        accepted(crowds, other)
    intent = heard(crowds, a_decision(), 100, 100)

    seen = [crowds.of(intent, UtcNs(TEN_O_CLOCK + after), ONE) for after in (0, WINDOW)]

    assert [crowd.others for crowd in seen if crowd] == [30, 0]


def test_two_decisions_of_one_second_share_the_cap_before_any_outcome_is_told() -> None:
    """Each of two users has an order of both; all four are looked at before one has left."""
    crowds, decisions = Crowds(TENTH, volumes((60, 0), (0, 1_000))), (a_decision(), a_decision())
    orders = [heard(crowds, each, 40, 80) for each in decisions for _ in range(2)]

    shares = [crowd.share for each in orders if (crowd := crowds.of(each, NOW, ONE))]

    assert shares == [40, 40, 10, 10]


def test_what_was_promised_to_a_decision_and_not_taken_is_given_to_others_later() -> None:
    crowds = Crowds(TENTH, volumes((60, 0), (0, 1_000)))
    crowds.of(heard(crowds, a_decision(), 80, 80), NOW, ONE)
    late = heard(crowds, a_decision(), 80, 80)

    seen = [crowds.of(late, UtcNs(NOW + after), ONE) for after in (0, TOLD_WITHIN)]

    assert [crowd.others for crowd in seen if crowd] == [80, 0]


def test_an_order_of_the_same_decision_is_no_other() -> None:
    crowds, decision = Crowds(TENTH, volumes((0, 0))), a_decision()
    accepted(crowds, heard(crowds, decision, 30, 130))

    crowd = crowds.of(heard(crowds, decision, 100, 130), NOW, ONE)

    assert crowd
    assert (crowd.asked, crowd.ordered, crowd.others) == (100, 130, 0)


def test_nobody_asks_without_a_cap_and_a_header_that_is_no_number_is_a_dead_letter() -> None:
    intent = an_intent()
    record = a_record(intent, intent.user_id, headers={CROWD: b"many"})

    assert Crowds(None, volumes()).of(intent, NOW, ONE) is None
    with pytest.raises(Unreadable):
        Crowds(TENTH, volumes()).note(intent, record)


@pytest.mark.parametrize(
    ("told", "traded"),
    [
        ([(400, 100), (200, 300), (0, 900)], 800),  # from the last row before the window
        ([(200, 300), (0, 900)], 600),  # what came before nobody heard
        ([(90_000, 5_000), (200, 300), (0, 900)], 600),  # yesterday's volume is none of today's
        ([(200, 300), (100, 900), (0, NO_VOLUME)], 600),
        ([(200, NO_VOLUME)], 0),
        ([(301, 100)], 0),
        ([], 0),
    ],
)
def test_the_volume_of_the_last_minutes(told: list[tuple[int, int]], traded: int) -> None:
    assert volumes(*told).volume(RELIANCE.id, TEN_O_CLOCK, WINDOW) == traded


def test_a_share_of_less_than_one_lot_is_denied() -> None:
    crowd = Crowd(Quantity(65), Quantity(650), Quantity(0), Quantity(1_000), TENTH, Quantity(65))
    intent = an_intent(quantity=Quantity(65))
    context = the_situation_for(intent, crowd=crowd, limits=RICH)

    assert cut_to_fit(intent, context) == intent
    assert judge(intent, context) is Denial.CROWD_TOO_LARGE
    plenty = replace(crowd, volume=Quantity(6_500))
    assert judge(intent, replace(context, crowd=plenty)) is None

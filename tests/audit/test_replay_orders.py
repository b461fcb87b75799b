"""Intents, verdicts and outcomes are derived again from what each of them saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import assume, given, settings

from audit.replay.orders import (
    PLATFORM,
    OrdersAsSet,
    RecordedOrders,
    fan_out_again,
    outcomes_again,
)
from bus.records import Output
from executors.fanout import fan_out_of
from executors.orders.correction_store import Correction
from executors.orders.outcomes import correction, execution_id, execution_output
from executors.risk.denial import Denial
from executors.risk.situation import PreTradeContext
from executors.risk.sizing import UserLimits, plan
from executors.store import OrderKey, OrderOutcome
from executors.terms import OrderTerms
from schemas.codec import decode, encode
from schemas.ids import DhanOrderId, UserId
from schemas.messages import Execution, FanOut, OrderIntent, Outcome, WithoutOrder
from schemas.strategy import Strategy, StrategyMode
from schemas.topics import EXECUTIONS, FANOUTS, ORDER_EVENTS, ORDERS, Topic
from schemas.units import Paise, Quantity
from tests.audit.test_rejudge import situations, told
from tests.executors.factories import RELIANCE, a_decision, an_intent, the_situation_for

ASHA, BALA, DEV = (UserId(UUID(int=n)) for n in (1, 2, 3))
DECISION = a_decision()
SET = OrdersAsSet({RELIANCE.id: RELIANCE})


def recorded(*messages: FanOut | OrderIntent | Execution) -> RecordedOrders:
    found = RecordedOrders()
    for message in (*messages, *messages):  # as after a restart
        found.add(message)
    return found


def values(outputs: Iterable[Output], topic: Topic) -> list[bytes]:
    return [each.value for each in outputs if each.topic is topic]


def planned(user: UserId, limits: UserLimits = PLATFORM) -> OrderIntent:
    intent = plan(DECISION, user, RELIANCE, limits)
    assert isinstance(intent, OrderIntent)
    return intent


def test_each_user_who_got_an_order_gets_the_same_one_and_the_others_their_reasons() -> None:
    without = (WithoutOrder(user_id=DEV, reason_code="switched_off"),)
    fan_out, intents = fan_out_of(DECISION, 2, without), [planned(ASHA), planned(BALA)]

    outputs = list(fan_out_again(DECISION, recorded(fan_out, *intents), SET))

    assert sorted(values(outputs, ORDERS)) == sorted(map(encode, intents))
    assert values(outputs, FANOUTS) == [encode(fan_out)]


@pytest.mark.parametrize("mode", [StrategyMode.SHADOW, StrategyMode.LIVE])
def test_who_got_no_order_of_a_strategy_in_shadow_is_derived_from_the_decision(
    mode: StrategyMode,
) -> None:
    strategy = Strategy(name="ema_cross", mode=mode)
    decision = DECISION.model_copy(update={"strategy": strategy})
    without = (WithoutOrder(user_id=ASHA, reason_code="strategy_in_shadow"),)
    fan_out = fan_out_of(decision, 0, without)

    outputs = list(fan_out_again(decision, recorded(fan_out), SET))

    assert (values(outputs, FANOUTS) == [encode(fan_out)]) is (mode is StrategyMode.SHADOW)


def test_an_order_of_a_strategy_in_shadow_is_not_made_again() -> None:
    shadow = Strategy(name="ema_cross", mode=StrategyMode.SHADOW)
    decision = DECISION.model_copy(update={"strategy": shadow})

    outputs = list(fan_out_again(decision, recorded(planned(ASHA)), SET))

    assert not values(outputs, ORDERS)


def test_an_order_is_sized_by_its_users_own_limit_as_its_outcome_tells() -> None:
    own = replace(PLATFORM, max_order_value=Paise(PLATFORM.max_order_value // 2))
    intent = planned(ASHA, own)
    outcome = told(intent, the_situation_for(intent, limits=own))

    outputs = list(fan_out_again(DECISION, recorded(intent, outcome), SET))

    assert intent.quantity < planned(ASHA).quantity
    assert values(outputs, ORDERS) == [encode(intent)]


def test_another_lot_size_than_on_the_day_gives_other_orders() -> None:
    intent = planned(ASHA)
    other = replace(RELIANCE, lot_size=Quantity(RELIANCE.lot_size * 7))

    outputs = list(fan_out_again(DECISION, recorded(intent), OrdersAsSet({other.id: other})))

    assert values(outputs, ORDERS) != [encode(intent)]


@settings(max_examples=25)
@given(situations())
def test_in_any_situation_the_outcome_is_the_recorded_one(
    situation: tuple[OrderIntent, PreTradeContext],
) -> None:
    intent, context = situation
    outcome = told(intent, context)
    assume(outcome.reason_code != Denial.PREFLIGHT_RED)  # told in words of its own

    outputs = list(outcomes_again(intent, [outcome]))

    assert values(outputs, EXECUTIONS) == [encode(outcome)]
    assert len(values(outputs, ORDER_EVENTS)) == (outcome.outcome is Outcome.ACCEPTED)


def test_a_verdict_that_the_gate_does_not_give_and_a_size_it_does_not_cut_to_differ() -> None:
    intent = an_intent()
    outcome = told(intent, the_situation_for(intent))
    assert outcome.evidence
    assert outcome.evidence.judgement
    denied = outcome.evidence.judgement.model_copy(update={"verdict": "halted"})
    forged = outcome.evidence.model_copy(update={"judgement": denied})

    for wrong in ({"evidence": forged}, {"quantity": outcome.quantity + 1}):
        spoilt = outcome.model_copy(update=wrong)
        outputs = list(outcomes_again(intent, [spoilt]))

        assert values(outputs, EXECUTIONS) == [encode(outcome)] != [encode(spoilt)]


def test_a_correction_follows_the_outcome_that_it_replaces() -> None:
    intent = an_intent()
    first = told(intent, the_situation_for(intent))
    known = OrderOutcome(Outcome.REJECTED, "REJECTED", "no funds", DhanOrderId("1"))
    assert first.evidence
    terms = OrderTerms.of(intent, first.evidence.model_dump(mode="json"))
    row = Correction(OrderKey.of(intent), 1, known, terms)
    second = decode(Execution, execution_output(correction(row), terms).value)

    outputs = list(outcomes_again(intent, [decode(Execution, encode(second)), first]))

    assert second.corrects == execution_id(intent.id)
    assert values(outputs, EXECUTIONS) == [encode(first), encode(second)]

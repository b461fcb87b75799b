"""The cap of a day by the users whom it serves."""

from __future__ import annotations

import asyncio

import pytest

from agents.deadline import Deadline
from agents.journal import ModelTier, Question
from agents.prompts import Agent, technical_message
from agents.replies import Completion
from agents.served import EVERY, PAUSE, count_users, keep_users
from agents.spend import SpendLedger, TokenPrice
from bus.database import StoreAway
from schemas.messages import CallOutcome
from schemas.units import Paise
from tests.agents.factories import AS_OF, DAY, Topic, a_journal, a_signal, an_entry
from tests.agents.test_ladder import Scripted

RUPEE = Paise.from_rupees(1)
ANSWERED = Completion(CallOutcome.OK, "{}", model="m", input_tokens=1, output_tokens=0)


def a_question(number: int) -> Question:
    signal = a_signal(rule=f"rule{number}")
    return Question(Agent.TECHNICAL, signal.id, AS_OF, technical_message(signal, an_entry(), {}))


@pytest.mark.parametrize(("users", "limit"), [(0, 0), (1, 20), (3, 60), (9, 100)])
def test_a_day_may_cost_so_much_for_each_user_and_no_more_than_its_own_cap(
    users: int, limit: int
) -> None:
    ledger = SpendLedger(Paise.from_rupees(100), a_user=Paise.from_rupees(20), users=users)

    most = Paise.from_rupees(limit)
    assert not ledger.reserve(DAY, Paise(most + 1))
    assert ledger.reserve(DAY, most)


async def test_for_nobody_no_model_is_asked_and_the_record_says_which_cap_that_is() -> None:
    topic, model = Topic(), Scripted(ANSWERED)
    ledger = SpendLedger(Paise.from_rupees(100), a_user=Paise.from_rupees(20))
    tier = ModelTier(model, TokenPrice(RUPEE, RUPEE))

    await a_journal(model, topic, tiers=[tier], ledger=ledger).call(
        a_question(0), Deadline.after(10)
    )

    [call] = topic.calls
    assert (call.outcome, model.asked) == (CallOutcome.BUDGET, [])
    assert "ATS_MODEL_BUDGET_RUPEES_PER_USER, users with trading switched on: 0" in call.detail


async def test_users_are_counted_again_and_the_last_count_stands_while_the_database_is_away() -> (
    None
):
    ledger, slept = SpendLedger(RUPEE, a_user=RUPEE), list[tuple[float, int]]()
    said: list[int | StoreAway] = [StoreAway("away"), 3, StoreAway("away"), StoreAway("away"), 1]

    async def count() -> int:
        if not said:
            raise asyncio.CancelledError
        answer = said.pop(0)
        if isinstance(answer, StoreAway):
            raise answer
        return answer

    async def sleep(seconds: float) -> None:
        slept.append((seconds, ledger.users))

    await count_users(ledger, count, sleep)
    with pytest.raises(asyncio.CancelledError):
        await keep_users(ledger, count, sleep)

    assert slept == [(PAUSE, 0), (EVERY, 3), (PAUSE, 3), (PAUSE, 3), (EVERY, 1)]

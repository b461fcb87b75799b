"""Large model, small model, nobody: on an error as on a cap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import llm_calls
from agents.answers import TechnicalAnswer
from agents.deadline import Deadline
from agents.journal import LiveJournal, LlmCallCache, ModelTier, Question, ReplayJournal
from agents.llm_calls import LlmAnswer, LlmFailure
from agents.prompts import Agent, technical_message
from agents.replies import Completion
from agents.spend import SpendLedger, TokenPrice
from schemas.messages import CallOutcome
from schemas.units import Paise
from tests.agents.factories import AS_OF, DAY, Topic, a_journal, a_signal, an_entry

TEXT = (
    '{"symbol":"RELIANCE","score":1,"confidence":1,"summary":"s",'
    '"setup":"weak","key_levels":[],"invalidation":"none"}'
)
OK = Completion(CallOutcome.OK, TEXT, "", "m", 100, 10)
DEAR = Completion(CallOutcome.OK, TEXT, "", "m", 500, 800)
BUSY = Completion(CallOutcome.TRANSPORT, detail="HTTP 503")
PRICE = TokenPrice(Paise.from_rupees(1_000), Paise.from_rupees(4_000))


class Scripted:
    """A model that answers from a list, the last again and again; remembers its deadlines."""

    def __init__(self, *answers: Completion) -> None:
        self.name = "scripted"
        self.asked: list[float] = []
        self._answers = answers

    async def complete(
        self,
        agent: Agent,  # noqa: ARG002
        prompt: str,  # noqa: ARG002
        deadline: Deadline,
        run_id: str,  # noqa: ARG002
        on_sent: Callable[[], None],  # noqa: ARG002
    ) -> Completion:
        self.asked.append(deadline.remaining())
        await asyncio.sleep(0)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


def a_question(number: int = 0) -> Question:
    signal = a_signal(rule=f"rule{number}")
    return Question(Agent.TECHNICAL, signal.id, AS_OF, technical_message(signal, an_entry(), {}))


async def no_time(_: float) -> None: ...


async def asked(
    tiers: Iterable[Scripted], topic: Topic, question: Question | None = None, **changes: object
) -> LlmAnswer[TechnicalAnswer] | LlmFailure:
    journal = a_journal(
        Scripted(), topic, tiers=[ModelTier(each) for each in tiers], sleep=no_time, **changes
    )
    return await llm_calls.call(
        journal,
        question or a_question(),
        TechnicalAnswer,
        "RELIANCE",
        Deadline(10.0, lambda: 0.0),
    )


@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        (BUSY, 2),  # once more, then the next
        (Completion(CallOutcome.REJECTED, detail="HTTP 429 insufficient_quota"), 1),
        (Completion(CallOutcome.UNCLEAN), 1),
        (Completion(CallOutcome.TIMEOUT), 1),
    ],
)
async def test_when_the_large_model_fails_the_small_one_answers_and_a_replay_finds_it(
    failure: Completion, requests: int
) -> None:
    large, small, topic = Scripted(failure), Scripted(OK), Topic()

    answer = await asked([large, small], topic)

    replayed = await llm_calls.call(
        ReplayJournal(LlmCallCache(topic.calls)),
        a_question(),
        TechnicalAnswer,
        "RELIANCE",
        Deadline.after(10),
    )
    assert isinstance(answer, LlmAnswer)
    assert (len(large.asked), len(small.asked)) == (requests, 1)
    assert [call.request["attempt"] for call in topic.calls] == [*range(1, requests + 2)]
    assert replayed == answer


@pytest.mark.parametrize(
    "stands", [Completion(CallOutcome.REFUSED), Completion(CallOutcome.OK, "prose")]
)
async def test_what_the_large_model_did_say_is_not_asked_of_another(stands: Completion) -> None:
    small = Scripted(OK)

    answer = await asked([Scripted(stands), small], Topic())

    assert isinstance(answer, LlmFailure)
    assert small.asked == []


async def test_a_busy_model_that_is_back_too_late_gives_way_to_the_next_at_once() -> None:
    large = Scripted(Completion(CallOutcome.TRANSPORT, detail="HTTP 429", retry_after=60.0))

    answer = await asked([large, Scripted(OK)], Topic())

    assert isinstance(answer, LlmAnswer)
    assert len(large.asked) == 1


async def test_the_last_model_is_asked_until_the_deadline_and_one_before_it_for_half_of_that() -> (
    None
):
    large, small = Scripted(Completion(CallOutcome.TIMEOUT)), Scripted(OK)

    await asked([large, small], Topic())

    assert (large.asked, small.asked) == ([5.0], [10.0])


async def test_a_decision_never_costs_more_than_its_own_cap() -> None:
    model, topic = Scripted(DEAR), Topic()
    own = SpendLedger(Paise.from_rupees(7), setting="ATS_OWN")
    journal = a_journal(model, topic, tiers=[ModelTier(model, PRICE)], decision=own)

    for number in range(5):
        await llm_calls.call(
            journal, a_question(number), TechnicalAnswer, "RELIANCE", Deadline.after(10)
        )

    outcomes = [call.outcome for call in topic.calls]
    assert {CallOutcome.OK, CallOutcome.BUDGET} == set(outcomes)
    assert own.spent(DAY) == sum(call.cost for call in topic.calls) <= own.cap
    assert topic.calls[-1].detail == "the cap is reached: ATS_OWN"


async def test_what_a_decision_had_spent_before_a_crash_counts_against_its_cap() -> None:
    topic = Topic()
    own = SpendLedger(Paise.from_rupees(7))
    first = Scripted(OK)
    await llm_calls.call(
        a_journal(first, topic, tiers=[ModelTier(first, PRICE)]),
        a_question(),
        TechnicalAnswer,
        "RELIANCE",
        Deadline.after(10),
    )

    again = a_journal(first, topic, cache=LlmCallCache(topic.calls), decision=own)
    await again.call(a_question(), Deadline.after(10))

    assert own.spent(DAY) == topic.calls[0].cost > 0


completions = st.sampled_from(
    [
        OK,
        BUSY,
        Completion(CallOutcome.UNCLEAN, detail="a tool call", input_tokens=500, output_tokens=800),
        Completion(CallOutcome.TIMEOUT),
        Completion(CallOutcome.REJECTED),
        DEAR,
    ]
)


@settings(max_examples=25, deadline=None)
@given(st.lists(completions, min_size=1, max_size=8), st.integers(0, 60))
async def test_fifty_at_once_never_pass_the_cap_whatever_the_models_do(
    answers: list[Completion], rupees: int
) -> None:
    ledger, topic = SpendLedger(Paise.from_rupees(rupees)), Topic()
    tiers = [ModelTier(Scripted(*answers), PRICE, 50), ModelTier(Scripted(*answers[::-1]), PRICE)]
    journals = [
        LiveJournal(tiers, ledger, LlmCallCache(), topic.publish, lambda: 0.0, sleep=no_time)
        for _ in range(50)
    ]

    await asyncio.gather(
        *(
            llm_calls.call(
                journal, a_question(number), TechnicalAnswer, "RELIANCE", Deadline.after(10)
            )
            for number, journal in enumerate(journals)
        )
    )

    assert ledger.spent(DAY) == sum(call.cost for call in topic.calls) <= ledger.cap

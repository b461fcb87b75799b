"""Scans, reports and decisions are derived again from recorded answers, and no model is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
import pytest

from agents.app import outputs_of
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.journal import LlmCallCache
from agents.prompts import Agent
from agents.recorded_news import NewsCache, RecordedNews
from agents.replies import Completion
from audit.replay.answers import AgentsAsSet, Answered, Recorded, decide_again
from audit.replay.scans import Scans
from bus.records import Output
from schemas.inputs import NewsAnswer
from schemas.market import Action
from schemas.messages import CallOutcome, Decision, LlmCall
from schemas.units import UtcNs
from tests.agents.factories import FixedNews, Topic, a_journal, a_scan, a_signal

SYMBOL = "RELIANCE"
ANSWERS = {
    Agent.TECHNICAL: {
        "symbol": SYMBOL,
        "score": 60,
        "confidence": 70,
        "summary": "Rising.",
        "setup": "fair",
        "key_levels": [],
        "invalidation": "none",
    },
    Agent.SENTIMENT: {
        "symbol": SYMBOL,
        "score": 40,
        "confidence": 60,
        "summary": "Good news.",
        "counted": [1],
    },
}


class Scripted:
    """Answers as a model does; the Commander not at all."""

    name = "scripted"

    async def complete(
        self,
        agent: Agent,
        prompt: str,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        on_sent: Callable[[], None],  # noqa: ARG002
    ) -> Completion:
        if agent not in ANSWERS:
            return Completion(CallOutcome.REFUSED, model=self.name)
        text = orjson.dumps(ANSWERS[agent]).decode()
        return Completion(CallOutcome.OK, text=text, model=self.name)


class Lived:
    """What a model was asked, what the source of headlines said, and what was decided."""

    def __init__(self) -> None:
        self.topic, self.news = Topic(), list[NewsAnswer]()
        self.outputs: tuple[Output, ...] = ()

    async def decide(self) -> None:
        result = await run_committee(
            a_signal(), a_scan(), journal=a_journal(Scripted(), self.topic),
            news=RecordedNews(FixedNews(), NewsCache(), a_signal(), self._note),
            deadline=Deadline.after(10),
        )  # fmt: skip
        self.outputs = outputs_of(result)

    async def _note(self, answer: NewsAnswer) -> None:
        self.news.append(answer)

    async def again(
        self, calls: Sequence[LlmCall], news: Sequence[NewsAnswer]
    ) -> tuple[Answered, Decision]:
        recorded = Recorded(LlmCallCache(calls), NewsCache())
        for answer in news:
            recorded.news.add(answer)
        return await decide_again(a_signal(), a_scan(), (), recorded, AgentsAsSet())


@pytest.fixture
async def lived() -> Lived:
    made = Lived()
    await made.decide()
    return made


async def test_recorded_answers_give_the_recorded_reports_and_decision(lived: Lived) -> None:
    again, _ = await lived.again(lived.topic.calls, lived.news)

    assert [each.value for each in again.outputs] == [each.value for each in lived.outputs]
    assert len(lived.outputs) == 3
    assert (again.unanswered, again.note) == ((), "")


async def test_an_answer_that_is_not_recorded_is_named_with_the_agent_who_was_asked(
    lived: Lived,
) -> None:
    kept = [call for call in lived.topic.calls if call.agent != Agent.SENTIMENT]

    again, decision = await lived.again(kept, lived.news)

    assert (
        again.note == f"no recorded answer to the question for {Agent.SENTIMENT.value}, attempt 1"
    )
    assert decision.reason_code == "replay_mismatch"


async def test_headlines_that_are_not_recorded_are_named_and_nobody_is_asked_for_them(
    lived: Lived,
) -> None:
    again, decision = await lived.again(lived.topic.calls, [])

    assert again.note == "no recorded answer to the question for headlines"
    assert decision.action is Action.HOLD


async def test_a_scan_that_was_published_after_the_decision_was_not_known_to_it() -> None:
    scans = Scans()
    scans.add(a_scan(), UtcNs(100))

    assert scans.known_to(a_signal(), UtcNs(99)) is None
    assert scans.known_to(a_signal(), UtcNs(100)) == a_scan()
    assert scans.known_to(a_signal(), None) == a_scan()

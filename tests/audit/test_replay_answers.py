"""Scans, reports and decisions are derived again from recorded answers, and no model is asked."""

from __future__ import annotations

import orjson
import pytest

from agents.app import outputs_of
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.journal import LlmCallCache
from agents.prompts import Agent
from agents.replies import Completion
from audit.replay.answers import AgentsAsSet, Scans, decide_again
from bus.records import Output
from schemas.messages import CallOutcome
from schemas.units import UtcNs
from tests.agents.factories import FixedNews, Topic, a_journal, a_scan, a_signal

SYMBOL = "RELIANCE"
ANSWERS = {
    Agent.TECHNICAL: {"symbol": SYMBOL, "score": 60, "confidence": 70, "summary": "Rising."},
    Agent.SENTIMENT: {"symbol": SYMBOL, "score": 40, "confidence": 60, "summary": "Good news."},
}
AGENTS = AgentsAsSet(news=FixedNews())


class Scripted:
    """Answers as a model does; the Commander not at all."""

    name = "scripted"

    async def complete(
        self,
        agent: Agent,
        prompt: str,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
    ) -> Completion:
        if agent not in ANSWERS:
            return Completion(CallOutcome.REFUSED, model=self.name)
        text = orjson.dumps(ANSWERS[agent]).decode()
        return Completion(CallOutcome.OK, text=text, model=self.name)


@pytest.fixture
async def lived() -> tuple[Topic, tuple[Output, ...]]:
    """What a model was asked, and what was decided."""
    topic = Topic()
    result = await run_committee(
        a_signal(), a_scan(), news=FixedNews(), journal=a_journal(Scripted(), topic),
        deadline=Deadline.after(10),
    )  # fmt: skip
    return topic, outputs_of(result)


async def test_recorded_answers_give_the_recorded_reports_and_decision(
    lived: tuple[Topic, tuple[Output, ...]],
) -> None:
    topic, outputs = lived

    again, _ = await decide_again(a_signal(), a_scan(), (), LlmCallCache(topic.calls), AGENTS)

    assert [each.value for each in again.outputs] == [each.value for each in outputs]
    assert len(outputs) == 3
    assert (again.unanswered, again.note) == ((), "")


async def test_an_answer_that_is_not_recorded_is_named_with_the_agent_who_was_asked(
    lived: tuple[Topic, tuple[Output, ...]],
) -> None:
    topic, _ = lived
    kept = [call for call in topic.calls if call.agent != Agent.SENTIMENT]

    again, decision = await decide_again(a_signal(), a_scan(), (), LlmCallCache(kept), AGENTS)

    assert (
        again.note == f"no recorded answer to the question for {Agent.SENTIMENT.value}, attempt 1"
    )
    assert decision.reason_code == "replay_mismatch"


async def test_a_scan_that_was_published_after_the_decision_was_not_known_to_it() -> None:
    scans = Scans()
    scans.add(a_scan(), UtcNs(100))

    assert scans.known_to(a_signal(), UtcNs(99)) is None
    assert scans.known_to(a_signal(), UtcNs(100)) == a_scan()
    assert scans.known_to(a_signal(), None) == a_scan()

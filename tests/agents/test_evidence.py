"""What the analysts are told, worked out by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.entries import Circumstances
from agents.evidence import LEVELS, MOST_DECISIONS, evidence_of
from agents.model import Model
from schemas.market import Action, Session
from schemas.messages import Signal
from schemas.units import Price, UtcNs
from simulator.market.session import market_session
from tests.agents.factories import DAY, Topic, a_journal, a_signal
from tests.agents.provider import Provider
from tests.agents.test_committee import decide
from tests.agents.test_entries import a_decision

SESSION = Session(DAY, market_session(DAY).open, market_session(DAY).close)
ALONE = Circumstances()


def with_features(**features: float) -> Signal:
    return a_signal().model_copy(update={"features": features})


def test_distances_are_in_average_true_ranges_and_positive_above_a_level() -> None:
    signal = with_features(atr_14=1_000, vwap=284_000, ema_50=287_500, macd_histogram=-30)

    assert evidence_of(signal, ALONE)["distances"] == {
        "one_atr_percent": 0.351,
        "above_vwap_atr": 1.0,
        "above_ema_50_atr": -2.5,
        "macd_histogram_atr": -0.03,
    }


@pytest.mark.parametrize("features", [{"vwap": 284_000}, {"vwap": 284_000, "atr_14": 1e-300}])
def test_without_a_range_there_are_no_distances(features: dict[str, float]) -> None:
    assert evidence_of(with_features(**features), ALONE)["distances"] == {}


@pytest.mark.parametrize(
    ("features", "trend"),
    [
        ({"ema_21": 3, "ema_50": 2, "ema_200": 1, "adx_14": 25}, ("rising", "trend")),
        ({"ema_21": 1, "ema_50": 2, "ema_200": 3, "adx_14": 24.9}, ("falling", "range")),
        ({"ema_21": 2, "ema_50": 3, "ema_200": 1}, ("mixed", None)),
        ({"ema_21": 2, "ema_50": 3}, (None, None)),
    ],
)
def test_the_trend_is_told_by_averages_in_order_and_by_the_adx(
    features: dict[str, float], trend: tuple[str | None, str | None]
) -> None:
    told = evidence_of(with_features(**features), ALONE)["trend"]

    assert isinstance(told, dict)
    assert (told.get("averages"), told.get("regime")) == trend


def test_minutes_to_the_close_are_of_the_day_s_own_session() -> None:
    told = evidence_of(a_signal(), Circumstances(SESSION))

    assert told["hours"] == {"since_open_minutes": 30, "to_close_minutes": 345}
    assert evidence_of(a_signal(), ALONE)["hours"] == {}


def test_our_own_decisions_are_told_with_what_they_gained_since_newest_first() -> None:
    sold = a_decision(Action.SELL, UtcNs.minutes(20)).model_copy(
        update={"reference_price": Price(290_000)}
    )
    bought = a_decision(ago=UtcNs.minutes(6)).model_copy(update={"reference_price": Price(286_000)})
    held, later = a_decision(Action.HOLD), a_decision(ago=UtcNs(-UtcNs.minutes(1)))
    around = Circumstances(None, (sold, bought, held, later))

    told = evidence_of(with_features(atr_14=500), around)["own_decisions"]

    assert told == [
        {
            "action": "BUY",
            "confidence": 70,
            "ago_minutes": 6,
            "gained_since_percent": -0.35,
            "gained_since_atr": -2.0,
        },
        {
            "action": "SELL",
            "confidence": 70,
            "ago_minutes": 20,
            "gained_since_percent": 1.72,
            "gained_since_atr": 10.0,
        },
    ]


def test_no_more_decisions_are_told_than_a_prompt_should_pay_for() -> None:
    many = tuple(a_decision(ago=UtcNs.minutes(n), rule=f"r{n}") for n in range(9))

    told = evidence_of(a_signal(), Circumstances(None, many))["own_decisions"]

    assert isinstance(told, list)
    assert len(told) == MOST_DECISIONS


@given(
    st.dictionaries(
        st.sampled_from([*LEVELS, "atr_14", "adx_14", "macd_histogram", "supertrend_direction"]),
        st.floats(-1e12, 1e12),
    )
)
def test_whatever_the_features_are_the_evidence_is_json_and_says_the_same_again(
    features: dict[str, float],
) -> None:
    signal = with_features(**features)

    told = evidence_of(signal, Circumstances(SESSION))

    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert evidence_of(signal, Circumstances(SESSION)) == told


async def test_analyst_and_commander_read_the_evidence_and_the_news_reader_does_not(
    provider: Provider, model: Model
) -> None:
    await decide(a_journal(model, Topic()))

    asked = {}
    for request in provider.requests:
        message = json.loads(request["messages"][-1]["content"])
        asked[message["task"]] = message["data"].get("evidence", {}).get("version")
    assert asked == {"technical": 1, "sentiment": None, "commander": 1}

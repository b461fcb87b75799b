"""What a signal means when nobody is asked."""

from __future__ import annotations

import pytest

from agents.committee import VALIDITY
from agents.decided import UNASKED, decide_unasked
from agents.entries import COOLDOWN, Circumstances
from agents.limits import Limits
from schemas.ids import decision_id
from schemas.market import Action, Direction
from schemas.strategy import Strategy, StrategyMode
from tests.agents.factories import a_signal


@pytest.mark.parametrize(
    ("direction", "action"), [(Direction.BULLISH, Action.BUY), (Direction.BEARISH, Action.SELL)]
)
def test_a_signal_alone_is_followed(direction: Direction, action: Action) -> None:
    signal = a_signal().model_copy(update={"direction": direction})

    decision = decide_unasked(signal, "RELIANCE", Circumstances(), Limits(), VALIDITY)

    assert (decision.action, decision.reason_code) == (action, UNASKED)
    assert decision.id == decision_id(decision.signal_id)
    assert decision.valid_until == signal.event_time + VALIDITY


def test_what_speaks_against_any_decision_speaks_against_a_signal_alone() -> None:
    signal = a_signal()
    before = decide_unasked(signal, "RELIANCE", Circumstances(), Limits(), VALIDITY)

    again = decide_unasked(signal, "RELIANCE", Circumstances(earlier=(before,)), Limits(), VALIDITY)

    assert (again.action, again.reason_code) == (Action.HOLD, COOLDOWN)


def test_a_decision_names_the_strategy_of_its_signal() -> None:
    shadow = Strategy(name="ema_cross", mode=StrategyMode.SHADOW)
    signal = a_signal().model_copy(update={"strategy": shadow})

    decision = decide_unasked(signal, "RELIANCE", Circumstances(), Limits(), VALIDITY)

    assert decision.strategy == shadow

"""When code overrules the Commander.

An action that its own evidence speaks against does not go out. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.answers import AnalystAnswer, CommanderAnswer
from schemas.market import Action, Direction

# percent; below even odds the Commander itself does not believe in its action
MIN_CONFIDENCE: Final = 50

AGAINST_SIGNAL: Final = "against_signal"
AGAINST_ANALYSTS: Final = "against_analysts"
LOW_CONFIDENCE: Final = "low_confidence"

_SIDES: Final = {Action.BUY: 1, Action.SELL: -1, Action.HOLD: 0}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an action does not go out."""

    reason_code: str
    words: str


def objection(
    direction: Direction,
    command: CommanderAnswer,
    reports: Sequence[AnalystAnswer],
    min_confidence: int,
) -> Objection | None:
    """What speaks against `command`; None when it may go out. A HOLD always may.

    An analyst without confidence, or with a score of 0, has no opinion. Against the analysts is an
    action that none of them is for and at least one is against.
    """
    action, side = command.action.value, _SIDES[command.action]
    if side == 0:
        return None
    if side != (1 if direction is Direction.BULLISH else -1):
        return Objection(AGAINST_SIGNAL, f"Overruled: {action} against a {direction.value} signal.")
    scores = [report.score * side for report in reports if report.confidence and report.score]
    if scores and max(scores) < 0:
        return Objection(
            AGAINST_ANALYSTS, f"Overruled: {action} against every analyst with an opinion."
        )
    if command.confidence < min_confidence:
        words = (
            f"Overruled: {action} with confidence {command.confidence}, {min_confidence} needed."
        )
        return Objection(LOW_CONFIDENCE, words)
    return None

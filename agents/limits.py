"""When code overrules the Commander.

An action that its own evidence speaks against, or that does not hold together, does not go out.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from agents.answers import AnalystAnswer, CommanderAnswer
from agents.citations import numbers_of, texts_of, unknown_citation, unknown_number
from schemas.market import Action, Direction
from schemas.units import Price, UtcNs

AGAINST_SIGNAL: Final = "against_signal"
AGAINST_ANALYSTS: Final = "against_analysts"
LOW_CONFIDENCE: Final = "low_confidence"
STOP_SIDE: Final = "stop_side"
STOP_BAND: Final = "stop_band"
LOW_REWARD: Final = "low_reward"
HORIZON: Final = "horizon"
NO_EVIDENCE: Final = "no_evidence"
UNKNOWN_NUMBER: Final = "unknown_number"

COOLDOWN: Final = UtcNs.minutes(5)  # five bars: until then it is the same move
FLIP: Final = UtcNs.minutes(15)
AFTER_OPEN: Final = UtcNs.minutes(5)
BEFORE_CLOSE: Final = UtcNs.minutes(30)

_SIDES: Final = {Action.BUY: 1, Action.SELL: -1, Action.HOLD: 0}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a BUY or SELL must keep to, or it becomes a HOLD.

    Attributes:
        min_confidence: Percent. Below even odds the Commander itself does not believe in it.
        min_reward: The target's distance by the stop's. 1.2 pays for being wrong 45 times in 100.
        stop_band: Least and greatest distance of the stop in percent of the price: nearer is noise,
            farther is no stop of a day's trade.
        cooldown: Market time after a BUY or SELL in which its symbol gets no other.
        flip: Market time after a BUY in which its symbol gets no SELL, and the other way round.
        after_open: Market time from the open to the first entry: the first prices are an auction's.
        before_close: Market time from the last entry to the close: a position needs time to pay.
        muted: Rules whose signals are recorded and never acted on.
    """

    min_confidence: int = 50
    min_reward: Decimal = Decimal("1.2")
    stop_band: tuple[Decimal, Decimal] = (Decimal("0.1"), Decimal(3))
    cooldown: UtcNs = COOLDOWN
    flip: UtcNs = FLIP
    after_open: UtcNs = AFTER_OPEN
    before_close: UtcNs = BEFORE_CLOSE
    muted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an action does not go out."""

    reason_code: str
    words: str


@dataclass(frozen=True, slots=True)
class Case:
    """What a proposal is held against.

    Attributes:
        price: Of the signal; the entry that stop and target are measured from.
        reports: The analysts' answers.
        message: The Commander's question, whole.
        minutes_to_close: From the signal to the session's end; None where nobody knows it.
    """

    direction: Direction
    price: Price
    reports: Sequence[AnalystAnswer]
    message: Mapping[str, Any]
    minutes_to_close: int | None = None


def objection(command: CommanderAnswer, case: Case, limits: Limits) -> Objection | None:
    """The first thing that speaks against `command`; None when it may go out. A HOLD always may."""
    if command.action is Action.HOLD:
        return None
    found = next(_objections(command, case, limits), None)
    return found and Objection(found.reason_code, f"Overruled: {found.words}")


def _objections(command: CommanderAnswer, case: Case, limits: Limits) -> Iterator[Objection]:
    yield from _against_opinions(command, case, limits)
    yield from _levels(command, case.price, limits)
    yield from _horizon(command, case)
    yield from _numbers(command, case)


def _against_opinions(command: CommanderAnswer, case: Case, limits: Limits) -> Iterator[Objection]:
    """An analyst without confidence, or with a score of 0, has no opinion.

    Against the analysts is an action that none of them is for and at least one is against.
    """
    action, side = command.action.value, _SIDES[command.action]
    if side != (1 if case.direction is Direction.BULLISH else -1):
        yield Objection(AGAINST_SIGNAL, f"{action} against a {case.direction.value} signal.")
    scores = [report.score * side for report in case.reports if report.confidence and report.score]
    if scores and max(scores) < 0:
        yield Objection(AGAINST_ANALYSTS, f"{action} against every analyst with an opinion.")
    if command.confidence < limits.min_confidence:
        words = f"{action} with confidence {command.confidence}, {limits.min_confidence} needed."
        yield Objection(LOW_CONFIDENCE, words)


def _levels(command: CommanderAnswer, price: Price, limits: Limits) -> Iterator[Objection]:
    """Exact: paise and decimals, no floats."""
    side = _SIDES[command.action]
    risk, reward = side * (price - command.stop), side * (command.target - price)
    if risk <= 0 or reward <= 0:
        words = f"stop {command.stop} and target {command.target} around {int(price)} paise."
        yield Objection(STOP_SIDE, f"{command.action.value} with {words}")
        return
    percent = Decimal(risk) * 100 / price
    least, most = limits.stop_band
    if not least <= percent <= most:
        words = f"the stop is {percent:.2f} % away, {least} to {most} % are allowed."
        yield Objection(STOP_BAND, words)
    if reward < limits.min_reward * risk:
        words = f"the target is {Decimal(reward) / risk:.2f} times as far as the stop, "
        yield Objection(LOW_REWARD, f"{words}{limits.min_reward} needed.")


def _horizon(command: CommanderAnswer, case: Case) -> Iterator[Objection]:
    """A position is closed by the day's end, so nothing may need longer."""
    said, left = command.horizon_minutes, case.minutes_to_close
    if not said:
        yield Objection(HORIZON, f"{command.action.value} without a horizon.")
    elif left is not None and said > left:
        yield Objection(HORIZON, f"a horizon of {said} minutes, the market closes in {left}.")


def _numbers(command: CommanderAnswer, case: Case) -> Iterator[Objection]:
    data = case.message.get("data", {})
    known = numbers_of(data)
    if not command.citations:
        yield Objection(NO_EVIDENCE, f"{command.action.value} without a number of the data.")
    if cited := unknown_citation(command.citations, known):
        words = f"{cited.name} is not {cited.value:g} in the data."
        yield Objection(UNKNOWN_NUMBER, words)
    own = (*known.values(), command.stop, command.target)
    if said := unknown_number(command.reasoning, own, texts_of(case.message)):
        yield Objection(UNKNOWN_NUMBER, f"{said} does not stand in the data.")

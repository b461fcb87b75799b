"""Whether a signal may be acted on at all, before anybody is asked. Pure.

A symbol rests after a BUY or SELL, is not turned over at once, and is entered within hours only.
What was decided before is part of the question, so a replay finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from agents.limits import Limits, Objection
from schemas.market import Action, Direction, Session
from schemas.messages import Decision, Signal
from schemas.units import NS_PER_MINUTE, NS_PER_SECOND, UtcNs

MUTED: Final = "muted"
COOLDOWN: Final = "cooldown"
FLIP: Final = "flip"
ENTRY_WINDOW: Final = "entry_window"

TAKES: Final = {Direction.BULLISH: Action.BUY, Direction.BEARISH: Action.SELL}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What stood around a signal when it came.

    Attributes:
        session: Of its day and exchange; None where nobody knows, then no hour is too late.
        earlier: Decisions of earlier signals of the instrument, oldest first.
    """

    session: Session | None = None
    earlier: Sequence[Decision] = ()


def risk_budget(signal: Signal, around: Circumstances, limits: Limits) -> dict[str, JsonValue]:
    """What a BUY or SELL must keep to, as the Commander reads it; names say units."""
    least, most = limits.stop_band
    taken = [each for each in around.earlier if each.action is not Action.HOLD]
    told: dict[str, JsonValue] = {
        "min_confidence": limits.min_confidence,
        "min_reward_ratio": float(limits.min_reward),
        "stop_least_percent": float(least),
        "stop_most_percent": float(most),
        "taken_today": len(taken),
    }
    if (session := around.session) is not None:
        last = session.close - limits.before_close
        told["entries_end_minutes"] = (last - signal.event_time) // NS_PER_MINUTE
    return told


def not_now(signal: Signal, around: Circumstances, limits: Limits) -> Objection | None:
    """Why no decision on `signal` could go out; None when one may."""
    return (
        _muted(signal, limits)
        or _outside(signal, around.session, limits)
        or _too_soon(signal, around.earlier, limits)
    )


def _muted(signal: Signal, limits: Limits) -> Objection | None:
    if signal.rule not in limits.muted:
        return None
    return Objection(MUTED, f"The rule {signal.rule} is muted (ATS_MUTED_RULES).")


def _outside(signal: Signal, session: Session | None, limits: Limits) -> Objection | None:
    if session is None:
        return None
    first, last = session.open + limits.after_open, session.close - limits.before_close
    if first <= signal.event_time < last:
        return None
    hours = f"{_clock(UtcNs(first))} to {_clock(UtcNs(last))} IST"
    return Objection(ENTRY_WINDOW, f"Entries are made from {hours}.")


def _too_soon(signal: Signal, earlier: Iterable[Decision], limits: Limits) -> Objection | None:
    taken = [
        decision
        for decision in earlier
        if decision.action is not Action.HOLD and decision.event_time <= signal.event_time
    ]
    if not taken:
        return None
    last = max(taken, key=lambda decision: decision.event_time)
    age, said = signal.event_time - last.event_time, f"{last.action.value} was decided"
    if age < limits.cooldown:
        return Objection(COOLDOWN, f"{said} {_span(age)} ago, {_span(limits.cooldown)} to wait.")
    if age < limits.flip and last.action is not TAKES[signal.direction]:
        words = f"{said} {_span(age)} ago, {_span(limits.flip)} to wait before the other side."
        return Objection(FLIP, words)
    return None


def _span(ns: int) -> str:
    minutes, seconds = divmod(ns // NS_PER_SECOND, 60)
    return f"{minutes} min {seconds:02} s"


def _clock(moment: UtcNs) -> str:
    return f"{moment.ist():%H:%M}"

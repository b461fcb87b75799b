"""What a decision says, whoever made it; and the one that is made when nobody is asked. Pure."""

from __future__ import annotations

from typing import Final

from agents.entries import TAKES, Circumstances, not_now
from agents.limits import Limits
from agents.prompts import PROMPT_VERSION
from schemas.ids import ScanId, SignalId, decision_id
from schemas.market import Action
from schemas.messages import Decision, LlmCall, Origin, Signal
from schemas.units import UtcNs

UNASKED: Final = "unasked"


def decide_unasked(
    signal: Signal, symbol: str, around: Circumstances, limits: Limits, validity: UtcNs
) -> Decision:
    """What a signal alone means: BUY when it is bullish, SELL when it is bearish.

    What speaks against any decision now (`agents.entries`) makes a HOLD, as in the committee.
    """
    against = not_now(signal, around, limits)
    action = Action.HOLD if against else TAKES[signal.direction]
    return decision_of(
        signal,
        symbol=symbol,
        scan_id=None,
        action=action,
        reasoning=against.words if against else f"The signal alone: {signal.rule}.",
        confidence=100,
        origin=Origin.RULES,
        reason_code=against.reason_code if against else UNASKED,
        validity=validity,
    )


def decision_of(
    signal: Signal,
    *,
    symbol: str,
    scan_id: ScanId | None,
    action: Action,
    reasoning: str,
    confidence: int,
    origin: Origin,
    reason_code: str,
    validity: UtcNs,
    call: LlmCall | None = None,
) -> Decision:
    """The decision on `signal`; `call` is the model's answer that it rests on."""
    return Decision(
        id=decision_id(SignalId(signal.id)),
        event_time=signal.event_time,
        causation_id=signal.id,
        correlation_id=signal.correlation_id or signal.id,
        signal_id=SignalId(signal.id),
        scan_id=scan_id,
        instrument=signal.instrument,
        symbol=symbol,
        action=action,
        reasoning=reasoning,
        confidence=confidence,
        origin=origin,
        reason_code=reason_code,
        reference_price=signal.price,
        valid_until=UtcNs(signal.event_time + validity),
        model=call.model if call else "",
        prompt_version=PROMPT_VERSION if call else "",
        strategy=signal.strategy,
    )

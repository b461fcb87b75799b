"""What the decision service counts while it works."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bus.metrics import COUNTER, counter_by
from schemas.messages import Decision, LlmCall


@dataclass(slots=True)
class DecisionMetrics:
    """Counters of one process; what is decided again after a crash counts again.

    Attributes:
        decisions: By action and origin; a rising share of origin `failsafe` is an alarm.
        holds: Of HOLD decisions the reason code.
        llm_calls: Model calls by outcome.
        thinking_rupees: What the model calls of this process cost.
    """

    decisions: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("action", "origin")
    )
    holds: Counter[str] = field(default_factory=Counter, metadata=counter_by("reason_code"))
    llm_calls: Counter[str] = field(default_factory=Counter, metadata=counter_by("outcome"))
    thinking_rupees: float = field(default=0.0, metadata=COUNTER)

    def decided(self, decision: Decision) -> None:
        """Count a decision, and why it is a HOLD."""
        self.decisions[decision.action.value, decision.origin.value] += 1
        if decision.action.value == "HOLD":
            self.holds[decision.reason_code] += 1

    def called(self, call: LlmCall) -> None:
        """Count a model call and its cost."""
        self.llm_calls[call.outcome.value] += 1
        self.thinking_rupees += call.cost / 100  # paise

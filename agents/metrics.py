"""What the decision service counts while it works."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from bus.metrics import COUNTER, SECONDS, Histogram, counter_by
from schemas.messages import Decision, LlmCall

MAX_MODELS: Final = 20  # names a metric is kept by; a provider makes its models' names up
OTHERS: Final = "others"


@dataclass(slots=True)
class DecisionMetrics:
    """Counters of one process; what is decided again after a crash counts again.

    Attributes:
        decisions: By action and origin; a rising share of origin `failsafe` is an alarm.
        holds: Of HOLD decisions the reason code.
        llm_calls: Model calls by agent, model and outcome.
        llm_tokens: Tokens read and written by agent and model.
        llm_rupees: What model calls cost, by agent and model.
        llm_seconds: Time that model calls took together, by agent and model.
        thinking_rupees: What the model calls of this process cost.
        decision_seconds: From the start of a committee to its decision.
    """

    decisions: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("action", "origin")
    )
    holds: Counter[str] = field(default_factory=Counter, metadata=counter_by("reason_code"))
    llm_calls: Counter[tuple[str, str, str]] = field(
        default_factory=Counter, metadata=counter_by("agent", "model", "outcome")
    )
    llm_tokens: Counter[tuple[str, str, str]] = field(
        default_factory=Counter, metadata=counter_by("agent", "model", "direction")
    )
    llm_rupees: dict[tuple[str, str], float] = field(
        default_factory=lambda: defaultdict(float), metadata=counter_by("agent", "model")
    )
    llm_seconds: dict[tuple[str, str], float] = field(
        default_factory=lambda: defaultdict(float), metadata=counter_by("agent", "model")
    )
    thinking_rupees: float = field(default=0.0, metadata=COUNTER)
    decision_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))

    def decided(self, decision: Decision) -> None:
        """Count a decision, and why it is a HOLD."""
        self.decisions[decision.action.value, decision.origin.value] += 1
        if decision.action.value == "HOLD":
            self.holds[decision.reason_code] += 1

    def called(self, call: LlmCall) -> None:
        """Count a model call, its tokens, cost and time."""
        agent, model, rupees = call.agent, self._known(call.model), call.cost / 100  # paise
        self.llm_calls[agent, model, call.outcome.value] += 1
        self.llm_tokens[agent, model, "input"] += call.input_tokens
        self.llm_tokens[agent, model, "output"] += call.output_tokens
        self.llm_rupees[agent, model] += rupees
        self.llm_seconds[agent, model] += call.latency_ms / 1_000
        self.thinking_rupees += rupees

    def _known(self, model: str) -> str:
        known = {name for _, name, _ in self.llm_calls}
        return model if model in known or len(known) < MAX_MODELS else OTHERS

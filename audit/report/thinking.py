"""What the models cost, by agent. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from audit.report.record import DayRecord
from schemas.messages import CallOutcome, Decision, FanOut, LlmCall, OrderIntent


@dataclass(slots=True)
class AgentCost:
    """One agent's calls to one model; `cost` is paise."""

    agent: str
    model: str
    calls: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: int = 0


def costs_of(calls: Iterable[LlmCall]) -> list[AgentCost]:
    """The dearest first."""
    found: dict[tuple[str, str], AgentCost] = {}
    for each in calls:
        key = (each.agent, each.model)
        cost = found.setdefault(key, AgentCost(*key))
        cost.calls += 1
        cost.failed += each.outcome is not CallOutcome.OK
        cost.tokens_in += each.input_tokens
        cost.tokens_out += each.output_tokens
        cost.cost += each.cost
    return sorted(found.values(), key=lambda each: (-each.cost, each.agent, each.model))


def thinking_of(record: DayRecord) -> Fraction:
    """Paise: of everybody all of it; of one user their share of each decision they had an order of.

    A decision is made once for all who trade it, so each bears the same part of what it cost.
    """
    if record.user is None:
        return Fraction(sum(each.cost for each in record.of(LlmCall)))
    by_signal: dict[UUID | None, int] = defaultdict(int)
    for each in record.of(LlmCall):
        by_signal[each.causation_id] += each.cost
    shared = {each.decision_id: max(1, each.orders) for each in record.of(FanOut)}
    traded = {each.decision_id for each in record.of(OrderIntent)}
    return sum(
        (
            Fraction(by_signal[each.signal_id], shared.get(each.id, 1))
            for each in record.of(Decision)
            if each.id in traded
        ),
        Fraction(0),
    )

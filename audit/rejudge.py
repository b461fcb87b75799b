"""Judges an order again, by what was recorded of why it left or did not. Pure.

The gate of today on the inputs of then: the verdict must be the recorded one, and an order that was
cut must be cut to the same size by the same limits.

Where the guarantee stops: what the database itself refused (`switched_off`, a token that ended) no
gate judged, and where a process died between sending and recording nobody wrote down what it saw
last. Such an execution has no judgement; what was seen before its claim is still judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from executors.risk.denial import Denial
from executors.risk.gate import fitting, judge
from executors.risk.recorded import RecordedOrder, context_of
from schemas.messages import Execution, Outcome
from schemas.units import Quantity


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What the record says, and what it comes to.

    Attributes:
        verdict: As recorded; None where no judgement was.
        again: As judged now; None where no judgement was.
        quantity: Units of the order as recorded.
        quantity_again: Units that are left of what the intent asked for.
        cut_by: Limits that cut the order, as recorded.
        cut_again: Limits that cut it, as judged now.
    """

    verdict: str | None
    again: str | None
    quantity: Quantity
    quantity_again: Quantity
    cut_by: tuple[str, ...]
    cut_again: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the record and the gate say the same."""
        return (self.verdict, self.quantity, self.cut_by) == (
            self.again,
            self.quantity_again,
            self.cut_again,
        )


def rejudge(execution: Execution) -> Rejudged | None:
    """Judge by the recorded evidence; None where nobody wrote any down.

    Raises:
        ValueError: the evidence contradicts the message that carries it, or names what this
            version does not know.
    """
    evidence = execution.evidence
    if evidence is None:
        return None
    asked = RecordedOrder(
        execution.instrument,
        execution.side,
        evidence.asked_quantity,
        execution.price,
        evidence.valid_until,
        evidence.stop,
    )
    before = context_of(evidence.asked, execution.instrument)
    left, cut = fitting(asked, before)
    verdict = again = None
    if judged := evidence.judgement:
        order = RecordedOrder(
            execution.instrument,
            execution.side,
            execution.quantity,
            execution.price,
            evidence.valid_until,
            evidence.stop,
        )
        verdict = judged.verdict
        denial = judge(order, context_of(judged.seen, execution.instrument))
        again = denial.value if denial else ""
        _tells_the_outcome(execution, verdict)
    return Rejudged(
        verdict,
        again,
        execution.quantity,
        left,
        evidence.cut_by,
        tuple(each.value for each in cut),
    )


def _tells_the_outcome(execution: Execution, verdict: str) -> None:
    """An order that the gate denied ends as denied for that reason, unless it was corrected."""
    if execution.corrects:
        return
    denied = execution.outcome is Outcome.DENIED and execution.reason_code in set(Denial)
    if (verdict or denied) and execution.reason_code != verdict:
        raise ValueError(
            f"execution {execution.id} ended as {execution.reason_code}, and the gate said "
            f"{verdict or 'it may leave'}"
        )

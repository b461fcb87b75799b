"""The words of a what-if: what its rupees are, and what it cannot know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from audit.sentences import rupees
from audit.whatif.asking import Bill
from audit.whatif.pairing import Change, Difference
from schemas.market import Action

ESTIMATE: Final = (
    "Rupees are an estimate on both sides: each order fills whole at the first recorded tick that "
    "its limit allows, and leaves at its stop, its target, an opposite order or the square-off, "
    "whichever the recorded ticks reach first; less charges by the shipped rates."
)


NO_PRICE: Final = (
    "Nobody is asked: no bound could hold. Name the model in ATS_MODEL, and what it costs in "
    "ATS_MODEL_PRICE_RUPEES"
)


def bill_sentence(bill: Bill) -> str:
    """How many answers must be asked anew, and what that may cost."""
    price = "price unknown" if bill.most is None else f"at most {rupees(bill.most)}"
    later = f", and at most {bill.later:,} more that follow from their answers" if bill.later \
        else ""  # fmt: skip
    answers = "answer" if bill.now == 1 else "answers"
    return f"{bill.now:,} {answers} must be asked anew of {bill.model}{later}: {price}"


def totals(found: Difference) -> Iterable[str]:
    """Both sides in numbers."""
    before, after = found.before, found.after
    new, gone = found.count(Change.SIGNAL_NEW), found.count(Change.SIGNAL_GONE)
    yield f"Signals: {_step(before.signals, after.signals)} ({new:,} new, {gone:,} gone)"
    actions = (f"{each.value} {_step(before.decided[each], after.decided[each])}"
               for each in Action)  # fmt: skip
    yield f"Decisions: {', '.join(actions)}"
    yield f"Orders that left: {_step(before.orders, after.orders)}"
    yield f"Units: {_step(before.quantity, after.quantity)}"
    difference = after.net - before.net
    yield (
        f"Estimated rupees after charges: {rupees(before.net)} → {rupees(after.net)}, "
        f"a difference of {rupees(difference)}"
    )
    if found.unasked:
        decisions = "decision was" if found.unasked == 1 else "decisions were"
        yield f"Not asked: {found.unasked:,} {decisions} not asked for, and count on neither side"


def nothing_differs(found: Difference) -> str:
    """That a change changes nothing."""
    return (
        f"No difference: {found.same:,} signals with their decisions, orders and estimated rupees "
        "are the same on both sides."
    )


def _step(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"

"""The pages of codes: how a process ends, what is said of an order and of a morning, why a model's
answer is not used.
"""

from __future__ import annotations

from typing import Final

from agents.llm_calls import Failure
from ats.runtime import exit_codes
from bus.exit import Exit
from executors.reasons import WORDS, Reason
from executors.risk.denial import Denial
from executors.risk.preflight import Red
from executors.risk.sizing import NoOrder
from tools.reference.markdown import code, page, table
from tools.reference.source import comments, sentence

_ENDS: Final = ("DONE", "BROKEN", "MISCONFIGURED", "TRY_LATER", "INTERRUPTED")
_LEFT_ALONE: Final = frozenset({exit_codes.DONE, exit_codes.INTERRUPTED})


def exit_codes_page() -> str:
    ends = {
        getattr(exit_codes, name): (
            name,
            comments(exit_codes).get(name, "told to stop, or the work is done"),
        )
        for name in _ENDS
    }
    ends |= {
        int(code_): (code_.name, comments(Exit)[code_.name])
        for code_ in Exit
        if int(code_) not in ends
    }
    rows = [
        (str(number), code(name), sentence(words), _restart(number))
        for number, (name, words) in sorted(ends.items())
    ]
    return page(
        "Exit codes",
        "`ats/runtime/exit_codes.py` and `bus/`",
        "A service that is unsure of its state ends at once and relies on being started again: the "
        "truth is in Kafka and Postgres. The last line of its log says why.",
        table(("Code", "Name", "What it means", "A supervisor"), rows),
    )


def _restart(number: int) -> str:
    if number in exit_codes.PERSON_MUST_ACT:
        return "calls a person: a restart ends in the same way"
    return "leaves it" if number in _LEFT_ALONE else "starts it again, with growing pauses"


def denials_page() -> str:
    rows = [
        (code(str(reason)), _given_by(reason), words.user, words.operator)
        for reason, words in WORDS.items()
    ]
    return page(
        "Reason codes",
        "`executors/reasons.py`",
        "Each message on `ats.executions` carries a `reason_code`, `ats.fanouts` one for each user "
        "without an order, `ats.preflights` those of a red morning. The user reads the one "
        "sentence on the account page. The operator reads the other one in the log, as `meaning` "
        "of `order_settled`, and in `ats preflight`. A rejection by Dhan carries Dhan's own code "
        "and words instead. Codes are added, never renamed.",
        table(("Code", "Given by", "What the user reads", "What the operator reads"), rows),
    )


def _given_by(reason: str) -> str:
    givers = {"the gate": Denial, "the preflight": Red, "sizing": NoOrder, "the orders": Reason}
    return ", ".join(name for name, codes in givers.items() if reason in set(codes))


def failures_page() -> str:
    words = comments(Failure)
    rows = [
        (code(failure.value), sentence(words.get(failure.name, failure.value)))
        for failure in Failure
    ]
    return page(
        "Failure codes of agents",
        "`agents/llm_calls.py`",
        "When a model gives no usable answer, the decision is HOLD with `origin` `failsafe` and "
        "one of these codes in `reason_code`. No order follows.",
        table(("Code", "What happened"), rows),
    )

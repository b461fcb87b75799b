"""One model call for one question: a validated answer, or a failure with its reason.

Nothing else turns a model's text into a value that a decision may use. Pure over the journal: a
recorded call is validated here in the same way, live and in a replay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Generic

from agents.answers import A, read_answer
from agents.deadline import Deadline
from agents.journal import Journal, Question
from schemas.messages import CallOutcome, LlmCall


class Failure(StrEnum):
    """Why there is no usable answer. A decision's `reason_code`: add, never rename."""

    TIMEOUT = "timeout"  # the deadline of all calls together passed
    REFUSAL = "refusal"  # the model refused, or its provider's content filter did
    UNCLEAN = "unclean"  # the answer was cut off, empty or not a single choice
    TRANSPORT = "transport"  # the connection failed twice, or the provider was busy twice
    REJECTED = "rejected"  # the provider refused the request: check key, model name, schema mode
    BUDGET = "budget"  # the day's budget for models is spent
    SCHEMA = "schema"  # the answer was not exactly one JSON object of the schema
    WRONG_SYMBOL = "wrong_symbol"  # the answer was about another symbol
    REPLAY_MISMATCH = "replay_mismatch"  # a replay asked what was not recorded
    WRONG_INVALIDATION = "wrong_invalidation"  # by its own level the bias is wrong already
    UNKNOWN_HEADLINE = "unknown_headline"  # a headline counted that was not shown, or none did
    NEWS = "news"  # the source of headlines did not answer
    STALE = "stale"  # the signal is older than a decision stays valid
    INTERNAL = "internal"  # something of ours failed; the log says what


@dataclass(frozen=True, slots=True)
class LlmAnswer(Generic[A]):
    """A value that passed every check, and the call it came from."""

    value: A
    call: LlmCall


@dataclass(frozen=True, slots=True)
class LlmFailure:
    """No value.

    `call` is None where no call was made or recorded; `error` names what failed in our own code.
    """

    reason: Failure
    call: LlmCall | None = None
    error: str = ""


async def call(
    journal: Journal, question: Question, kind: type[A], symbol: str | None, deadline: Deadline
) -> LlmAnswer[A] | LlmFailure:
    """Call the model, and as often again as the journal has somebody to ask and time is left.

    `symbol` is what the answer must be about, if anything.
    """
    made = await journal.call(question, deadline)
    while made is not None and made.outcome in _WORTH_ANOTHER_TRY:
        question = replace(question, attempt=question.attempt + 1)
        if (again := await journal.again(question, made, deadline)) is None:
            break
        made = again
    return validate(made, kind, symbol) if made else LlmFailure(Failure.REPLAY_MISMATCH)


def validate(call: LlmCall, kind: type[A], symbol: str | None) -> LlmAnswer[A] | LlmFailure:
    """The answer in a recorded call, or why it has none that can be used."""
    if call.outcome is not CallOutcome.OK:
        return LlmFailure(_FAILURES[call.outcome], call)
    answer = read_answer(kind, call.response or "")
    if answer is None:
        return LlmFailure(Failure.SCHEMA, call)
    if symbol is not None and getattr(answer, "symbol", None) != symbol:
        return LlmFailure(Failure.WRONG_SYMBOL, call)
    return LlmAnswer(answer, call)


# The provider failed, not the model: the next model may answer. A refusal and a wrong answer stand.
_WORTH_ANOTHER_TRY: Final = frozenset(
    {CallOutcome.TRANSPORT, CallOutcome.REJECTED, CallOutcome.UNCLEAN, CallOutcome.TIMEOUT}
)

_FAILURES: Final = {
    CallOutcome.TIMEOUT: Failure.TIMEOUT,
    CallOutcome.REFUSED: Failure.REFUSAL,
    CallOutcome.UNCLEAN: Failure.UNCLEAN,
    CallOutcome.TRANSPORT: Failure.TRANSPORT,
    CallOutcome.REJECTED: Failure.REJECTED,
    CallOutcome.BUDGET: Failure.BUDGET,
    CallOutcome.STALE: Failure.STALE,
    CallOutcome.CANCELLED: Failure.REPLAY_MISMATCH,
}

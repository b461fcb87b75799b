"""The journal: every model call stands in `ats.llm` before its answer is used, and a replay asks nobody.

A question is named by what is asked (subject, instructions, message, attempt), not by the model
that answers it: which rung of the ladder answered is part of the answer. So a recorded day replays
with any configuration, and a signal that is delivered again after a crash gets the answer it got
before, as long as that answer reached the topic.

Where the guarantee stops: a call that was under way when the process was killed outright leaves no
record. It is asked again, and may be billed twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import orjson
from pydantic import JsonValue

from agents.budget import FREE, Ledger, Tariff
from agents.deadline import Deadline
from agents.freshness import always_fresh
from agents.model import SEED, TEMPERATURE
from agents.prompts import BRIEFS, PROMPT_VERSION, Agent
from agents.replies import Completion
from schemas.ids import derive
from schemas.market import trading_day
from schemas.messages import CallOutcome, LlmCall
from schemas.units import Paise, UtcNs

# calls kept for redelivered signals: some hours of a busy day, about 30 MB
REMEMBERED: Final = 5_000
# seconds before the one retry: enough for a dropped connection, too little to matter
PAUSE: Final = 0.25
# bytes of a request; with the longest answer it fits a record of `ats.llm`
MOST_ASKED: Final = 256 * 1024


class Unaskable(ValueError):
    """A question that could not be written down.

    Next: it is not asked, and its subject gets a HOLD.
    """


@dataclass(frozen=True, slots=True)
class Question:
    """What one agent is asked about one subject.

    Attributes:
        subject: What the chain started with: a signal, or the day's scan.
        as_of: Market time of the question; its day is the day of the budget.
    """

    agent: Agent
    subject: UUID
    as_of: UtcNs
    user: str
    attempt: int = 1

    def request(self) -> dict[str, JsonValue]:
        brief = BRIEFS[self.agent]
        return {
            "agent": self.agent.value,
            "subject": str(self.subject),
            "attempt": self.attempt,
            "system": brief.instructions,
            "user": self.user,
            "prompt_version": PROMPT_VERSION,
            "max_tokens": brief.max_tokens,
            "temperature": TEMPERATURE,
            "seed": SEED,
        }

    def id(self) -> UUID:
        """The hash of the request."""
        return derive(
            "llm",
            hashlib.sha256(orjson.dumps(self.request(), option=orjson.OPT_SORT_KEYS)).hexdigest(),
        )


class Journal(Protocol):
    """Answers questions with what is, or has been, written down."""

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:
        """The recorded call; None when a replay has no such call.

        Raises Unaskable when it is too long for a record.
        """
        ...

    async def again(
        self, question: Question, failed: LlmCall, deadline: Deadline
    ) -> LlmCall | None:
        """Ask once more after `failed`; None when there was no time left for that."""
        ...


class AnswerBook:
    """Recorded calls by id. The first record of an id stands; cancellations are no answers."""

    def __init__(self, calls: Iterable[LlmCall] = (), limit: int | None = None) -> None:
        self._calls: OrderedDict[UUID, LlmCall] = OrderedDict()
        self._limit = limit
        for call in calls:
            self.remember(call)

    def remember(self, call: LlmCall) -> bool:
        """Keep `call`; whether it was not known before."""
        if call.outcome is CallOutcome.CANCELLED or call.id in self._calls:
            return False
        self._calls[call.id] = call
        if self._limit is not None and len(self._calls) > self._limit:
            self._calls.popitem(last=False)
        return True

    def recall(self, question: Question) -> LlmCall | None:
        call = self._calls.get(question.id())
        return call if call is not None and call.request == question.request() else None


@dataclass(frozen=True, slots=True)
class ReplayJournal:
    """Serves a recorded day. Makes no request, ever."""

    book: AnswerBook

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:  # noqa: ARG002 - of the protocol
        return self.book.recall(question)

    async def again(
        self,
        question: Question,
        failed: LlmCall,  # noqa: ARG002 - of the protocol
        deadline: Deadline,  # noqa: ARG002 - of the protocol
    ) -> LlmCall | None:
        return self.book.recall(question)


class Completer(Protocol):
    """A model that answers; `agents.model.Model` is the real one."""

    @property
    def name(self) -> str: ...

    async def complete(
        self, agent: Agent, user: str, deadline: Deadline, run_id: str
    ) -> Completion: ...


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder.

    Attributes:
        percent_of_cap: How much of the day's cap may be spent when this model is asked.
        thoughts: Tokens it may bill beyond those of its answer (`agents.dialects`).
    """

    model: Completer
    tariff: Tariff = FREE
    percent_of_cap: int = 100
    thoughts: int = 0


@dataclass(frozen=True, slots=True)
class LiveJournal:
    """Asks the best model the budget allows, publishes the call, and only then hands it on.

    Attributes:
        ladder: Best model first; below the last rung there is no call (outcome `budget`).
        publish: Returns when the call is on the topic.
        clock: Monotonic seconds.
        stale: Why the subject is too old to be worth a call; `""` while it is not. What is recorded
            is served all the same, so a replay needs no clock.
        sleep: Seconds of machine time.
    """

    ladder: Sequence[Rung]
    ledger: Ledger
    book: AnswerBook
    publish: Callable[[LlmCall], Awaitable[None]]
    clock: Callable[[], float]
    stale: Callable[[], str] = always_fresh
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _waits: dict[UUID, float] = field(default_factory=dict, init=False)

    async def again(
        self, question: Question, failed: LlmCall, deadline: Deadline
    ) -> LlmCall | None:
        """Wait as long as the provider asked for, at least `PAUSE`.

        None when the deadline comes first.
        """
        if known := self.book.recall(question):
            return known
        wait = max(PAUSE, self._waits.get(failed.id, PAUSE))
        if wait >= deadline.remaining():
            return None
        await self.sleep(wait)
        return await self.call(question, deadline)

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:
        if known := self.book.recall(question):
            return known
        if (size := len(orjson.dumps(question.request()))) > MOST_ASKED:
            raise Unaskable(f"a question of {size:,} bytes, {MOST_ASKED:,} at most")
        if why := self.stale():
            old = Completion(CallOutcome.STALE, detail=why, sent=False)
            return await self._write_down(_record(question, old, Paise(0), 0.0))
        affordable = self._reserve(question)
        if affordable is None:
            broke = Completion(CallOutcome.BUDGET, detail="the day's cap is reached")
            return await self._write_down(_record(question, broke, Paise(0), 0.0))
        rung, most = affordable
        try:
            return await self._write_down(await self._ask(question, rung, most, deadline))
        finally:
            self.ledger.release(trading_day(question.as_of), most)

    async def _ask(
        self, question: Question, rung: Rung, most: Paise, deadline: Deadline
    ) -> LlmCall:
        started = self.clock()
        try:
            completion = await rung.model.complete(
                question.agent, question.user, deadline, str(question.id())
            )
        except asyncio.CancelledError:
            gone = Completion(
                CallOutcome.CANCELLED, detail="the process is stopping", model=rung.model.name
            )
            await self.publish(_record(question, gone, most, self.clock() - started))
            raise
        if completion.retry_after is not None:
            self._waits[question.id()] = completion.retry_after
        return _record(
            question, completion, _cost(completion, rung.tariff, most), self.clock() - started
        )

    async def _write_down(self, call: LlmCall) -> LlmCall:
        await self.publish(call)
        if self.book.remember(call):  # whoever follows the topic may have been faster
            self.ledger.spend(trading_day(call.event_time), call.cost)
        return call

    def _reserve(self, question: Question) -> tuple[Rung, Paise] | None:
        """The best model that the day's cap still allows, and what has been set aside for it."""
        brief = BRIEFS[question.agent]
        size = len(brief.instructions.encode()) + len(question.user.encode())
        for rung in self.ladder:
            most = rung.tariff.at_most(size, brief.max_tokens + rung.thoughts)
            if self.ledger.reserve(trading_day(question.as_of), most, rung.percent_of_cap):
                return rung, most
        return None


def _cost(completion: Completion, tariff: Tariff, most: Paise) -> Paise:
    """A call without an accounting is taken to have cost the most it could, unless nobody worked on it."""
    if not completion.sent:
        return Paise(0)
    if completion.input_tokens or completion.output_tokens:
        return tariff.cost(completion.input_tokens, completion.output_tokens)
    unserved = completion.outcome in (CallOutcome.TRANSPORT, CallOutcome.REJECTED)
    return Paise(0) if unserved else most


def _record(question: Question, completion: Completion, cost: Paise, seconds: float) -> LlmCall:
    return LlmCall(
        id=question.id(),
        event_time=question.as_of,
        causation_id=question.subject,
        correlation_id=question.subject,
        agent=question.agent.value,
        model=completion.model,
        request=question.request(),
        response=completion.text,
        outcome=completion.outcome,
        detail=completion.detail,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cost=cost,
        latency_ms=round(seconds * 1_000, 3),
    )

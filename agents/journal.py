"""The journal: each model call is in `ats.llm` before its answer is used; a replay calls no model.

A question is named by what is asked (subject, instructions, message, attempt), not by the model
that answers it: which tier answered is part of the answer. So a recorded day replays
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

from agents.deadline import Deadline
from agents.freshness import always_fresh
from agents.model import SEED, TEMPERATURE
from agents.prompts import SHIPPED, Agent, PromptSet, PromptSpec
from agents.replies import Completion
from agents.spend import FREE, SpendLedger, TokenPrice
from schemas.ids import derive
from schemas.market import trading_day
from schemas.messages import CallOutcome, LlmCall
from schemas.units import Paise, UtcNs

# calls kept for redelivered signals: some hours of a busy day, about 30 MB
REMEMBERED: Final = 5_000
# seconds before the one retry: enough for a dropped connection, too little to matter
PAUSE: Final = 0.25
# bytes of a request; with the longest answer it fits a record of `ats.llm`
MAX_REQUEST_BYTES: Final = 256 * 1024


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
        prompt: The user message, as the models' APIs call it.
        told: What the agents are told beside it.
    """

    agent: Agent
    subject: UUID
    as_of: UtcNs
    prompt: str
    attempt: int = 1
    told: PromptSet = field(default=SHIPPED, compare=False, repr=False)

    @property
    def spec(self) -> PromptSpec:
        """The agent's own fixed part."""
        return self.told.specs[self.agent]

    def request(self) -> dict[str, JsonValue]:
        """What is recorded as asked; no model stands in it, so any may have answered."""
        spec = self.spec
        return {
            "agent": self.agent.value,
            "subject": str(self.subject),
            "attempt": self.attempt,
            "system": spec.instructions,
            "user": self.prompt,
            "prompt_version": self.told.version,
            "max_tokens": spec.max_tokens,
            "temperature": TEMPERATURE,
            "seed": SEED,
        }

    def id(self) -> UUID:
        """The hash of the request."""
        return derive(
            "llm",
            hashlib.sha256(orjson.dumps(self.request(), option=orjson.OPT_SORT_KEYS)).hexdigest(),
        )


def checked(question: Question) -> Question:
    """The same question. Raises Unaskable when it is too long for a record."""
    if (size := len(orjson.dumps(question.request()))) > MAX_REQUEST_BYTES:
        raise Unaskable(f"a question of {size:,} bytes, {MAX_REQUEST_BYTES:,} at most")
    return question


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


class LlmCallCache:
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
        """The recorded call of exactly this question, if there is one."""
        call = self._calls.get(question.id())
        return call if call is not None and call.request == question.request() else None


@dataclass(frozen=True, slots=True)
class ReplayJournal:
    """Serves a recorded day. Makes no request, ever."""

    cache: LlmCallCache

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:  # noqa: ARG002 - of the protocol
        return self.cache.recall(question)

    async def again(
        self,
        question: Question,
        failed: LlmCall,  # noqa: ARG002 - of the protocol
        deadline: Deadline,  # noqa: ARG002 - of the protocol
    ) -> LlmCall | None:
        return self.cache.recall(question)


class ChatModel(Protocol):
    """A model that answers; `agents.model.Model` is the real one."""

    @property
    def name(self) -> str:
        """The provider's name of the model."""
        ...

    async def complete(
        self, agent: Agent, prompt: str, deadline: Deadline, run_id: str
    ) -> Completion:
        """Call the model once; no fault of the provider is an exception."""
        ...


@dataclass(frozen=True, slots=True)
class ModelTier:
    """One model, its price, and when it is called.

    Attributes:
        percent_of_cap: How much of the day's cap may be spent when this model is asked.
        thoughts: Tokens it may bill beyond those of its answer (`agents.providers`).
    """

    model: ChatModel
    price: TokenPrice = FREE
    percent_of_cap: int = 100
    thoughts: int = 0


@dataclass(frozen=True, slots=True)
class LiveJournal:
    """Asks the best model the budget allows, publishes the call, and only then hands it on.

    Attributes:
        tiers: Best model first; after the last one there is no call (outcome `budget`).
        publish: Returns when the call is on the topic.
        clock: Monotonic seconds.
        stale: Why the subject is too old to be worth a call; `""` while it is not. What is recorded
            is served all the same, so a replay needs no clock.
        sleep: Seconds of machine time.
    """

    tiers: Sequence[ModelTier]
    ledger: SpendLedger
    cache: LlmCallCache
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
        if known := self.cache.recall(question):
            return known
        wait = max(PAUSE, self._waits.get(failed.id, PAUSE))
        if wait >= deadline.remaining():
            return None
        await self.sleep(wait)
        return await self.call(question, deadline)

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:
        """The recorded call, or a new one, on the topic before it is returned.

        Raises:
            Unaskable: the question is too long for a record.
            TryLater: the call could not be recorded.
        """
        if known := self.cache.recall(question):
            return known
        checked(question)
        if why := self.stale():
            old = Completion(CallOutcome.STALE, detail=why, sent=False)
            return await self._write_down(call_of(question, old, Paise(0), 0.0))
        affordable = self._reserve(question)
        if affordable is None:
            broke = Completion(CallOutcome.BUDGET, detail="the day's cap is reached")
            return await self._write_down(call_of(question, broke, Paise(0), 0.0))
        tier, reserved = affordable
        try:
            return await self._write_down(await self._ask(question, tier, reserved, deadline))
        finally:
            self.ledger.release(trading_day(question.as_of), reserved)

    async def _ask(
        self, question: Question, tier: ModelTier, reserved: Paise, deadline: Deadline
    ) -> LlmCall:
        started = self.clock()
        try:
            completion = await tier.model.complete(
                question.agent, question.prompt, deadline, str(question.id())
            )
        except asyncio.CancelledError:
            gone = Completion(
                CallOutcome.CANCELLED, detail="the process is stopping", model=tier.model.name
            )
            await self.publish(call_of(question, gone, reserved, self.clock() - started))
            raise
        if completion.retry_after is not None:
            self._waits[question.id()] = completion.retry_after
        return call_of(
            question, completion, cost_of(completion, tier.price, reserved), self.clock() - started
        )

    async def _write_down(self, call: LlmCall) -> LlmCall:
        await self.publish(call)
        if self.cache.remember(call):  # whoever follows the topic may have been faster
            self.ledger.spend(trading_day(call.event_time), call.cost)
        return call

    def _reserve(self, question: Question) -> tuple[ModelTier, Paise] | None:
        """The best model that the day's cap still allows, and what has been set aside for it."""
        for tier in self.tiers:
            reserved = most_of(question, tier.price, tier.thoughts)
            if self.ledger.reserve(trading_day(question.as_of), reserved, tier.percent_of_cap):
                return tier, reserved
        return None


def most_of(question: Question, price: TokenPrice, thoughts: int) -> Paise:
    """The most that an answer to `question` may cost; `thoughts` as of a `ModelTier`."""
    size = len(question.spec.instructions.encode()) + len(question.prompt.encode())
    return price.max_cost(size, question.spec.max_tokens + thoughts)


def cost_of(completion: Completion, price: TokenPrice, reserved: Paise) -> Paise:
    """What a call cost; without token counts the most it could, unless nobody worked on it."""
    if not completion.sent:
        return Paise(0)
    if completion.input_tokens or completion.output_tokens:
        return price.cost(completion.input_tokens, completion.output_tokens)
    unserved = completion.outcome in (CallOutcome.TRANSPORT, CallOutcome.REJECTED)
    return Paise(0) if unserved else reserved


def call_of(question: Question, completion: Completion, cost: Paise, seconds: float) -> LlmCall:
    """The record of one call that took `seconds` of machine time."""
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

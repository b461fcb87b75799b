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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Protocol, TypeVar
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
# seconds that must be left to ask once more: no model answers in less
WORTHWHILE: Final = 1.0
# bytes of a request; with the longest answer it fits a record of `ats.llm`
MAX_REQUEST_BYTES: Final = 256 * 1024


K = TypeVar("K")
V = TypeVar("V")


class Unaskable(ValueError):
    """A question that could not be written down.

    Next: it is not asked, and its subject gets a HOLD.
    """


@dataclass(frozen=True)
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

    @cached_property
    def canonical(self) -> bytes:
        """The request as JSON, always the same bytes."""
        return orjson.dumps(self.request(), option=orjson.OPT_SORT_KEYS)

    @cached_property
    def _id(self) -> UUID:
        return derive("llm", hashlib.sha256(self.canonical).hexdigest())

    def id(self) -> UUID:
        """The hash of the request."""
        return self._id


def checked(question: Question) -> Question:
    """The same question. Raises Unaskable when it is too long for a record."""
    if (size := len(question.canonical)) > MAX_REQUEST_BYTES:
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
        self._cancelled: OrderedDict[tuple[UUID, float], None] = OrderedDict()
        self._limit = limit
        for call in calls:
            self.remember(call)

    def remember(self, call: LlmCall) -> bool:
        """Keep `call`; whether its record was not known before.

        One question can be cancelled several times; each has a record and a cost of its own.
        """
        if call.outcome is CallOutcome.CANCELLED:
            return _keep(self._cancelled, (call.id, call.latency_ms), None, self._limit)
        return _keep(self._calls, call.id, call, self._limit)

    def recall(self, question: Question) -> LlmCall | None:
        """The recorded call of exactly this question, if there is one."""
        call = self._calls.get(question.id())
        return call if call is not None and call.request == question.request() else None


def _keep(kept: OrderedDict[K, V], key: K, value: V, limit: int | None) -> bool:
    """Keep `value` unless its key is known, and no more than `limit`, the oldest go first."""
    if key in kept:
        return False
    kept[key] = value
    if limit is not None and len(kept) > limit:
        kept.popitem(last=False)
    return True


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
        self,
        agent: Agent,
        prompt: str,
        deadline: Deadline,
        run_id: str,
        on_sent: Callable[[], None],
    ) -> Completion:
        """Call the model once; no fault of the provider is an exception.

        `on_sent` is called when a request begins to leave: who is cancelled can say no more.
        """
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
class _Try:
    """One request: to which tier, whether its second to it, and the wait its answer asked for."""

    tier: int
    repeated: bool = False
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class _Affordable:
    """A tier, and what is set aside for a call of it."""

    tier: int
    reserved: Paise


@dataclass(frozen=True, slots=True)
class _CapReached:
    """No tier can be asked; `setting` says why, if it is not the day's cap."""

    setting: str

    @property
    def words(self) -> str:
        return "the cap is reached" + (f": {self.setting}" if self.setting else "")


@dataclass(frozen=True, slots=True)
class LiveJournal:
    """Asks the best model the budget allows, publishes the call, and only then hands it on.

    Of one subject. A model that fails is followed by the next; a provider that is busy is asked
    once more before that, if it is back in time.

    Attributes:
        tiers: Best model first; after the last one there is no call (outcome `budget`).
        decision: What all calls about the subject together may cost; None for no limit of its own.
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
    decision: SpendLedger | None = None
    _tries: dict[UUID, _Try] = field(default_factory=dict, init=False)

    async def again(
        self, question: Question, failed: LlmCall, deadline: Deadline
    ) -> LlmCall | None:
        """Ask the busy model once more when it said, at least after `PAUSE`; else the next one.

        None when there is no next one, no money, or no time left.
        """
        if known := self._recalled(question):
            return known
        last = self._tries.get(failed.id, _Try(0))
        busy = failed.outcome is CallOutcome.TRANSPORT and not last.repeated
        if busy and (wait := max(PAUSE, last.retry_after)) < deadline.remaining():
            await deadline.unless_called_off(self.sleep(wait))
            retry = _Try(last.tier, repeated=True)
        else:
            retry = _Try(last.tier + 1)
        if deadline.remaining() < WORTHWHILE or deadline.called_off:
            return None
        if why := self.stale():
            return await self._not_asked(question, CallOutcome.STALE, why)
        affordable = self._reserve(question, retry.tier)
        if isinstance(affordable, _CapReached):
            return None
        return await self._made(question, affordable, retry, deadline)

    async def call(self, question: Question, deadline: Deadline) -> LlmCall | None:
        """The recorded call, or a new one, on the topic before it is returned.

        None when it was called off before it was made.

        Raises:
            Unaskable: the question is too long for a record.
            TryLater: the call could not be recorded.
        """
        if known := self._recalled(question):
            return known
        checked(question)
        if deadline.called_off:
            return None
        if why := self.stale():
            return await self._not_asked(question, CallOutcome.STALE, why)
        affordable = self._reserve(question, 0)
        if isinstance(affordable, _CapReached):
            return await self._not_asked(question, CallOutcome.BUDGET, affordable.words)
        return await self._made(question, affordable, _Try(0), deadline)

    def _recalled(self, question: Question) -> LlmCall | None:
        known = self.cache.recall(question)
        if known is not None and self.decision is not None:
            self.decision.spend(trading_day(known.event_time), known.cost)
        return known

    async def _not_asked(self, question: Question, outcome: CallOutcome, why: str) -> LlmCall:
        unasked = Completion(outcome, detail=why, sent=False)
        return await self._write_down(call_of(question, unasked, Paise(0), 0.0))

    async def _made(
        self, question: Question, affordable: _Affordable, retry: _Try, deadline: Deadline
    ) -> LlmCall:
        try:
            return await self._write_down(await self._ask(question, affordable, retry, deadline))
        finally:
            for ledger in self._ledgers():
                ledger.release(trading_day(question.as_of), affordable.reserved)

    async def _ask(
        self, question: Question, affordable: _Affordable, retry: _Try, deadline: Deadline
    ) -> LlmCall:
        started, reserved = self.clock(), affordable.reserved
        tier = self.tiers[affordable.tier]
        # a model that does not answer leaves the next one time to
        last = affordable.tier + 1 == len(self.tiers)
        left = asyncio.Event()
        asking = tier.model.complete(
            question.agent,
            question.prompt,
            deadline if last else deadline.half(),
            str(question.id()),
            left.set,
        )
        try:
            completion = await deadline.unless_called_off(asking)
        except asyncio.CancelledError:
            gone = _gone(tier.model.name, "the process is stopping", sent=left.is_set())
            cost = cost_of(gone, tier.price, reserved)
            await self.publish(call_of(question, gone, cost, self.clock() - started))
            raise
        seconds = self.clock() - started
        if completion is None:
            completion = _gone(
                tier.model.name, "nobody needs the answer any more", sent=left.is_set()
            )
        self._tries[question.id()] = replace(
            retry, tier=affordable.tier, retry_after=completion.retry_after or 0.0
        )
        return call_of(question, completion, cost_of(completion, tier.price, reserved), seconds)

    async def _write_down(self, call: LlmCall) -> LlmCall:
        await self.publish(call)
        if self.cache.remember(call):  # whoever follows the topic may have been faster
            self.ledger.spend(trading_day(call.event_time), call.cost)
        if self.decision is not None:
            self.decision.spend(trading_day(call.event_time), call.cost)
        return call

    def _ledgers(self) -> list[SpendLedger]:
        return [self.ledger, self.decision] if self.decision is not None else [self.ledger]

    def _reserve(self, question: Question, first: int) -> _Affordable | _CapReached:
        """The best model from `first` on that every cap allows, and what is set aside for it.

        Else the cap that the last model came to.
        """
        day, reached = trading_day(question.as_of), self.ledger
        for at, tier in enumerate(self.tiers[first:], first):
            reserved = most_of(question, tier.price, tier.thoughts)
            if not self.ledger.reserve(day, reserved, tier.percent_of_cap):
                reached = self.ledger
                continue
            if self.decision is None or self.decision.reserve(day, reserved):
                return _Affordable(at, reserved)
            self.ledger.release(day, reserved)
            reached = self.decision
        return _CapReached(reached.named)


def _gone(model: str, why: str, *, sent: bool) -> Completion:
    """A call that was cancelled under way."""
    return Completion(CallOutcome.CANCELLED, detail=why, model=model, sent=sent)


def most_of(question: Question, price: TokenPrice, thoughts: int) -> Paise:
    """The most that an answer to `question` may cost; `thoughts` as of a `ModelTier`."""
    size = question.spec.fixed_bytes + len(question.prompt.encode())
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
        sent=completion.sent,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cost=cost,
        latency_ms=round(seconds * 1_000, 3),
    )

"""What must be asked anew: counted and priced first, then asked under that very bound.

A Commander is asked about its analysts' answers, and later signals about earlier decisions. So what
is known before anything is asked is a first part; the rest has a bound by number, and the price of
all together is the cap under which is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from agents.deadline import Deadline
from agents.journal import PAUSE, ChatModel, Question, call_of, cost_of, most_of
from agents.prompts import SHIPPED, Agent, PromptSet
from agents.spend import TokenPrice
from audit.whatif.decisions import Judged
from audit.whatif.kept import ANSWERS, KeptAnswers
from schemas.ids import InstrumentId
from schemas.messages import CallOutcome, LlmCall
from schemas.units import Paise

SECONDS: Final = 60.0  # for one answer, machine time: nobody waits for a market
# bytes that two reports add to the analyst's question: two summaries as long as may be, and names
REPORTS: Final = 6_000
NOTHING: Final = Paise(0)
# the committee's, which a signal can come to
OF_A_SIGNAL: Final = (Agent.TECHNICAL, Agent.SENTIMENT, Agent.COMMANDER)


@dataclass(frozen=True, slots=True)
class Bill:
    """What asking would take.

    Attributes:
        model: Who would be asked.
        now: Questions that are known already.
        later: Further ones at most, which follow from answers.
        most: Paise that all may cost at most; None: nobody knows the model's price.
    """

    model: str
    now: int
    later: int
    most: Paise | None

    @property
    def questions(self) -> int:
        """All that may be asked."""
        return self.now + self.later


def bill_of(
    judged: Sequence[Judged],
    scans: Sequence[Question],
    *,
    model: str,
    price: TokenPrice | None,
    thoughts: int,
    prompts: PromptSet = SHIPPED,
) -> Bill:
    """What the unanswered questions of `judged`, in their order, and of `scans` come to.

    After the first unanswered question of an instrument each later signal may have three others,
    and after one of a scan every signal. `thoughts` as of a `ModelTier`.
    """
    now = {each.id(): each for each in (*scans, *(q for one in judged for q in one.unanswered))}
    further = list(_later(judged, changed_scan=bool(scans)))
    if price is None:
        return Bill(model, len(now), len(further), None)
    longest = max((len(each.prompt.encode()) for each in now.values()), default=0)
    most: int = sum(most_of(each, price, thoughts) for each in now.values())
    for agent in further:
        spec = prompts.specs[agent]
        size = len(spec.instructions.encode()) + longest + REPORTS
        most += price.max_cost(size, spec.max_tokens + thoughts)
    return Bill(model, len(now), len(further), Paise(most))


def _later(judged: Sequence[Judged], *, changed_scan: bool) -> Iterable[Agent]:
    """Who may be asked besides, once the first answers are there."""
    changed = set[InstrumentId]()
    for each in judged:
        open_ = changed_scan or each.signal.instrument in changed
        if each.unanswered:
            changed.add(each.signal.instrument)
        elif not open_:
            continue
        asked = {question.agent for question in each.unanswered}
        yield from (agent for agent in OF_A_SIGNAL if agent not in asked)


@dataclass(slots=True)
class Asker:
    """Asks one model within a bill, each question once, and keeps what it answers.

    Attributes:
        thoughts: Tokens it may bill beyond those of its answer, as of a `ModelTier`.
        clock: Monotonic seconds.
        sleep: Seconds of machine time.
        tell: Hears how many questions were sent so far.
        spent: Paise that they cost.
        ended: Why asking ended before all was asked; empty: it did not.
    """

    model: ChatModel
    bill: Bill
    kept: KeptAnswers
    price: TokenPrice
    thoughts: int
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    tell: Callable[[int], None] = lambda _: None
    asked: int = 0
    spent: Paise = NOTHING
    ended: str = ""
    _reserved: int = 0
    _failed: set[UUID] = field(default_factory=set)

    async def ask(self, question: Question) -> LlmCall | None:
        """The answer, kept before it is returned; None where there is none.

        Raises:
            Misconfigured: it could not be kept.
        """
        most = most_of(question, self.price, self.thoughts)
        if self.ended or question.id() in self._failed or not self._within(most):
            return None
        self.asked += 1
        self.tell(self.asked)
        self._reserved += most
        try:
            call = await self._called(question, most)
        finally:
            self._reserved -= most
        self.spent = Paise(self.spent + call.cost)
        if call.outcome in ANSWERS:
            self.kept.keep(call)
            return call
        self._failed.add(question.id())
        if call.outcome is CallOutcome.REJECTED:
            self.ended = f"{self.bill.model} refused a request: {call.detail or 'no reason told'}"
        return None

    def _within(self, most: Paise) -> bool:
        cap = self.bill.most
        assert cap is not None, "nobody is asked at a price that is not known"
        if self.asked >= self.bill.questions:
            self.ended = f"{self.asked:,} questions were agreed to"
        elif self.spent + self._reserved + most > cap:
            self.ended = "what was agreed to may be spent by the next question"
        return not self.ended

    async def _called(self, question: Question, most: Paise) -> LlmCall:
        """Once more after a dropped connection."""
        call, wait = await self._once(question, most)
        if call.outcome is CallOutcome.TRANSPORT:
            await self.sleep(min(SECONDS, max(PAUSE, wait)))
            call, _ = await self._once(question, most)
        return call

    async def _once(self, question: Question, most: Paise) -> tuple[LlmCall, float]:
        began, id_ = self.clock(), str(question.id())
        deadline = Deadline.after(SECONDS, self.clock)
        made = await self.model.complete(question.agent, question.prompt, deadline, id_, _untold)
        cost = cost_of(made, self.price, most)
        call = call_of(question, made, cost, self.clock() - began)
        return call, made.retry_after or 0.0


def _untold() -> None:
    """No question is called off here, so nobody needs to know when its request leaves."""

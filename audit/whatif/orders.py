"""The orders of one side: who gets one, how large, whether the gate lets it out. Pure.

An order that stands in the record, unchanged, has its recorded outcome. A changed one is judged by
the gate on what the gate saw, with the limits of this side and with what both sides' books differ
by. One that was never sent is judged as if all else were well: active user, quoted market, no halt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from audit.replay.orders import RecordedOrders
from audit.whatif.books import Book, Holding, OrderName
from audit.whatif.limits import changed_limits, limits_at
from audit.whatif.paths import path_of
from audit.whatif.setup import Setup
from executors.risk.exposure import Exposure, Reach
from executors.risk.gate import fitting, judge
from executors.risk.recorded import context_of
from executors.risk.situation import OrderCounts, PreTradeContext, Quote
from executors.risk.sizing import NoOrder, UserLimits, plan
from schemas.ids import OrderId, UserId, order_id
from schemas.market import Action, Instrument, trading_day
from schemas.messages import Decision, Execution, FanOut, OrderIntent, Outcome
from schemas.units import Paise, Quantity, UtcNs

NOT_FILLED: Final = "not_filled"
NO_OUTCOME: Final = "no_outcome"
NONE: Final = Quantity(0)
_SIZED: Final = frozenset(each.value for each in NoOrder)


class Standing(StrEnum):
    """What became of an order."""

    LEFT = "left"  # accepted, as recorded or as judged
    DENIED = "denied"  # by the gate, or the claim
    REJECTED = "rejected"  # by the broker
    NONE = "none"  # none was made, or nobody knows what became of it


@dataclass(frozen=True, slots=True)
class Placed:
    """One user's order on one side.

    Attributes:
        quantity: Units that left, or would have had to.
        reason: Why it is no more than this; empty where it left.
        filled: Whether the ticks reached its limit.
    """

    name: OrderName
    decision: Decision
    standing: Standing
    quantity: Quantity = NONE
    reason: str = ""
    filled: bool = False
    intent: OrderIntent | None = None


@dataclass(slots=True)
class RecordedUsers:
    """Who traded on the day, by what was recorded of fan-outs and intents."""

    recorded: RecordedOrders
    _active: list[tuple[UtcNs, frozenset[UserId]]] = field(default_factory=list)

    def add(self, message: FanOut | OrderIntent | Execution) -> None:
        """Take one in, in the order of its partition."""
        self.recorded.add(message)

    def close(self, decisions: Iterable[Decision]) -> None:
        """Once all is read: note who was active at each of the recorded `decisions`."""
        self._active = sorted(
            ((each.event_time, users) for each in decisions if (users := self._of(each))),
            key=lambda each: each[0],
        )

    def _of(self, decision: Decision) -> frozenset[UserId]:
        sized = (
            each.user_id
            for fan_out in self.recorded.fan_outs.get(decision.id, {}).values()
            for each in fan_out.without
            if each.reason_code in _SIZED
        )
        return frozenset(self.recorded.users.get(decision.id, ())) | frozenset(sized)

    def of(self, decision: Decision) -> frozenset[UserId]:
        """Who was active at `decision`; of one that never went out, at the nearest before it."""
        if decision.id in self.recorded.fan_outs or decision.id in self.recorded.users:
            return self._of(decision)
        before = [users for moment, users in self._active if moment <= decision.event_time]
        if before:
            return before[-1]
        return self._active[0][1] if self._active else frozenset()

    def outcome(self, order: OrderId) -> Execution | None:
        """The last word on an order."""
        told = self.recorded.outcomes.get(order, [])
        corrected = {each.corrects for each in told}
        return next((each for each in reversed(told) if each.id not in corrected), None)


@dataclass(frozen=True, slots=True)
class _Order:
    """An intent, and what the record says of it."""

    name: OrderName
    decision: Decision
    intent: OrderIntent
    told: Execution | None

    def placed(self, standing: Standing, quantity: Quantity, reason: str) -> Placed:
        """With what became of it."""
        return Placed(self.name, self.decision, standing, quantity, reason, intent=self.intent)

    def as_recorded(self) -> Placed:
        """With what did become of it."""
        told = self.told
        if told is None:
            return self.placed(Standing.NONE, NONE, NO_OUTCOME)
        if told.outcome is Outcome.ACCEPTED:
            cut = told.evidence.cut_by if told.evidence else ()
            return self.placed(Standing.LEFT, told.quantity, cut[0] if cut else "")
        standing = Standing.REJECTED if told.outcome is Outcome.REJECTED else Standing.DENIED
        return self.placed(standing, told.quantity, told.reason_code)


@dataclass(slots=True)
class Side:
    """One side's orders, made in the order of time.

    Attributes:
        beside: The recorded side; None where this is it.
    """

    setup: Setup
    users: RecordedUsers
    book: Book
    beside: Side | None = None
    placed: dict[OrderName, Placed] = field(default_factory=dict)

    def judge(self, decision: Decision) -> None:
        """Make everybody's orders of `decision`, by what is held so far."""
        instrument = self.setup.instruments.get(decision.instrument)
        if decision.action is Action.HOLD or instrument is None:
            return
        for user in sorted(self.users.of(decision)):
            placed = self._placed(decision, user, instrument)
            self.placed[placed.name] = placed

    def fill(self, decision: Decision) -> None:
        """Put those of them that left into the book."""
        for user in sorted(self.users.of(decision)):
            placed = self.placed.get(OrderName(decision.id, user))
            if placed is None or placed.standing not in (Standing.LEFT, Standing.REJECTED):
                continue
            self.book.count(user, decision.event_time)
            if placed.standing is Standing.LEFT and placed.intent:
                due = self._due(decision)
                filled = self.book.place(placed.name, placed.intent, placed.quantity, due)
                reason = placed.reason if filled else NOT_FILLED
                self.placed[placed.name] = replace(placed, filled=filled, reason=reason)

    def _due(self, decision: Decision) -> UtcNs | None:
        day = trading_day(decision.event_time)
        return self.setup.square_off.at(self.setup.calendar, day, decision.instrument)

    def _placed(self, decision: Decision, user: UserId, instrument: Instrument) -> Placed:
        name = OrderName(decision.id, user)
        told = self.users.outcome(order_id(decision.id, user))
        held = limits_at(self._recorded.limits_of(user), told)
        limits = changed_limits(held, self._recorded.platform, self.setup.platform)
        intent = plan(decision, user, instrument, limits)
        if isinstance(intent, NoOrder):
            return Placed(name, decision, Standing.NONE, reason=intent.value)
        order = _Order(name, decision, intent, told)
        if self.beside is None:
            return order.as_recorded()
        before = self.beside.placed.get(name)
        if before and before.reason == NO_OUTCOME:
            return order.as_recorded()
        more = self._more(user, instrument, decision.event_time)
        same = before is not None and before.intent == intent and limits == held
        if same and more == Holding(result=more.result):
            return order.as_recorded()
        return self._judged(order, more, limits)

    @property
    def _recorded(self) -> Setup:
        return self.beside.setup if self.beside else self.setup

    def _more(self, user: UserId, instrument: Instrument, moment: UtcNs) -> Holding:
        """What this side holds that the recorded one does not."""
        mine = self.book.holding(user, instrument.id, moment)
        theirs = self.beside.book.holding(user, instrument.id, moment) if self.beside else Holding()
        return mine.less(theirs)

    def _judged(self, order: _Order, more: Holding, limits: UserLimits) -> Placed:
        intent, told = order.intent, order.told
        if told and told.evidence:
            if not told.evidence.judgement:  # the claim was refused, or came too late
                return order.as_recorded()
            asked, seen = (
                _with(replace(context_of(each, intent.instrument), limits=limits), more)
                for each in (told.evidence.asked, told.evidence.judgement.seen)
            )
        else:
            mine = self.book.holding(order.name.user, intent.instrument, intent.event_time)
            asked = seen = _with(self._all_well(intent, limits), mine)
        quantity, cut = fitting(intent, asked)
        denial = judge(intent.model_copy(update={"quantity": quantity}), seen)
        if denial:
            return order.placed(Standing.DENIED, quantity, denial.value)
        if told and told.outcome is Outcome.REJECTED:
            return order.as_recorded()
        return order.placed(Standing.LEFT, quantity, cut[0].value if cut else "")

    def _all_well(self, intent: OrderIntent, limits: UserLimits) -> PreTradeContext:
        """A context in which nothing but limits and what is held speaks against `intent`."""
        now = intent.event_time
        price = path_of(self.book.paths, intent.instrument).last_before(now)
        instrument = self.setup.instruments[intent.instrument]
        return PreTradeContext(
            now=now,
            mode_allows=True,
            user_active=True,
            calendar=self.setup.calendar,
            feed_clock=now,
            quote=Quote(price or intent.reference_price, now),
            sent=OrderCounts(),
            limits=limits,
            square_off=self.setup.square_off,
            lot=instrument.lot_size,
        )


def _with(context: PreTradeContext, more: Holding) -> PreTradeContext:
    """`context` with what a side holds besides."""
    here, sent, exposure = context.exposure.here, context.sent, context.exposure
    filled = context.filled
    return replace(
        context,
        sent=replace(sent, today=max(0, sent.today + more.counted)),
        position=context.position + more.units,
        filled=filled + more.units if filled is not None else (more.units or None),
        exposure=Exposure(
            Reach(here.most + more.units, here.least + more.units),
            Paise(max(0, exposure.elsewhere + more.elsewhere)),
            max(0, exposure.positions + more.positions),
        ),
        day_result=context.day_result + more.result,
    )


def make_orders(
    before: Side, after: Side, recorded: Sequence[Decision], changed: Sequence[Decision]
) -> None:
    """Both sides' orders of `recorded` and `changed`, in the order of time.

    An order of the changed side sees both books as they were before that very order.
    """
    of_before, of_after = ({each.id: each for each in side} for side in (recorded, changed))
    every = {each.id: each for each in (*recorded, *changed)}.values()
    for one in sorted(every, key=lambda each: (each.event_time, each.instrument, each.id)):
        if one.id in of_before:
            before.judge(of_before[one.id])
        if one.id in of_after:
            after.judge(of_after[one.id])
            after.fill(of_after[one.id])
        if one.id in of_before:
            before.fill(of_before[one.id])
    before.book.finish()
    after.book.finish()

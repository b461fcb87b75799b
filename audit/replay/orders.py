"""Fan-outs, intents, the gate's verdicts and outcomes once more, from what each of them saw. Pure.

Who was active, what an operator said to a decision, and what Dhan answered are inputs: they stand
in fan-outs and outcomes. All else of these messages is derived: quantity, price, stop and target by
the sizing, what a limit cut away, the verdict of the gate on what it saw.

Where the guarantee stops: a user's own limits stand in the outcomes of their orders. Of a user who
got no order nobody wrote them down, so the platform's count there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bus.records import Output, message_output
from executors.fanout import REFUSALS, fan_out_of
from executors.orders.correction_store import Correction
from executors.orders.observations import placement_event
from executors.orders.outcomes import (
    correction,
    denied_as_seen,
    execution,
    execution_output,
)
from executors.risk.denial import Denial
from executors.risk.gate import fitting, judge
from executors.risk.recorded import context_of
from executors.risk.sizing import NoOrder, UserLimits, plan
from executors.risk.strategy import HELD_BACK, held_back
from executors.store import OrderKey, OrderOutcome
from executors.terms import OrderTerms
from executors.turns import turn
from schemas.evidence import Evidence
from schemas.ids import DecisionId, InstrumentId, OrderId, UserId
from schemas.market import Action, Instrument
from schemas.messages import (
    Approval,
    Decision,
    Execution,
    FanOut,
    OrderIntent,
    WithoutOrder,
)
from schemas.strategy import StrategyMode
from schemas.topics import FANOUTS, ORDER_EVENTS, ORDERS
from schemas.units import Paise

PLATFORM: Final = UserLimits(max_order_value=Paise.from_rupees(50_000), max_orders_per_day=40)
_SIZED: Final = {each.value for each in NoOrder}
_REFUSED: Final = frozenset(REFUSALS.values())


@dataclass(frozen=True, slots=True)
class OrdersAsSet:
    """How orders were made on the day.

    Attributes:
        instruments: Of the day's instrument master.
        limits: The platform's; a user's own may be tighter.
    """

    instruments: Mapping[InstrumentId, Instrument]
    limits: UserLimits = PLATFORM


@dataclass(slots=True)
class RecordedOrders:
    """What is recorded of orders: who got one, what was seen, what Dhan answered."""

    fan_outs: dict[DecisionId, dict[str, FanOut]] = field(default_factory=lambda: defaultdict(dict))
    users: dict[DecisionId, set[UserId]] = field(default_factory=lambda: defaultdict(set))
    outcomes: dict[OrderId, list[Execution]] = field(default_factory=lambda: defaultdict(list))

    def add(self, message: FanOut | OrderIntent | Execution) -> None:
        """Take one in, in the order of its partition; what comes again changes nothing."""
        match message:
            case FanOut():
                self.fan_outs[message.decision_id].setdefault(str(message.id), message)
            case OrderIntent():
                self.users[message.decision_id].add(message.user_id)
            case Execution():
                known = self.outcomes[message.order_id]
                if all(each.id != message.id for each in known):
                    known.append(message)

    def limits_of(self, order: OrderId, platform: UserLimits) -> UserLimits:
        """The limits that `order` was sized by, as its outcome tells; else the platform's."""
        for outcome in self.outcomes.get(order, ()):
            if outcome.evidence:
                value = outcome.evidence.asked.limits.max_order_value
                return replace(platform, max_order_value=value)
        return platform


def fan_out_again(
    decision: Decision, recorded: RecordedOrders, orders: OrdersAsSet
) -> Iterator[Output]:
    """The intents of those users who got one, by turn, and the records of who got none."""
    instrument = orders.instruments.get(decision.instrument)
    if decision.action is Action.HOLD or instrument is None:
        return
    users = sorted(recorded.users.get(decision.id, ()), key=lambda user: turn(decision.id, user))
    if held_back(StrategyMode.PAPER, decision.strategy):  # on no platform
        users = []
    planned = {user: _planned(decision, user, instrument, recorded, orders) for user in users}
    intents = [each for each in planned.values() if isinstance(each, OrderIntent)]
    for intent in intents:
        yield message_output(ORDERS, intent, str(intent.user_id))
    told = list(recorded.fan_outs.get(decision.id, {}).values())
    key = str(decision.instrument)
    if not told:
        yield message_output(FANOUTS, fan_out_of(decision, len(intents), ()), key)
    for fan_out in told:
        if fan_out.more_without:  # those that are not listed are part of its id
            yield message_output(FANOUTS, fan_out, key)
            continue
        without = [
            _without_order(decision, each, fan_out.approval, recorded, orders)
            for each in fan_out.without
        ]
        # a decision that was delivered again may have met other users: of one, all intents are its
        count = len(intents) if len(told) == 1 else fan_out.orders
        again = fan_out_of(decision, count, without, fan_out.approval)
        yield message_output(FANOUTS, again, key)


def _planned(
    decision: Decision,
    user: UserId,
    instrument: Instrument,
    recorded: RecordedOrders,
    orders: OrdersAsSet,
) -> OrderIntent | NoOrder:
    first = plan(decision, user, instrument, orders.limits)
    if isinstance(first, NoOrder):
        return first
    limits = recorded.limits_of(first.id, orders.limits)
    return first if limits == orders.limits else plan(decision, user, instrument, limits)


def _without_order(
    decision: Decision,
    told: WithoutOrder,
    approval: Approval | None,
    recorded: RecordedOrders,
    orders: OrdersAsSet,
) -> WithoutOrder:
    """Who was not active, and what the operator said, are inputs; all else is derived."""
    reason: str | None
    if told.reason_code in HELD_BACK:
        held = held_back(StrategyMode.LIVE, decision.strategy)
        reason = held.value if held else None
    elif told.reason_code in _REFUSED:
        reason = REFUSALS.get(approval.state) if approval else None
    elif told.reason_code in _SIZED:
        instrument = orders.instruments[decision.instrument]
        again = _planned(decision, told.user_id, instrument, recorded, orders)
        reason = again.value if isinstance(again, NoOrder) else None
    else:
        return told
    return WithoutOrder(user_id=told.user_id, reason_code=reason or "would get an order")


def outcomes_again(intent: OrderIntent, told: Sequence[Execution]) -> Iterator[Output]:
    """The outcome of `intent`, its corrections, and what was observed by placing it.

    `told` are the recorded ones; of them only what was seen and what Dhan answered is used.
    """
    first = next((each for each in told if each.corrects is None), None)
    if first is None:
        return
    terms, outcome = _terms_and_outcome(intent, first)
    outcome = replace(outcome, terms=terms)
    user = str(intent.user_id)
    yield execution_output(execution(intent, outcome), terms)
    if placed := placement_event(intent, outcome):
        yield message_output(ORDER_EVENTS, placed, user)
    later = [each for each in told if each.corrects is not None]
    for nth, each in enumerate(_in_turn(first, later), 1):
        known = OrderOutcome(each.outcome, each.reason_code, each.reason, each.dhan_order_id)
        row = Correction(OrderKey.of(intent), nth, known, terms)
        yield execution_output(correction(row), terms)


def _in_turn(first: Execution, later: Sequence[Execution]) -> Iterator[Execution]:
    """Corrections in the order in which each replaces the one before it."""
    by_corrected = {each.corrects: each for each in later}
    current = by_corrected.pop(first.id, None)
    while current is not None:
        yield current
        current = by_corrected.pop(current.id, None)


def _terms_and_outcome(intent: OrderIntent, told: Execution) -> tuple[OrderTerms, OrderOutcome]:
    answered = OrderOutcome(told.outcome, told.reason_code, told.reason, told.dhan_order_id)
    evidence = told.evidence
    if evidence is None:
        return OrderTerms.of(intent), answered
    before = context_of(evidence.asked, intent.instrument)
    quantity, cut = fitting(intent, before)
    order = intent.model_copy(update={"quantity": quantity})
    denial, judgement = None, evidence.judgement
    if judgement:
        denial = judge(order, context_of(judgement.seen, intent.instrument))
        judgement = judgement.model_copy(update={"verdict": denial.value if denial else ""})
    again = Evidence(
        asked=evidence.asked,
        asked_quantity=intent.quantity,
        cut_by=tuple(each.value for each in cut),
        valid_until=intent.valid_until,
        stop=intent.stop if evidence.stop is not None else None,  # older records have none
        judgement=judgement,
    )
    if denial and judgement:
        answered = denied_as_seen(denial, judgement.seen.preflight)
    elif judgement and told.reason_code in set(Denial):
        # it may leave now, and what Dhan would have answered is not recorded
        answered = replace(answered, code="may_leave", text="")
    return OrderTerms.of(order, again.model_dump(mode="json")), answered

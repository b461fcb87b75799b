"""From one decision to one order intent for every active user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

import structlog

from bus.database import StoreAway
from bus.records import Output, Record, message_output
from executors.approvals import APPROVAL, Answered, Approvals, Entries, Waiting
from executors.clock import DecisionTime, MarketClock, MonotonicClock
from executors.crowds import CROWD
from executors.reasons import Reason
from executors.risk.sizing import UserLimits, plan
from executors.risk.strategy import held_back
from executors.sessions import DATABASE_AWAY, ActiveUsers
from executors.turns import RULE, turn
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, UserId, derive
from schemas.market import Action, Instrument
from schemas.messages import Approval, ApprovalState, Decision, OrderIntent, WithoutOrder
from schemas.messages import FanOut as FanOutMessage
from schemas.strategy import StrategyMode
from schemas.topics import FANOUTS, ORDERS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# When the decision's record was published: a header and no field, so that the intent's bytes depend
# on the decision alone.
DECIDED_AT: Final = "ats-decided-at"

HOLD_LIMIT: Final = (
    # seconds of machine time; half of what the shell allows a handler, and longer than any decision
    # lives
    300.0
)
LOOK_AGAIN: Final = 0.25  # seconds between two looks at a stale set
MOST_LISTED: Final = 5_000  # users in one record: with 100 bytes each half of what the topic allows

LimitsOf: TypeAlias = Callable[[UserId], UserLimits]
Exits: TypeAlias = Callable[[OrderIntent, UtcNs], bool]

# what those read whose entries got no yes
REFUSALS: Final = {
    ApprovalState.NO: Reason.APPROVAL_REFUSED,
    ApprovalState.TIMED_OUT: Reason.APPROVAL_TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """Everybody's intents of one decision, by turn, and who gets none."""

    intents: tuple[OrderIntent, ...]
    without: tuple[WithoutOrder, ...]

    def but(self, users: Collection[UserId]) -> tuple[OrderIntent, ...]:
        """The intents of all others."""
        return tuple(each for each in self.intents if each.user_id not in users)

    def refused(self, reason: str) -> Planned:
        """Nobody gets one; those who would have, for `reason`."""
        none = (WithoutOrder(user_id=each.user_id, reason_code=reason) for each in self.intents)
        return Planned((), (*self.without, *none))

    def let_out(self, waiting: Waiting) -> Planned:
        """What may go out now: while it waits the exits, after a yes the rest, after a no nothing.

        Who has an order from before is not without one.
        """
        state, exits = waiting.approval.state, waiting.exits
        if state is ApprovalState.WAITING:
            kept = tuple(each for each in self.intents if each.user_id in exits)
            return Planned(kept, self.without)
        without = tuple(each for each in self.without if each.user_id not in exits)
        rest = Planned(self.but(exits), without)
        return rest if state is ApprovalState.YES else rest.refused(REFUSALS[state])

    def outputs(
        self, decision: Decision, published_at: UtcNs, waiting: Waiting | None
    ) -> list[Output]:
        """The messages: of everybody, or of those whom `waiting` lets out."""
        crowd = sum(each.quantity for each in self.intents)
        headers = [(DECIDED_AT, b"%d" % published_at), (CROWD, b"%d" % crowd)]
        out, before, approval = self, 0, None
        if waiting:
            out, approval = self.let_out(waiting), waiting.approval
            before = 0 if approval.state is ApprovalState.WAITING else len(waiting.exits)
            headers.append((APPROVAL, approval.state.encode()))
        without = sorted(out.without, key=lambda each: each.user_id)
        told = fan_out_of(decision, before + len(out.intents), without, approval)
        return [
            *(
                message_output(ORDERS, each, str(each.user_id))._replace(headers=tuple(headers))
                for each in out.intents
            ),
            message_output(FANOUTS, told, str(decision.instrument)),
        ]


class FanOut:
    """Handler of `ats.decisions`.

    A decision read twice gives the same intents for the users active both times; the claim sees to
    it that a user's second one is no second order. Users come in an order of the decision's own
    (`executors.turns`). A decision that meets a stale set of users is
    held until the set is fresh or the decision expires. Each BUY or SELL leaves a record of who got
    none and why. Nobody gets an order of a strategy that goes less far than the platform. While
    operators approve before anything is sent, entries are left in the database
    (`executors.approvals`), and `answered` goes on with them.
    """

    def __init__(
        self,
        active: ActiveUsers,
        instruments: Mapping[InstrumentId, Instrument],
        limits_of: LimitsOf,
        clock: MarketClock,
        machine: MonotonicClock,
        *,
        platform: StrategyMode,
        approvals: Approvals | None = None,
        exits: Exits = lambda *_: False,
    ) -> None:
        """`platform` is where orders of this process go: paper or live.

        `exits` says of an intent whether it closes what its user holds. `approvals` None: nobody is
        asked.
        """
        self._active = active
        self._instruments = instruments
        self._limits_of = limits_of
        self._clock = clock
        self._machine = machine
        self._approvals = approvals
        self._exits = exits
        self._platform = platform

    async def __call__(self, record: Record) -> Sequence[Output]:
        decision = decode(Decision, record.value)
        if decision.action is Action.HOLD:
            return ()
        planned = await self._planned(decision, record)
        try:
            waiting = await self._leave(decision, planned, record)
        except StoreAway as error:
            log.error("approval_not_asked", decision=str(decision.id), reason=str(error))
            planned, waiting = planned.refused(DATABASE_AWAY), None
        return self._told(decision, planned, record, waiting)

    async def answered(self, answered: Answered) -> Sequence[Output]:
        """What goes out of a decision that was left, now that the answer is known.

        Sized anew, for those who are active now.
        """
        decision = decode(Decision, answered.record.value)
        planned = await self._planned(decision, answered.record)
        return self._told(decision, planned, answered.record, answered.waiting)

    async def _planned(self, decision: Decision, record: Record) -> Planned:
        instrument = self._instruments.get(decision.instrument)
        if instrument is None:
            raise Unreadable(
                f"{decision.instrument} is not in today's instrument master", "instrument"
            )
        await self._hold_while_stale(decision, record)
        return self._plan(decision, instrument)

    def _told(
        self, decision: Decision, planned: Planned, record: Record, waiting: Waiting | None
    ) -> Sequence[Output]:
        outputs = planned.outputs(decision, record.published_at, waiting)
        log.info(
            "decision_fanned_out",
            decision=str(decision.id),
            symbol=decision.symbol,
            action=decision.action,
            orders=len(outputs) - 1,
            without=len(planned.without),
            **({"approval": waiting.approval.state.value} if waiting else {}),
        )
        return outputs

    async def _leave(self, decision: Decision, planned: Planned, record: Record) -> Waiting | None:
        """Leave the entries to wait for a yes; None where none is needed, or there are none."""
        if self._approvals is None or self._approvals.off:
            return None
        when = DecisionTime(decision.event_time, record.published_at)
        began, now = self._machine.monotonic(), self._clock.now(when)
        exits = {each.user_id for each in planned.intents if self._exits(each, now)}
        if not (entries := planned.but(exits)):
            return None

        def left() -> UtcNs:
            over = self._machine.monotonic() - began >= HOLD_LIMIT
            return UtcNs(0) if over else UtcNs(decision.valid_until - self._clock.now(when))

        return await self._approvals.leave(decision.id, record, exits, Entries.of(entries), left)

    async def _hold_while_stale(self, decision: Decision, record: Record) -> None:
        """Return when the set of users is fresh, the decision expired, or `HOLD_LIMIT` is over."""
        when, began = (
            DecisionTime(decision.event_time, record.published_at),
            self._machine.monotonic(),
        )
        while self._active.stale:
            held = self._machine.monotonic() - began
            if self._clock.now(when) >= decision.valid_until or held >= HOLD_LIMIT:
                log.error(
                    "decision_expired_while_held",
                    decision=str(decision.id),
                    symbol=decision.symbol,
                    held=held,
                )
                return
            await self._machine.sleep(LOOK_AGAIN)

    def _plan(self, decision: Decision, instrument: Instrument) -> Planned:
        intents, without = list[OrderIntent](), list[WithoutOrder]()
        states = self._active.states
        no_order = held_back(self._platform, decision.strategy)
        for user in sorted(states, key=lambda user: turn(decision.id, user)):
            state = states[user]
            if not self._active.is_active(user):
                reason = DATABASE_AWAY if state.active else state.reason
                without.append(WithoutOrder(user_id=user, reason_code=reason))
                continue
            intent = no_order or plan(decision, user, instrument, self._limits_of(user))
            if not isinstance(intent, OrderIntent):
                without.append(WithoutOrder(user_id=user, reason_code=intent.value))
                continue
            intents.append(intent)
        return Planned(tuple(intents), tuple(without))


def fan_out_of(
    decision: Decision,
    orders: int,
    without: Sequence[WithoutOrder],
    approval: Approval | None = None,
) -> FanOutMessage:
    """The record of one fan-out; the same content has the same id."""
    listed = tuple(without[:MOST_LISTED])
    digest = sha256(
        "".join(f"{each.user_id}{each.reason_code}" for each in without).encode()
    ).hexdigest()
    state = (approval.state,) if approval else ()
    return FanOutMessage(
        id=derive("fanout", decision.id, orders, digest, *state),
        event_time=decision.event_time,
        causation_id=decision.id,
        correlation_id=decision.correlation_id,
        decision_id=decision.id,
        instrument=decision.instrument,
        symbol=decision.symbol,
        action=decision.action,
        orders=orders,
        without=listed,
        more_without=len(without) - len(listed),
        turns=RULE,
        approval=approval,
    )


def decided(intent: OrderIntent, record: Record) -> DecisionTime:
    """When the decision behind an intent was made.

    Raises:
        Unreadable: the header is no number.
    """
    stamp = record.headers.get(DECIDED_AT, b"%d" % record.published_at)
    if not stamp.isdigit():
        raise Unreadable(f"not nanoseconds: {stamp[:40]!r}", DECIDED_AT)
    return DecisionTime(intent.event_time, UtcNs(int(stamp)))

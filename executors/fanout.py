"""From one decision to one order intent for every active user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

import structlog

from bus.records import Output, Record, message_output
from executors.clock import DecisionTime, MarketClock, MonotonicClock
from executors.crowds import CROWD
from executors.risk.sizing import NoOrder, UserLimits, plan
from executors.sessions import DATABASE_AWAY, ActiveUsers
from executors.turns import RULE, turn
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, UserId, derive
from schemas.market import Action, Instrument
from schemas.messages import Decision, OrderIntent, WithoutOrder
from schemas.messages import FanOut as FanOutMessage
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


class FanOut:
    """Handler of `ats.decisions`.

    A decision read twice gives the same intents for the users active both times; the claim sees to
    it that a user's second one is no second order. Users come in an order of the decision's own
    (`executors.turns`). A decision that meets a stale set of users is
    held until the set is fresh or the decision expires. Each BUY or SELL leaves a record of who got
    none and why.
    """

    def __init__(
        self,
        active: ActiveUsers,
        instruments: Mapping[InstrumentId, Instrument],
        limits_of: LimitsOf,
        clock: MarketClock,
        machine: MonotonicClock,
    ) -> None:
        self._active = active
        self._instruments = instruments
        self._limits_of = limits_of
        self._clock = clock
        self._machine = machine

    async def __call__(self, record: Record) -> Sequence[Output]:
        decision = decode(Decision, record.value)
        if decision.action is Action.HOLD:
            return ()
        instrument = self._instruments.get(decision.instrument)
        if instrument is None:
            raise Unreadable(
                f"{decision.instrument} is not in today's instrument master", "instrument"
            )
        await self._hold_while_stale(decision, record)
        outputs, without = self._orders(decision, instrument, record)
        log.info(
            "decision_fanned_out",
            decision=str(decision.id),
            symbol=decision.symbol,
            action=decision.action,
            orders=len(outputs),
            without=len(without),
        )
        return [
            *outputs,
            message_output(
                FANOUTS, fan_out_of(decision, len(outputs), without), str(decision.instrument)
            ),
        ]

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

    def _orders(
        self, decision: Decision, instrument: Instrument, record: Record
    ) -> tuple[list[Output], list[WithoutOrder]]:
        outputs, without, crowd = list[Output](), list[WithoutOrder](), 0
        states = self._active.states
        for user in sorted(states, key=lambda user: turn(decision.id, user)):
            state = states[user]
            if not self._active.is_active(user):
                reason = DATABASE_AWAY if state.active else state.reason
                without.append(WithoutOrder(user_id=user, reason_code=reason))
                continue
            intent = plan(decision, user, instrument, self._limits_of(user))
            if isinstance(intent, NoOrder):
                without.append(WithoutOrder(user_id=user, reason_code=intent.value))
                continue
            outputs.append(message_output(ORDERS, intent, str(user)))
            crowd += intent.quantity
        headers = ((DECIDED_AT, b"%d" % record.published_at), (CROWD, b"%d" % crowd))
        outputs = [output._replace(headers=headers) for output in outputs]
        return outputs, sorted(without, key=lambda each: each.user_id)


def fan_out_of(decision: Decision, orders: int, without: Sequence[WithoutOrder]) -> FanOutMessage:
    """The record of one fan-out; the same content has the same id."""
    listed = tuple(without[:MOST_LISTED])
    digest = sha256(
        "".join(f"{each.user_id}{each.reason_code}" for each in without).encode()
    ).hexdigest()
    return FanOutMessage(
        id=derive("fanout", decision.id, orders, digest),
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

"""From one decision to one order intent for every active user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import structlog

from bus.records import Output, Record, message_output
from executors.clock import Decided
from executors.planning import NoOrder, UserLimits, plan
from executors.sessions import ActiveUsers
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, UserId
from schemas.market import Action, Instrument
from schemas.messages import Decision, OrderIntent
from schemas.topics import ORDERS
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

# When the decision's record was published: a header and no field, so that the intent's bytes depend on the decision alone.
DECIDED_AT: Final = "ats-decided-at"

LimitsOf: TypeAlias = Callable[[UserId], UserLimits]


class FanOut:
    """Handler of `ats.decisions`.

    A decision read twice gives the same intents for the users active both times; the claim sees to it that a user's second
    one is no second order.
    """

    def __init__(
        self, active: ActiveUsers, instruments: Mapping[InstrumentId, Instrument], limits_of: LimitsOf
    ) -> None:
        self._active = active
        self._instruments = instruments
        self._limits_of = limits_of

    async def __call__(self, record: Record) -> Sequence[Output]:
        decision = decode(Decision, record.value)
        if decision.action is Action.HOLD:
            return ()
        instrument = self._instruments.get(decision.instrument)
        if instrument is None:
            raise Unreadable(f"{decision.instrument} is not in today's instrument master", "instrument")
        await self._active.ready()
        users = self._active.users()
        outputs = [output for user in users if (output := self._order(decision, user, instrument, record))]
        log.info(
            "decision_fanned_out",
            decision=str(decision.id),
            symbol=decision.symbol,
            action=decision.action,
            active_users=len(users),
            orders=len(outputs),
        )
        return outputs

    def _order(self, decision: Decision, user: UserId, instrument: Instrument, record: Record) -> Output | None:
        intent = plan(decision, user, instrument, self._limits_of(user))
        if isinstance(intent, NoOrder):
            log.info("no_order", decision=str(decision.id), user=str(user), reason=intent)
            return None
        output = message_output(ORDERS, intent, str(user))
        return output._replace(headers=((DECIDED_AT, b"%d" % record.published_at),))


def decided(intent: OrderIntent, record: Record) -> Decided:
    """When the decision behind an intent was made.

    Raises:
        Unreadable: the header is no number.
    """
    stamp = record.headers.get(DECIDED_AT, b"%d" % record.published_at)
    if not stamp.isdigit():
        raise Unreadable(f"not nanoseconds: {stamp[:40]!r}", DECIDED_AT)
    return Decided(intent.event_time, UtcNs(int(stamp)))

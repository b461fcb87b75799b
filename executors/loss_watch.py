"""Halts a user for the rest of the day once the day's loss has reached their limit.

The gate denies entries while the loss is beyond the limit; this makes it stay so when the market
turns. The halt is a row like any other, and ends by itself when the next session opens: by the
market's clock, which in a replay runs beside the machine's. Where the calendar does not know a next
session, it stays until an operator lifts it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog

from bus.database import StoreAway
from executors.clock import MonotonicClock
from executors.limits import LimitsBoard
from executors.risk.exposure import loss_reached
from executors.store import Store
from schemas.calendar import Calendar
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import UserId
from schemas.market import trading_day
from schemas.units import NS_PER_SECOND, Paise, UtcNs

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 1.0  # seconds; entries beyond the limit are denied by the gate meanwhile
BY: Final = "ats"


def next_session(calendar: Calendar, now: UtcNs) -> UtcNs | None:
    """When shares are next traded on a later day; None when the calendar does not know."""
    day = calendar.next_trading_day(trading_day(now))
    session = calendar.session(day) if day else None
    return session.open if session else None


@dataclass(slots=True)
class LossWatch:
    """One look a second at every user with a limit on the day's loss.

    Attributes:
        result_of: The user's result of the day at a market time, in paise.
        market_time: What time it is; None when nobody knows yet.
        wall: Machine time, UTC nanoseconds.
    """

    store: Store
    limits: LimitsBoard
    result_of: Callable[[UserId, UtcNs], int]
    market_time: Callable[[], UtcNs | None]
    calendar: Calendar
    machine: MonotonicClock
    wall: Callable[[], int]
    _halted: dict[UserId, date] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self.machine.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Halt whoever has reached their limit; each once a day. A failed call is tried again."""
        now = self.market_time()
        if now is None or self.limits.known is None:
            return
        for user in self.limits.known.of_user:
            most = self.limits.of(user).max_daily_loss
            day = trading_day(now)
            if self._halted.get(user) == day or most is None:
                continue
            if loss_reached(result := self.result_of(user, now), most):
                await self._halt(user, result, now)

    async def _halt(self, user: UserId, result: int, now: UtcNs) -> None:
        opens = next_session(self.calendar, now)
        until = None if opens is None else _datetime(self.wall() + opens - now)
        reason = f"the day's loss of {Paise(-result)} has reached the user's limit"
        try:
            await self.store.impose_halt(user, BY, reason, until)
        except (StoreAway, Misconfigured, Unreadable) as error:
            log.warning("loss_halt_failed", user=str(user), error=str(error))
            return
        self._halted[user] = trading_day(now)
        log.error("daily_loss_reached", user=str(user), loss=-result, until=str(until))


def _datetime(ns: int) -> datetime:
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(seconds=ns // NS_PER_SECOND)

"""What time it is on the market for one decision.

Live, market time is the wall clock. In a demo or a replay the market's clock runs at any speed, so
a decision carries its own: its event time plus the machine time since it was published. Nothing
then expires at full speed that would not have expired live, and what waits in a queue ages as it
would live.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from schemas.units import NS_PER_SECOND, UtcNs


@dataclass(frozen=True, slots=True)
class DecisionTime:
    """When a decision was made.

    Attributes:
        event_time: In market time.
        published_at: In machine time, as Kafka stamped its record.
    """

    event_time: UtcNs
    published_at: UtcNs


@dataclass(frozen=True, slots=True)
class MonotonicClock:
    """Deadlines and pauses; never market time."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sleep_or(self, seconds: float, woken: asyncio.Event) -> None:
        """Sleep until `woken` is set, for `seconds` at most."""
        timer = asyncio.ensure_future(self.sleep(seconds))
        waker = asyncio.ensure_future(woken.wait())
        try:
            await asyncio.wait([timer, waker], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            waker.cancel()


class MarketClock(Protocol):
    """Market time as the executors see it."""

    def now(self, decided: DecisionTime) -> UtcNs: ...

    def of_market(self, feed_clock: UtcNs | None) -> UtcNs | None:
        """What time it is for no decision in particular; None when nobody knows yet."""

    async def reach(self, moment: UtcNs, decided: DecisionTime) -> UtcNs:
        """Wait for `moment`, or nearly; returns the market time it is then."""


class LiveClock:
    """Market time is wall time."""

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wall = wall
        self._sleep = sleep

    def now(self, decided: DecisionTime) -> UtcNs:  # noqa: ARG002  # live, all decisions share one time
        return UtcNs(self._wall())

    def of_market(self, feed_clock: UtcNs | None) -> UtcNs | None:  # noqa: ARG002  # likewise
        return UtcNs(self._wall())

    async def reach(self, moment: UtcNs, decided: DecisionTime) -> UtcNs:
        await self._sleep(max(0, moment - self._wall()) / NS_PER_SECOND)
        return self.now(decided)


class ReplayClock:
    """Market time follows each decision's own chain of causes."""

    def __init__(self, wall: Callable[[], int] = time.time_ns) -> None:
        self._wall = wall

    def now(self, decided: DecisionTime) -> UtcNs:
        return UtcNs(decided.event_time + max(0, self._wall() - decided.published_at))

    def of_market(self, feed_clock: UtcNs | None) -> UtcNs | None:
        """The feed's: a replay has no other clock."""
        return feed_clock

    async def reach(self, moment: UtcNs, decided: DecisionTime) -> UtcNs:
        """Nothing to wait for: the caller judges as of the later moment."""
        return max(moment, self.now(decided))

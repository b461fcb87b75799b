"""Paces a session: market seconds against wall time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

FINEST_SLEEP: Final = 0.001  # shorter sleeps cost more in wake-ups than they give in evenness


@dataclass(slots=True)
class Pacer:
    """Holds the market to `speed` market seconds per second of `monotonic`; None means as fast as consumers read.

    A consumer that keeps the market waiting moves the schedule: the market never runs faster to catch up.
    """

    speed: float | None
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _market: float = field(default=0.0, init=False)
    _wall: float = field(default=0.0, init=False)

    def start(self, second: float) -> None:
        """The market stands at `second` now."""
        self._market, self._wall = second, self.monotonic()

    async def until(self, second: float) -> None:
        """Return when the market may be at `second`; always lets other tasks run."""
        if self.speed is None:
            await self.sleep(0)
            return
        due = self._wall + (second - self._market) / self.speed
        early = due - self.monotonic()
        if early >= FINEST_SLEEP:
            await self.sleep(early)
        else:
            await self.sleep(0)
        if early < 0:
            self._wall -= early

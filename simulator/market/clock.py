"""Paces a session: market seconds against wall time, or step by step as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

FINEST_SLEEP: Final = 0.001  # shorter sleeps cost more in wake-ups than they give in evenness


@dataclass(slots=True)
class Pacer:
    """Holds the market to `speed` market seconds per second of `monotonic`.

    A `speed` of None means as fast as consumers read. A consumer that keeps the market waiting
    moves the schedule: the market never runs faster to catch up. `hold` stops the market at a
    second; what is allowed up to there comes at once, whatever the speed. `hold_from` lets it come
    there at its speed.

    Attributes:
        hold_from: The market is held once it has played something of this second or later.
    """

    speed: float | None
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    held_at: int | None = field(default=None, init=False)
    hold_from: int | None = field(default=None, init=False)
    _market: float = field(default=0.0, init=False)
    _wall: float = field(default=0.0, init=False)
    _over: bool = field(default=False, init=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def start(self, second: float) -> None:
        """The market stands at `second` now."""
        self._market, self._wall = second, self.monotonic()

    def hold(self, second: int) -> None:
        """Let the market go up to and including `second`, not further."""
        self.held_at = second
        if not self._over:
            self._arrived.clear()
        self._moved.set()

    def release(self, second: float) -> None:
        """Let the market, which stands at `second`, go on at `speed`."""
        self.held_at = None
        self.start(second)
        self._moved.set()

    def played(self, second: int) -> None:
        """Everything up to and including `second` has been played."""
        if self.hold_from is not None and second >= self.hold_from:
            self.hold_from = None
            self.hold(second)

    async def arrival(self) -> None:
        """Return when everything up to `held_at` has been played."""
        await self._arrived.wait()

    async def until(self, second: float) -> bool:
        """Return when the market may be at `second`, always letting other tasks run.

        False when it was held on the way: what should come next may have to be cut anew.
        """
        if self.held_at is not None:
            await self.sleep(0)
            if second <= self.held_at:
                return True
            self._moved.clear()
            self._arrived.set()
            await self._moved.wait()
            return False
        if self.speed is None:
            await self.sleep(0)
            return self.held_at is None
        due = self._wall + (second - self._market) / self.speed
        early = due - self.monotonic()
        if early < 0:
            self._wall -= early
        return await self._sleep(max(early, 0.0)) and self.held_at is None

    def finish(self) -> None:
        """Nothing comes any more: whoever waits for an arrival may go."""
        self._over = True
        self._arrived.set()

    async def _sleep(self, seconds: float) -> bool:
        """Sleep; False when the market was held or sent on meanwhile."""
        if seconds < FINEST_SLEEP:
            await self.sleep(0)
            return True
        self._moved.clear()
        waits = asyncio.ensure_future(self.sleep(seconds)), asyncio.create_task(self._moved.wait())
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self._moved.is_set()

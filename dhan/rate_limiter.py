"""Spaces requests, so that Dhan's limits are never met."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class RateLimiter:
    """Spaces requests evenly. Dhan's data API allows 5 a second (docs/facts/dhan.md)."""

    def __init__(
        self,
        per_second: float = 5.0,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = float("-inf")

    async def wait(self) -> None:
        """Wait for this caller's turn; turns come evenly, in the order of the calls."""
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._gap
        if mine > now:
            await self._sleep(mine - now)

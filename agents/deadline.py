"""Machine time left for a job that several calls share, and whether anybody still needs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds; a job may be called off before."""

    at: float
    clock: Callable[[], float] = time.monotonic
    _off: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The moment `seconds` from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())

    def apart(self) -> Deadline:
        """The same moment for jobs that can be called off without the others."""
        return Deadline(self.at, self.clock)

    def half(self) -> Deadline:
        """Half of the time left; called off together with this one."""
        return Deadline(self.clock() + self.remaining() / 2, self.clock, self._off)

    @property
    def called_off(self) -> bool:
        """Whether nobody needs the job any more."""
        return self._off.is_set()

    def call_off(self) -> None:
        """Say that nobody needs the job any more."""
        self._off.set()

    async def unless_called_off(self, job: Awaitable[T]) -> T | None:
        """What `job` comes to; None when it is called off first, then it is cancelled."""
        working = asyncio.ensure_future(job)
        waiting = asyncio.ensure_future(self._off.wait())
        try:
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            waiting.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait((working,))

"""Many records at work, of one key in order: each key has a lane, and lanes run side by side up to a bound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# One busy key may queue so many records per slot before it holds up the others: memory against fairness.
WAITING_PER_SLOT: Final = 16


class Lanes(Generic[T]):
    """Runs `work` on items: of one lane one after the other, of different lanes at the same time.

    `work` must not raise: whoever builds the lanes says there what an error means.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], in_flight: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(in_flight)  # fair: lanes take turns
        self._room = asyncio.Semaphore(in_flight * WAITING_PER_SLOT)
        self._waiting: dict[Hashable, deque[T]] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._began: dict[Hashable, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def at_work(self) -> int:
        """Items being worked on now."""
        return len(self._began)

    def oldest(self) -> float:
        """Seconds (monotonic clock) since the longest running item began; 0.0 when none runs."""
        return time.monotonic() - min(self._began.values()) if self._began else 0.0

    async def room(self) -> None:
        """Wait until one more item may be put."""
        await self._room.acquire()

    def put(self, lane: Hashable, item: T) -> None:
        """Queue `item`, for which there is `room`."""
        self._idle.clear()
        self._waiting.setdefault(lane, deque()).append(item)
        if lane not in self._running:
            self._running[lane] = asyncio.ensure_future(self._run(lane))

    def no_room_needed(self) -> None:
        """Give back a `room` that nothing was put into."""
        self._room.release()

    async def idle(self) -> None:
        """Wait until nothing is queued or at work."""
        await self._idle.wait()

    def abandon(self, is_lost: Callable[[T], bool]) -> None:
        """Drop queued items that are lost; what is at work goes on to its end."""
        for queue in self._waiting.values():
            for item in [item for item in queue if is_lost(item)]:
                queue.remove(item)
                self._room.release()

    async def cancel(self, wait: float) -> None:
        """Drop everything, also what is at work, which gets `wait` seconds to clean up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait)

    async def _run(self, lane: Hashable) -> None:
        queue = self._waiting[lane]
        try:
            while queue:
                async with self._slots:
                    if queue:  # it may have been abandoned while we waited for the slot
                        await self._one(lane, queue.popleft())
        finally:
            del self._waiting[lane], self._running[lane]
            if not self._running:
                self._idle.set()

    async def _one(self, lane: Hashable, item: T) -> None:
        self._began[lane] = time.monotonic()
        try:
            await self._work(item)
        finally:
            del self._began[lane]
            self._room.release()

"""Runs tasks concurrently, serially per key, up to a bound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# One busy key may queue so many records per slot before it holds up the others: memory against
# fairness.
WAITING_PER_SLOT: Final = 16


class KeyedQueue(Generic[T]):
    """Runs `work` on items: those of one key one after the other, those of different keys
    concurrently.

    `work` must not raise: whoever builds the queue decides what an error means.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], in_flight: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(in_flight)  # fair: keys take turns
        self._places = asyncio.Semaphore(in_flight * WAITING_PER_SLOT)
        self._waiting: dict[Hashable, deque[T]] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._began: dict[Hashable, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """How many items are being worked on."""
        return len(self._began)

    def oldest(self) -> float:
        """Seconds (monotonic clock) since the longest running item began; 0.0 when none runs."""
        return time.monotonic() - min(self._began.values()) if self._began else 0.0

    async def acquire(self) -> None:
        """Wait for a place: one more item may be submitted."""
        await self._places.acquire()

    def submit(self, key: Hashable, item: T) -> None:
        """Queue `item` in a place that was acquired."""
        self._idle.clear()
        self._waiting.setdefault(key, deque()).append(item)
        if key not in self._running:
            self._running[key] = asyncio.ensure_future(self._run(key))

    def release(self) -> None:
        """Give back an acquired place that nothing was submitted to."""
        self._places.release()

    async def idle(self) -> None:
        """Wait until nothing is queued or running."""
        await self._idle.wait()

    def discard(self, is_lost: Callable[[T], bool]) -> None:
        """Drop queued items that are lost; what runs goes on to its end."""
        for queue in self._waiting.values():
            for item in [item for item in queue if is_lost(item)]:
                queue.remove(item)
                self._places.release()

    async def cancel(self, wait: float) -> None:
        """Cancel what runs, which gets `wait` seconds to clean up."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait)

    async def _run(self, key: Hashable) -> None:
        queue = self._waiting[key]
        try:
            while queue:
                async with self._slots:
                    if queue:  # it may have been discarded while we waited for the slot
                        await self._one(key, queue.popleft())
        finally:
            del self._waiting[key], self._running[key]
            if not self._running:
                self._idle.set()

    async def _one(self, key: Hashable, item: T) -> None:
        self._began[key] = time.monotonic()
        try:
            await self._work(item)
        finally:
            del self._began[key]
            self._places.release()

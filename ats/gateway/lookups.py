"""Reads of the record for one answer: on a thread of their own, few at once, and not for long.

Reading a day of a topic and decoding it takes seconds of a core; streams must not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from threading import Thread
from typing import Any, Final, TypeVar, cast

import structlog

from schemas.errors import AtsError, Misconfigured, TryLater
from schemas.ids import UserId

AT_ONCE: Final = 2  # that are read side by side
WAITING: Final = 16  # that are read or wait; a further one is refused
OF_ONE_USER: Final = 3  # of those; a page that opens asks for one
WITHIN: Final = 10.0  # seconds from the question, so that a slow one does not hold the others up
END_WITHIN: Final = 2.0  # seconds for connections to close
KEPT: Final = 64  # answers; the largest, a day of a share's minutes, takes 0.3 MB

T = TypeVar("T")
log = structlog.get_logger(__name__)


class RecordAway(AtsError):
    """What is recorded cannot be read now. Next: the viewer asks again later.

    Attributes:
        code: Why, as one word.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the record cannot be read now: {code}")
        self.code = code


class Lookups:
    """Runs them and keeps their results for those who ask next."""

    def __init__(self, within: float = WITHIN) -> None:
        """`within`: seconds that one may take."""
        self._within = within
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self._of_user: Counter[UserId] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._turns: asyncio.Semaphore | None = None

    async def find(self, user: UserId, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` finds; of the same `key` it is read once, and then kept.

        `read` runs on another thread: it touches nothing that this one changes.

        Raises:
            RecordAway: too much is being read already, it took too long, or Kafka is away.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return cast(T, self._kept[key])
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= WAITING or self._of_user[user] >= OF_ONE_USER:
                raise RecordAway("busy")
            self._of_user[user] += 1
            task = self._running[key] = asyncio.create_task(self._read(user, key, read))
            task.add_done_callback(_seen)  # its viewer may have gone
        return cast(T, await asyncio.shield(task))

    async def close(self) -> None:
        """Give up what is being read, and end the thread."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._loop is not None and self._thread is not None:
            ended = asyncio.run_coroutine_threadsafe(_ended(), self._loop)
            await asyncio.wrap_future(ended)
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()
            self._loop = self._thread = None

    async def _read(self, user: UserId, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._within):
                found = await self._elsewhere(self._in_turn(read))
        except TimeoutError:
            log.warning("record_read_too_long", seconds=self._within)
            raise RecordAway("too_long") from None
        except (TryLater, Misconfigured) as error:
            log.warning("record_not_read", error=str(error))
            raise RecordAway("record_away") from None
        finally:
            del self._running[key]
            self._of_user -= Counter({user: 1})  # and forget whom nothing is read for
        self._kept[key] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _in_turn(self, read: Callable[[], Awaitable[T]]) -> T:
        """Runs on the other thread."""
        assert self._turns, "made with the thread"
        async with self._turns:
            return await read()

    async def _elsewhere(self, work: Coroutine[Any, Any, T]) -> T:
        """Cancelled, the work over there is cancelled too."""
        if self._loop is None:
            self._turns = asyncio.Semaphore(AT_ONCE)  # binds to the loop that first waits on it
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._loop.run_forever, name="lookups", daemon=True)
            self._thread.start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


async def _ended() -> None:
    """What was cancelled closes its connections; runs on the other thread."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=END_WITHIN)


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()

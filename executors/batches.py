"""Asks many questions of the database in few calls, and gives each asker its own answer.

While calls are on their way, questions gather; the next call takes all of them, up to `MOST`. So a
question that comes alone is asked alone and at once, and ten thousand that come together need some
hundred calls instead. Nobody waits for more than the calls before theirs.

A batch has the answers that its questions would have one by one. What the database says no answer
to in a batch, because somebody else holds what the question needs, or because one of the batch
cannot be read, is asked alone: so one user's trouble is no other's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from schemas.errors import Unreadable

# Of one call: some 30 ms of Postgres's time. A halt waits for claims that run, half a second at
# most. The database takes 100.
MOST: Final = 32
# Calls at once: as many as the database has cores to spare; more would only wait there.
AT_ONCE: Final = 4
_ALONE: Final = {"status": "busy"}  # the database's words: ask again, alone

Arguments: TypeAlias = dict[str, Any]
Waiting: TypeAlias = tuple[Arguments, "asyncio.Future[Any]"]


class Batches:
    """Questions of one kind.

    Args:
        one: Asks one question.
        many: Asks several, whose answers come in the same order. Raises Unreadable when one of
            them cannot be taken, and then none has been.
    """

    def __init__(
        self,
        one: Callable[[Arguments], Awaitable[Any]],
        many: Callable[[Sequence[Arguments]], Awaitable[Sequence[Any]]],
    ) -> None:
        self._one = one
        self._many = many
        self._waiting: deque[Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._due = False

    async def answer(self, arguments: Arguments) -> Any:
        """The database's answer to the question with these `arguments`.

        Raises:
            StoreAway, Misconfigured, Unreadable: as the single question would.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((arguments, future))
        if not self._due:
            self._due = True
            loop.call_soon(self._begin)  # with whoever asks in the same turn of the loop
        answer = await future
        return await self._one(arguments) if answer == _ALONE else answer

    def _begin(self) -> None:
        self._due = False
        while self._waiting and len(self._calls) < AT_ONCE:
            count = min(MOST, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            # who stopped waiting before the call began asks nothing
            batch = [each for each in batch if not each[1].done()]
            if batch:
                call = asyncio.ensure_future(self._call(batch))
                self._calls.add(call)
                call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._begin()

    async def _call(self, batch: list[Waiting]) -> None:
        asked = [arguments for arguments, _ in batch]
        try:
            if len(batch) == 1:
                answers: Sequence[Any] = [await self._one(asked[0])]
            else:
                answers = await self._many(asked)
        except Unreadable as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            answers = [_ALONE] * len(batch)
        except Exception as error:  # noqa: BLE001  # each asker's to judge, as if it had asked alone
            _fail(batch, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():  # an asker may have been cancelled
                future.set_result(answer)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)

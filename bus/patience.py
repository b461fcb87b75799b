"""How long we wait for a broker that has just started, and for one that has gone.

For a moment a new one answers without having read which topics it has, and says of each that it
does not exist. A topic that really is missing ends a service for good, until a person comes.
One that has gone is waited for, as it mostly comes back. Whoever reads to an end waits for so long
and no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from schemas.errors import TryLater

KNOWN_WITHIN: Final = 3.0  # seconds; a single node needs less than one
LOOK_EVERY: Final = 0.2
SILENT_FOR: Final = 60.0  # seconds; a broker that starts again is back in less than 30

T = TypeVar("T")


async def until_known(look: Callable[[], Awaitable[T | None]]) -> T | None:
    """Repeat `look` while it finds nothing, `KNOWN_WITHIN` seconds long; what it found, or None."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KNOWN_WITHIN
    while (found := await look()) is None and loop.time() < deadline:  # noqa: ASYNC110  # a broker has no event
        await asyncio.sleep(LOOK_EVERY)
    return found


class Silence:
    """How long Kafka has given nothing to somebody who reads to an end."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._began: float | None = None

    def note(self, unread: object, *, heard: bool) -> None:
        """Take in what one poll gave: whether anything, and what is not read yet, for a person.

        Raises:
            TryLater: nothing came for `SILENT_FOR` seconds of polls.
        """
        if heard:
            self._began = None
        elif self._began is None:
            self._began = self._clock()
        elif self._clock() - self._began >= SILENT_FOR:
            raise TryLater(
                f"Kafka gave nothing for {SILENT_FOR:g} s and {unread} is not read to its end: is "
                "the broker away? Start again when it answers"
            )

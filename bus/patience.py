"""Patience with a broker that has just started.

For a moment it answers without having read which topics it has, and says of each that it does not
exist. A topic that really is missing ends a service for good, until a person comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

KNOWN_WITHIN: Final = 3.0  # seconds; a single node needs less than one
LOOK_EVERY: Final = 0.2

T = TypeVar("T")


async def until_known(look: Callable[[], Awaitable[T | None]]) -> T | None:
    """Repeat `look` while it finds nothing, `KNOWN_WITHIN` seconds long; what it found, or None."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + KNOWN_WITHIN
    while (found := await look()) is None and loop.time() < deadline:  # noqa: ASYNC110  # a broker has no event
        await asyncio.sleep(LOOK_EVERY)
    return found

"""Waiting for a child process that serves HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import httpx

from ats.embedded.process import Child
from ats.exits import error_of

READY_WITHIN: Final = 60.0  # seconds; 1 to 3 on an idle machine
_EVERY: Final = 0.1
_PATIENCE: Final = 5.0  # seconds for one answer; the first page a server renders may take some


async def until_it_answers(
    child: Child, url: str, headers: Mapping[str, str] | None = None
) -> None:
    """Wait until a GET of `url` succeeds.

    Raises:
        Misconfigured: it ended because a setting or a file is wrong; the message is its own.
        Faulty: it ended by a mistake in it; the end of its log is in the message.
        TryLater: it stayed silent, or what it depends on is away; so is the end of its log.
    """
    deadline = time.monotonic() + READY_WITHIN
    async with httpx.AsyncClient(headers=headers, timeout=_PATIENCE) as http:
        while child.running and time.monotonic() < deadline:
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(_EVERY)
    raise error_of(child.name, child.exit_code, f"{child.name} did not start", child.tail())

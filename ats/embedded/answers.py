"""Waiting for a child process that serves HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import httpx

from ats.embedded.process import Child
from schemas.errors import TryLater

READY_WITHIN: Final = 60.0  # seconds; 1 to 3 on an idle machine
_EVERY: Final = 0.1
_PATIENCE: Final = 5.0  # seconds for one answer; the first page a server renders may take some


async def until_it_answers(child: Child, url: str, headers: Mapping[str, str] | None = None) -> None:
    """Wait until a GET of `url` succeeds.

    Raises:
        TryLater: it ended or stayed silent; the end of its log is in the message.
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
    raise TryLater(f"{child.name} did not start; the end of its log:\n{child.tail()}")

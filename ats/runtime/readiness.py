"""Waiting for a child process that serves HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from ats.runtime.child import Child
from ats.runtime.exit_codes import error_of
from ats.runtime.signs import Signs

_EVERY: Final = 0.1
_PATIENCE: Final = 5.0  # seconds for one answer; the first page a server renders may take some


async def until_it_answers(
    child: Child, url: str, headers: Mapping[str, str] | None = None
) -> None:
    """Wait until a GET of `url` succeeds, as long as the child gives signs of life.

    Raises:
        Misconfigured: it ended because a setting or a file is wrong; the message is its own.
        Faulty: it ended by a mistake in it; the end of its log is in the message.
        TryLater: it gave no sign for a while, or what it depends on is away; so is the end of
            its log.
    """
    signs, lost = Signs(child), ""
    async with httpx.AsyncClient(headers=headers, timeout=_PATIENCE) as http:
        while child.running and not (lost := signs.lost):
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(_EVERY)
    what = f"{child.name} did not start" if child.exit_code is not None else f"{child.name} {lost}"
    raise error_of(child.name, child.exit_code, what, child.tail())

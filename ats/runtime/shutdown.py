"""When a process ends: SIGINT and SIGTERM, heard in the event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def die_of_ctrl_c() -> None:
    """Until `stop_on_signals`, SIGINT ends the process where it is: when nothing needs an orderly
    end yet, and a thread that cannot be stopped is at work, such as one that reads a file.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def until_signalled() -> None:
    """Return when the process is told to stop (SIGINT, SIGTERM)."""
    await stop_on_signals().wait()


async def until_interrupted(work: Coroutine[Any, Any, int]) -> int | None:
    """What `work` returns; None when a signal came first, and `work` was cancelled."""
    interrupted = asyncio.create_task(until_signalled())
    working = asyncio.create_task(work)
    await asyncio.wait({working, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    interrupted.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return None

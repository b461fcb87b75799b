"""When a process ends: SIGINT and SIGTERM, heard in the event loop."""

from __future__ import annotations

import asyncio
import signal


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

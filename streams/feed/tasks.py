"""Ending tasks and asking what became of them."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel(task: asyncio.Task[Any]) -> None:
    """End a task and wait for it; its own failure stays in it for `failure_of`."""
    task.cancel()
    await asyncio.wait({task})


def failure_of(task: asyncio.Task[Any]) -> BaseException | None:
    """What a task failed with; None while it runs, or when it succeeded or was cancelled."""
    return None if task.cancelled() or not task.done() else task.exception()

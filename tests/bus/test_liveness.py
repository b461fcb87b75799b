"""The pulse tells a frozen process from a busy one. In a process of its own, because it ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from bus.exit import Exit

ROOT = Path(__file__).parents[2]
SESSION = 1.0  # seconds; frozen for 0.8 of it is too long
PROGRAM = f"""
import sys, time
from bus.liveness import FreezeWatchdog
pulse = FreezeWatchdog({SESSION})
pulse.start()
print("beating", flush=True)
began = time.monotonic()
while time.monotonic() - began < float(sys.argv[1]):
    pass
pulse.check()
"""


async def a_process_busy_for(seconds: float) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(seconds), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"beating\n"
    return process


async def test_a_process_that_was_frozen_ends_when_it_wakes() -> None:
    process = await a_process_busy_for(60)

    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2 * SESSION)
    process.send_signal(signal.SIGCONT)

    assert await asyncio.wait_for(process.wait(), 10) == Exit.STALLED


async def test_a_process_that_is_only_busy_goes_on() -> None:
    process = await a_process_busy_for(3 * SESSION)

    assert await asyncio.wait_for(process.wait(), 30) == 0

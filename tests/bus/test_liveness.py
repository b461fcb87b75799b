"""The pulse tells a frozen process from a busy one. In a process of its own, because it ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import pytest

from bus.exit import Exit
from bus.faust_app import GroupMember
from bus.liveness import watch
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.records import TopicPartition

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


OWNED = TopicPartition("source", 0)


class Answering:
    """A member of a group, and the progress of its shell, whose broker answers when told."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[dict[TopicPartition, int]] = asyncio.Future()

    async def ends(self, _: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.set()
        return await self.answer

    def positions(self) -> Mapping[TopicPartition, int]:
        return {OWNED: 0}

    def fatal_reason(self) -> str:
        return ""

    def stall_reason(self) -> str:
        return ""

    def busy(self) -> bool:
        return False


@pytest.mark.parametrize("turns", range(4))
async def test_a_watch_that_is_told_to_end_as_its_answer_comes_ends(turns: int) -> None:
    member = Answering()
    watching = asyncio.ensure_future(
        watch(cast(GroupMember, member), member, ShellMetrics(), ShellOptions())
    )
    await member.asked.wait()

    member.answer.set_result({OWNED: 0})
    for _ in range(turns):  # of the event loop, between the answer and the end
        await asyncio.sleep(0)
    watching.cancel()

    await asyncio.wait({watching}, timeout=10)
    assert watching.cancelled()

"""Processes of test programs: started, killed, started again, and never left behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]


class Worker:
    """One named process. With `supervised()` running it is started again whenever it ends by itself."""

    def __init__(self, log: IO[bytes], module: str, bootstrap: str, prefix: str, instance: str, *more: str) -> None:
        self._log = log
        self._command = [sys.executable, "-m", f"tests.bus.programs.{module}", bootstrap, prefix, instance, *more]
        self._process: subprocess.Popen[bytes] | None = None
        self.exits: list[int] = []
        self.resting = False

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=self._log, stderr=self._log)

    def signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    async def ended(self, within: float = 20) -> int:
        """Wait for the end and return its code."""
        assert self._process
        async with asyncio.timeout(within):
            while (code := self._process.poll()) is None:  # noqa: ASYNC110  # a process has no event
                await asyncio.sleep(0.02)
        self.exits.append(code)
        return code

    async def restart(self, number: int, pause: float) -> None:
        self.resting = True
        self.signal(number)
        await self.ended()
        await asyncio.sleep(pause)
        self.start()
        self.resting = False

    async def supervised(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._process and not self.resting and (code := self._process.poll()) is not None:
                self.exits.append(code)
                self.start()

    def kill(self) -> None:
        if self._process:
            self.signal(signal.SIGKILL)
            self._process.wait()

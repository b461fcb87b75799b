"""Processes of test programs: started, killed, started again, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from bus.connection import KafkaConnection
from tests.bus.programs.process import FETCH_CLIENT

ROOT = Path(__file__).parents[2]


class Worker:
    """One named process. With `supervised()` running it is started again whenever it ends by
    itself.
    """

    def __init__(
        self, log: Path, module: str, kafka: KafkaConnection, prefix: str, instance: str, *more: str
    ) -> None:
        self._log = log
        self._environment = os.environ | {FETCH_CLIENT: kafka.fetch_client}
        self._command = [
            sys.executable,
            "-m",
            f"tests.bus.programs.{module}",
            kafka.bootstrap_servers,
            prefix,
            instance,
            *more,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0
        self.exits: list[int] = []
        self.resting = False

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._seen = log.tell()
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    async def joined(self) -> None:
        """Wait until the newest process owns partitions, or knows that there are none for it."""
        await self.logged(b"joined")

    async def logged(self, words: bytes, within: float = 40) -> None:
        """Wait until the process started last says `words`."""
        async with asyncio.timeout(within):
            while words not in self._log.read_bytes()[self._seen :]:  # noqa: ASYNC110  # a log has no event
                await asyncio.sleep(0.05)

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

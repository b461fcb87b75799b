"""Child processes that never outlive us."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_POLL = 0.02


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask Linux to send this process `number` when its parent dies, kill -9 included.

    Runs between fork and exec. The parent is the thread that forks: start children from the main
    thread. Elsewhere than on Linux this does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


class Child:
    """One child process with its output in a file.

    It has a session of its own, so that Ctrl-C in the terminal reaches only us and we end it in our
    order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`env` is the child's whole environment; None hands ours down, as does `cwd`."""
        self.name = name
        self.log = log
        self._command = list(command)
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603  our own command lines, no shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  one prctl call, made from the main thread
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while running or never started; negative for a signal, as `subprocess` says it."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def ended(self, seconds: float) -> bool:
        """Whether the process ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds (it also ends a frozen process)."""
        self.signal(signal.SIGTERM)
        if not await self.ended(grace):
            self.signal(signal.SIGKILL)
            await self.ended(5)

    def tail(self, size: int = 2_000) -> str:
        """The end of its output, for an error message."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

"""Real `ats streams` processes: started again whenever they end, killed, ended, frozen, and never
left behind.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ats.runtime.child import Child

ROOT = Path(__file__).parents[2]
BACKOFF = 0.2  # seconds before a process that ended by itself is started again
END_WITHIN = 15.0  # seconds; a stop takes three at most
SAID = re.compile(rb"process_ends.*")


@dataclass
class Worker:
    """One instance name.

    Attributes:
        busy: A fault is at work on it; the supervisor keeps away.
        codes: How its processes ended, and how often.
    """

    name: str
    folder: Path
    settings: dict[str, str]
    busy: bool = False
    codes: Counter[int] = field(default_factory=Counter)
    starts: int = 0
    deaths_while_starting: int = 0

    def __post_init__(self) -> None:
        # a supervisor hands its own environment down; ours may hold a developer's settings
        plain = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ATS_", "KAFKA_"))
        }
        self.child = Child(
            self.name,
            [sys.executable, "-m", "ats", "streams"],
            log=self.folder / f"{self.name}.log",
            env=plain | {"ATS_ENV_FILE": "", "ATS_INSTANCE": self.name} | self.settings,
            cwd=ROOT,
        )
        self._seen = 0

    def start(self) -> None:
        self._seen = self.child.log.stat().st_size if self.child.log.exists() else 0
        self.starts += 1
        self.child.start()

    @property
    def joined(self) -> bool:
        """Whether the process started last has its partitions."""
        return b"joined" in self._log()[self._seen :]

    @property
    def last_words(self) -> list[str]:
        """Why its processes ended, as far as they could say."""
        return [line.decode(errors="replace") for line in SAID.findall(self._log())]

    def _log(self) -> bytes:
        return self.child.log.read_bytes() if self.child.log.exists() else b""

    async def end(self, number: signal.Signals) -> None:
        """Send `number` and wait for the end; kill what takes too long, as a supervisor does (the
        broker may be away).
        """
        if not self.joined:
            self.deaths_while_starting += 1
        self.child.signal(number)
        if not await self.child.ended(END_WITHIN):
            self.child.signal(signal.SIGKILL)
            await self.child.ended(END_WITHIN)
        self.note_end()

    def note_end(self) -> None:
        code = self.child.exit_code
        assert code is not None
        self.codes[code] += 1

    async def supervised(self) -> None:
        while True:
            await asyncio.sleep(BACKOFF)
            if not self.busy and self.child.exit_code is not None:
                self.note_end()
                self.start()

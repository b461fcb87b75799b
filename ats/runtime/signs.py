"""Signs of life of a child process, so that a slow one is told from one that hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import psutil

from ats.runtime.child import Child

SILENT: Final = 90.0  # seconds without a sign after which nobody waits any longer
LONGEST: Final = 3_600.0  # seconds after which signs do not help either
# Seconds of processor time that are a sign. Who only waits uses less than this in `SILENT`; who
# works uses more, also where the machine has a fiftieth of a core for it.
WORK: Final = 0.9


class Signs:
    """Looks at one child: a line in its log, or work done, is a sign."""

    def __init__(self, child: Child, now: Callable[[], float] = time.monotonic) -> None:
        self._child = child
        self._now = now
        self._began = self._last = now()
        self._size = self._written()
        self._worked = 0.0

    @property
    def lost(self) -> str:
        """Why waiting for it is of no use any more; empty while it is."""
        now = self._now()
        size, worked = self._written(), self._processor_time()
        # a restarted child begins at zero again
        if size != self._size or not 0 <= worked - self._worked < WORK:
            self._last, self._size, self._worked = now, size, worked
        if now - self._last > SILENT:
            return f"gave no sign for {SILENT:.0f} seconds"
        return "is not ready after an hour" if now - self._began > LONGEST else ""

    @property
    def last_line(self) -> str:
        """The last thing it wrote to its log."""
        lines = self._child.tail().strip().splitlines()
        return lines[-1] if lines else "(its log is empty)"

    def _written(self) -> int:
        return self._child.log.stat().st_size if self._child.log.exists() else 0

    def _processor_time(self) -> float:
        """Seconds of the child and of those it started."""
        try:
            process = psutil.Process(self._child.pid)
            family = [process, *process.children(recursive=True)]
            return sum(sum(each.cpu_times()[:2]) for each in family)
        except psutil.Error:
            return self._worked  # it, or one of its own, has just ended

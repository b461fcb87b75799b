"""Says what is being waited for.

A spinner or a bar on a terminal; elsewhere a line at the start, one every few seconds and one at
the end. From a thread of its own: a long import or a blocked event loop does not silence it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_EVERY: Final = 4.0  # seconds between two lines where no terminal is


class Pulse:
    """Prints what `say` answers, every few seconds until it is left."""

    def __init__(self, console: Console, say: Callable[[], str], every: float = LINE_EVERY) -> None:
        self._console = console
        self._say = say
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._every):
            self._console.print(self._say(), highlight=False, markup=False, soft_wrap=True)


class Step:
    """One thing that takes a while: a context manager that is told how far it is."""

    def __init__(self, console: Console, what: str, every: float = LINE_EVERY) -> None:
        self._console = console
        self._what = what
        self._detail = ""
        self._began = 0.0
        self._pulse = None if console.is_terminal else Pulse(console, self._line, every)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(escape(what), total=None)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._pulse:
            self._console.print(self._what, highlight=False, markup=False, soft_wrap=True)
            self._pulse.__enter__()
        else:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pulse:
            self._pulse.__exit__(kind, error, trace)
        else:
            self._bar.stop()
        if error is None:
            took = f"{self._what}: done in {time.monotonic() - self._began:.0f} s"
            self._console.print(took, style="dim", highlight=False, markup=False, soft_wrap=True)

    def now(self, detail: str, done: float = 0, of: float = 0) -> None:
        """What it is at; `done` of `of` for the bar, when it can be counted."""
        self._detail = detail
        said = escape(detail or self._what)
        self._bar.update(self._task, description=said, completed=done, total=of or None)

    def _line(self) -> str:
        passed = time.monotonic() - self._began
        return f"  {passed:4.0f} s  {self._detail or self._what}"

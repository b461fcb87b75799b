"""Reservations of a process in a file, so that a killed one leaves word of what it had under way.

A line is in the file before its call is made; a process that is killed outright loses nothing that
was written, a machine that loses its power may. One process at a time uses a file: a lock beside it
says so.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from schemas.errors import Misconfigured, TryLater

# lines before the file is written anew with only what is open; some 40 bytes each
MAX_LINES: Final = 20_000


class OpenSpend:
    """What is reserved by day, in paise, kept at `path`.

    Attributes:
        lost: What earlier processes had reserved and never released: they were killed in between.
            It may have been billed, so it counts as spent.
    """

    def __init__(self, path: Path) -> None:
        """Take the file over.

        Raises:
            Misconfigured: it holds something else, or cannot be written.
            TryLater: another process uses it.
        """
        self._path, self._file, self._lines = path, -1, 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path.with_suffix(".lock"))  # held as long as the process lives
            self._open = _read(path)
            self.lost: Mapping[date, int] = dict(self._open)
            self._rewrite()
        except OSError as error:
            raise Misconfigured(
                f"{path} cannot be written ({error.strerror}), and without it no model may be "
                "asked: name a folder in ATS_STATE_DIR that can"
            ) from None

    def note(self, day: date, change: int) -> None:
        """Write down that `change` more paise are reserved for `day`.

        Raises OSError when the file cannot be written: then no call may be made.
        """
        if self._lines >= MAX_LINES:
            self._rewrite()
        line = _line(day, change)
        if (written := os.write(self._file, line)) < len(line):
            # the next line must not follow half of one: nobody could read either
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(f"no room for a whole line in {self._path}")
        self._open[day] += change
        self._lines += 1

    def _rewrite(self) -> None:
        """Leave only what is open, in one step."""
        lines = [_line(day, amount) for day, amount in sorted(self._open.items()) if amount > 0]
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(lines))
        fresh.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._lines = len(lines)


def _locked(path: Path) -> int:
    """Open for as long as this process lives, and locked against every other one.

    Raises TryLater when another has it.
    """
    lock = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of both is the system's choice
        os.close(lock)
        raise TryLater(
            f"another process keeps account of its model calls in {path.parent}: wait for its end, "
            "or give this one an ATS_INSTANCE of its own"
        ) from None
    return lock


def _line(day: date, change: int) -> bytes:
    return f"{day.isoformat()} {int(change)}\n".encode()  # money prints itself in rupees


def _read(path: Path) -> Counter[date]:
    """What is open; a line that a kill cut in two is passed over."""
    found: Counter[date] = Counter()
    if not path.exists():
        return found
    lines = path.read_bytes().decode(errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        day, _, change = line.partition(" ")
        if not line.endswith("\n"):
            continue
        try:
            found[date.fromisoformat(day)] += int(change)
        except ValueError:
            raise Misconfigured(
                f"{path}, line {number}: no day and paise that are reserved for model calls. What "
                "was under way is not known, so no model is asked: take the file away, and count "
                "what the provider billed"
            ) from None
    return found

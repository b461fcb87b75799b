"""The journal: everything that happened to one day's paper orders, before it was done.

A file of JSON lines, only ever appended to. The book is pure, so the same entries in the same order
give the same orders, fills and positions again. Kill the process at any moment: what it had
answered is on the disk, and a last line without an end was never acted upon.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import Misconfigured, TryLater

Entry = Mapping[str, Any]


class Journal:
    """One day's file, open for one writer.

    Attributes:
        broken: Something could not be written. Nothing is written after it, or a torn line would
            stand in the middle; the process has to end, and the next one cuts the line off.

    Raises:
        Misconfigured: another process writes it, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Misconfigured(
                f"another `ats paper` writes {path}: one state directory is for one of them"
            ) from None
        if new:
            _sync_folder(path.parent)

    def entries(self) -> Iterator[Entry]:
        """Everything in it, oldest first. A torn last line is cut off.

        Raises:
            Misconfigured: a line in the middle is no entry.
        """
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise Misconfigured(
                    f"{self.path}, line {number} is no entry ({error}): restore the file, or move "
                    "it away to begin with new paper accounts"
                ) from None

    def append(self, entry: Entry) -> None:
        """Write `entry` behind the others. It survives this process; see `sync`.

        Raises:
            TryLater: it could not be written, now or before; nothing may be done about it.
        """
        line = memoryview(orjson.dumps(entry) + b"\n")
        with self._all_or_broken():
            while line:
                line = line[os.write(self._file, line) :]

    def sync(self) -> None:
        """Let what was written survive the machine too. Raises TryLater as `append` does."""
        with self._all_or_broken():
            os.fdatasync(self._file)

    @contextmanager
    def _all_or_broken(self) -> Iterator[None]:
        if self.broken:
            raise TryLater(f"{self.path} could not be written: no paper order is taken")
        try:
            yield
        except OSError as error:
            self.broken = True
            raise TryLater(f"{self.path} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

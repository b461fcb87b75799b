"""Reads the files of a watched folder: each when it is new or has changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.feeds.documents import MAX_BYTES, read_document
from agents.feeds.items import Item
from schemas.errors import TryLater, Unreadable

MAX_FILES: Final = 200  # the newest; whoever writes into it clears it too
ENDINGS: Final = frozenset({".xml", ".rss", ".atom", ".json", ".csv"})

_State = tuple[int, int, int]  # inode, size, time of change


@dataclass(slots=True)
class WatchedFolder:
    """A folder, and what of it has been read.

    A file under way has another name: write `news.json.part`, then rename it.
    """

    path: Path
    _read: dict[str, _State] = field(default_factory=dict)

    def changed(self) -> tuple[list[Item], list[str]]:
        """The items of files that are new or changed, and what of them could not be read.

        Raises:
            TryLater: the folder cannot be listed.
        """
        try:
            files = sorted(self._files(), key=lambda each: -each[1].st_mtime_ns)[:MAX_FILES]
        except OSError as error:
            raise TryLater(f"{self.path}: {error.strerror}") from None
        states = {name: (told.st_ino, told.st_size, told.st_mtime_ns) for name, told in files}
        fresh = [name for name, state in states.items() if self._read.get(name) != state]
        self._read = states
        items: list[Item] = []
        wrong: list[str] = []
        for name in fresh:
            try:
                items += read_document(_bytes_of(self.path / name))
            except (Unreadable, OSError) as error:
                wrong.append(f"{name[:60]}: {error}")
        return items, wrong

    def forget(self) -> None:
        """Read every file again the next time."""
        self._read = {}

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                if Path(entry.name).suffix.lower() in ENDINGS and entry.is_file(
                    follow_symlinks=False
                ):
                    with suppress(FileNotFoundError):  # gone since the folder was opened
                        yield entry.name, entry.stat(follow_symlinks=False)


def _bytes_of(path: Path) -> bytes:
    """The file's content; never through a link, never from a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("no file")
        return file.read(MAX_BYTES + 1)

"""Keeps the day's list of bans at hand, from the file that the operator puts there each morning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from executors.clock import MonotonicClock
from executors.risk.ban_list import BanList, parse
from executors.risk.listed import Ban
from schemas.errors import Unreadable

log = structlog.get_logger(__name__)

OnBans: TypeAlias = Callable[[BanList | None], object]

READ_EVERY: Final = 30.0  # seconds; the file changes once a day
MOST_BYTES: Final = 64 * 1024  # NSE's has less than one kilobyte


class BanBoard:
    """The list that was read last. Before the first nobody knows what is banned."""

    def __init__(self) -> None:
        self._known: BanList | None = None

    @property
    def known(self) -> BanList | None:
        return self._known

    def replace(self, known: BanList | None) -> None:
        """Take a new view."""
        self._known = known

    def of(self, symbol: str, day: date) -> Ban:
        """Whether `symbol` is banned on `day`; unknown without a list of that day."""
        return self._known.of(symbol, day) if self._known else Ban.UNKNOWN


class BanPoller:
    """Keeps a board true. What cannot be read is no list: an old one would look like "no ban"."""

    def __init__(
        self,
        path: Path,
        board: BanBoard,
        machine: MonotonicClock,
        read: Callable[[Path], bytes] | None = None,
        on_change: OnBans = lambda _: None,
    ) -> None:
        """`on_change` hears of a list that is another, or of none, before it holds."""
        self._path, self._board, self._machine = path, board, machine
        self._read = read or _bounded
        self._said, self._on_change = "", on_change

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self.poll()
            await self._machine.sleep(READ_EVERY)

    async def poll(self) -> None:
        """One look at the file."""
        try:
            found = parse((await asyncio.to_thread(self._read, self._path)).decode())
        except (OSError, UnicodeDecodeError, Unreadable) as error:
            self._hold(None)
            self._complain(str(error))
            return
        self._said = ""
        if self._hold(found):
            log.info("ban_list_read", day=found.day.isoformat(), banned=len(found.symbols))

    def _hold(self, found: BanList | None) -> bool:
        """Let the board know; whether it is another view than before."""
        if found == self._board.known:
            return False
        self._on_change(found)
        self._board.replace(found)
        return True

    def _complain(self, reason: str) -> None:
        """Once for each reason."""
        if reason != self._said:
            log.error("ban_list_unreadable", file=str(self._path), reason=reason)
        self._said = reason


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Unreadable(f"more than {MOST_BYTES} bytes", "ban list")
    return content

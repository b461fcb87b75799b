"""Who is halted, as the database said last: read twice a second, kept while it is away.

A halt that is in force stays so until the database says otherwise. Where the guarantee stops: a
process that starts while the database is away knows of none; but without the database no entry can
be claimed either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

import structlog

from bus.database import StoreAway
from executors.clock import MonotonicClock
from executors.risk.requests import ALONE_AFTER
from executors.store import Halt, Halts, Store
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import UserId

log = structlog.get_logger(__name__)

OnHalts: TypeAlias = Callable[[Halts], object]

POLL_EVERY: Final = 0.5  # a halt holds within a second


class HaltBoard:
    """The halts in force, as far as this process knows."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._halts: Halts | None = None
        self._lifted: dict[UserId | None, float] = {}

    @property
    def known(self) -> Halts | None:
        return self._halts

    def replace(self, halts: Halts) -> None:
        """Take a new view."""
        now, before = self._monotonic(), self._halts.in_force if self._halts else ()
        self._lifted = {user: at for user, at in self._lifted.items() if now - at < ALONE_AFTER}
        self._lifted |= {halt.user: now for halt in before}
        for halt in halts.in_force:
            self._lifted.pop(halt.user, None)
        self._halts = halts

    def of(self, user: UserId) -> tuple[Halt, ...]:
        """The halts that stop `user`: their own, and everybody's."""
        return self._halts.of(user) if self._halts else ()

    @property
    def everybody(self) -> bool:
        """Whether a halt of everybody is in force."""
        return self._halts is not None and any(halt.user is None for halt in self._halts.in_force)

    def halted(self, user: UserId) -> bool:
        """Whether no entry of `user` may leave: also a moment after the halt was lifted.

        By then the guardian, which had nearly all of the account's rate, knows of it too.
        """
        lifted = max(self._lifted.get(each, float("-inf")) for each in (user, None))
        return bool(self.of(user)) or self._monotonic() - lifted < ALONE_AFTER

    def stopped(self, user: UserId) -> bool:
        """Whether not even what closes may leave."""
        return any(halt.all_orders for halt in self.of(user))


class HaltPoller:
    """Keeps a board true."""

    def __init__(
        self,
        store: Store,
        board: HaltBoard,
        machine: MonotonicClock,
        on_change: OnHalts = lambda _: None,
    ) -> None:
        """`on_change` hears of halts that are others, before they hold."""
        self._store, self._board, self._machine = store, board, machine
        self._on_change = on_change

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            await self._machine.sleep(POLL_EVERY)

    async def poll(self) -> None:
        """One look at the database. While it is away, what was known last holds."""
        try:
            halts = await self._store.halts_in_force(self._board.known)
        # a database that does not fit is as good as none: exits must go on without it
        except (StoreAway, Misconfigured, Unreadable) as error:
            log.warning("halts_unknown", error=str(error))
            return
        known = self._board.known
        if known is None or halts.digest != known.digest:
            log.info("halts_in_force", count=len(halts.in_force))
            self._on_change(halts)
            self._board.replace(halts)

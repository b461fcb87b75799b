"""The demo's market waits while positions are squared off.

Minutes of its market pass within a second, at full speed within none: without the wait the day
would be over before anybody could close anything. A generated or recorded market may wait; a live
one does not, and leaves real time instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias

import httpx

from ats.services.calendars import calendar_of
from ats.services.executors import square_off_of
from ats.settings import Settings
from schemas.ids import InstrumentId, Segment
from schemas.units import NS_PER_SECOND, UtcNs

# Seconds of this machine. A guardian sends 8 orders a second: this is ten times what it needs.
WAIT_AT_MOST: Final = 90.0
_A_SHARE: Final = InstrumentId(Segment.NSE_EQ, 1)  # any: the demo trades shares, all at one time

StillOpen: TypeAlias = Callable[[], Awaitable[Sequence[str]]]
Drained: TypeAlias = Callable[[], Awaitable[bool]]


def square_off_at(settings: Settings, day: date) -> UtcNs:
    """When ATS closes the shares of `day` in the demo."""
    at = square_off_of(settings).at(calendar_of(settings), day, _A_SHARE)
    assert at is not None, "the simulated market is open every day"
    return at


@dataclass(frozen=True, slots=True)
class SquareOffWait:
    """How the wait ended.

    Attributes:
        at: Market time.
        seconds: Machine time until everybody was flat by the broker's own book, or it was up.
        open: What was not, in words.
    """

    at: UtcNs
    seconds: float
    open: Sequence[str] = ()

    def __str__(self) -> str:
        at = f"Square-off at {self.at.ist():%H:%M} IST"
        if not self.open:
            return (
                f"{at}: the market waited {self.seconds:.1f} s, until everybody was flat by the "
                "broker's own book."
            )
        return (
            f"{at}: the market waited {self.seconds:.0f} s and went on, although not everybody was "
            f"flat by the broker's own book: {'; '.join(self.open)}."
        )


@dataclass(slots=True)
class SquareOffPause:
    """Holds the simulator's market from `due` on until everybody is proved flat.

    `still_open` asks the broker's own book, `drained` whether nothing is on its way that could
    open a position.

    Attributes:
        ended: None until the market has gone on.
    """

    simulator_url: str
    due: UtcNs
    still_open: StillOpen
    drained: Drained
    monotonic: Callable[[], float] = time.monotonic
    ended: SquareOffWait | None = None
    _since: float | None = field(default=None, init=False)

    async def ask(self) -> None:
        """Have the market held once it comes to `due`. Before it starts."""
        await self._turn({"do": "pause", "from": self.due // NS_PER_SECOND})

    async def look(self, clock: UtcNs) -> str:
        """What is waited for, in words; empty while the market plays. It stands at `clock`."""
        if self.ended or clock < self.due:
            return ""
        now = self.monotonic()
        self._since = self._since or now
        found = await self.still_open()
        # asked again when nothing is on its way any more: then flat stays flat
        if not found and await self.drained() and not (found := await self.still_open()):
            return await self._go_on(())
        if self.monotonic() - self._since > WAIT_AT_MOST:
            return await self._go_on(found or ("orders are still on their way",))
        return f"the market waits for the square-off: {len(found)} still open"

    async def _go_on(self, found: Sequence[str]) -> str:
        assert self._since is not None
        self.ended = SquareOffWait(self.due, self.monotonic() - self._since, found)
        await self._turn({"do": "resume"})
        return ""

    async def _turn(self, body: dict[str, object]) -> None:
        async with httpx.AsyncClient(base_url=self.simulator_url) as simulator:
            (await simulator.post("/control/clock", json=body)).raise_for_status()

"""The demo's market waits: at full speed for what it has caused, at any for the square-off.

Minutes of its market pass within a second, at full speed within none: without the waits the day
would be over before anybody could decide or close anything. A generated or recorded market may
wait; a live one does not, and leaves real time instead.

It does not stand still for ever: what orders took from a price level is there again with the next
print, and a feed that tells nothing for long is connected anew by its reader, who misses what is
printed meanwhile.
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
# Seconds of this machine after which the market takes a step while somebody is not flat; guardians
# send 40 orders meanwhile, and the feed's reader believes in a silence of 30.
STAND: Final = 5.0
# Seconds of the market. The longest wait's steps take 270: the broker squares off 300 after us.
STEP: Final = 15
# At full speed decisions meet a market that is no further ahead than this. Each stride costs a
# quarter of a second to a second of this machine.
STRIDE: Final = UtcNs.minutes(10)
STRIDE_AT_MOST: Final = 15.0  # seconds of this machine, when something does not come to its end
_A_SHARE: Final = InstrumentId(Segment.NSE_EQ, 1)  # any: the demo trades shares, all at one time

StillOpen: TypeAlias = Callable[[], Awaitable[Sequence[str]]]
Drained: TypeAlias = Callable[[], Awaitable[bool]]
Pending: TypeAlias = Callable[[], str]
Fed: TypeAlias = Callable[[], Awaitable[bool]]


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
class Pauses:
    """Holds the simulator's market: from `due` on until everybody is proved flat, step by step.

    `still_open` asks the broker's own book, `drained` whether nothing is on its way that could
    open a position; `pending` says in words what has no end yet, as far as is known; `fed` whether
    anybody hears what is printed.

    Attributes:
        opens: When the session begins.
        patience: Seconds of this machine that a stride waits at most.
        in_strides: Hold it every `STRIDE` before, too, until nothing is pending.
        ended: How the wait for the square-off ended; None until then.
    """

    simulator_url: str
    opens: UtcNs
    due: UtcNs
    still_open: StillOpen
    drained: Drained
    pending: Pending
    fed: Fed
    patience: float = STRIDE_AT_MOST
    in_strides: bool = False
    monotonic: Callable[[], float] = time.monotonic
    ended: SquareOffWait | None = None
    _next: UtcNs = field(default_factory=lambda: UtcNs(0), init=False)
    _since: float | None = field(default=None, init=False)
    _stepped: float = field(default=0.0, init=False)

    async def ask(self) -> None:
        """Have the market held where it first is to wait. Before it starts."""
        await self._hold_next(self.opens)

    async def look(self, clock: UtcNs) -> str:
        """What is waited for, in words; empty while the market plays. It stands at `clock`."""
        if self.ended or clock < self._next:
            return ""
        now = self.monotonic()
        if self._since is None:
            self._since = self._stepped = now
        if not await self.fed():
            return "the market waits for the feed"
        if clock >= self.due:
            return await self._square_off(now)
        if (pending := self.pending()) and now - self._since <= self.patience:
            return f"the market waits: {pending}"
        self._since = None
        await self._hold_next(clock)
        await self._turn({"do": "resume"})
        return ""

    async def _hold_next(self, clock: UtcNs) -> None:
        """Have it held at the next place after `clock`."""
        stride = UtcNs(clock + STRIDE) if self.in_strides else self.due
        self._next = min(stride, self.due)
        await self._turn({"do": "pause", "from": self._next // NS_PER_SECOND})

    async def _square_off(self, now: float) -> str:
        assert self._since is not None
        found = await self.still_open()
        # asked again when nothing is on its way any more: then flat stays flat
        if not found and await self.drained() and not (found := await self.still_open()):
            return await self._go_on(())
        if now - self._since > WAIT_AT_MOST:
            return await self._go_on(found or ("orders are still on their way",))
        if found and now - self._stepped >= STAND:
            self._stepped = now
            await self._turn({"do": "step", "seconds": STEP})
        return f"the market waits for the square-off: {len(found)} still open"

    async def _go_on(self, found: Sequence[str]) -> str:
        assert self._since is not None
        self.ended = SquareOffWait(self.due, self.monotonic() - self._since, found)
        await self._turn({"do": "resume"})
        return ""

    async def _turn(self, body: dict[str, object]) -> None:
        async with httpx.AsyncClient(base_url=self.simulator_url) as simulator:
            (await simulator.post("/control/clock", json=body)).raise_for_status()

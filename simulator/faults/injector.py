"""Decides which thing a fault strikes.

Pure but for the two clocks it is given; seeded, so a run can be had again. Each fault counts the
things that fit it from its moment on. When it will strike next is drawn once (a geometric number,
as a draw per thing would give), so ten thousand packets cost no more than one, and the answer does
not depend on how things were bundled. A thing is struck by one fault at most: the first of the
script that is due; others take the next thing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog

from schemas.units import UtcNs
from simulator.faults.fault import Fault
from simulator.faults.journal import Entry, Journal
from simulator.faults.kinds import Place

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Whose things pass, and where. `connection` counts WebSocket connections from 1; 0 is none.

    Attributes:
        thing: For the journal: what exactly passes.
    """

    client_id: str = ""
    endpoint: str = ""
    connection: int = 0
    thing: str | Callable[[int], str] = ""


NOBODY: Final = Target()


@dataclass(frozen=True, slots=True)
class FaultHit:
    """A fault that fired, and which of the passing things it hit, counted from 0."""

    fault: Fault
    at: int = 0


@dataclass(slots=True)
class _PendingFault:
    """A fault that waits: how many fitting things still pass unharmed."""

    fault: Fault
    number: int
    set_at: float
    random: Random
    left: int = field(init=False)
    skip: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.fault.times
        self.skip = self.fault.after + self._draw()

    def struck(self) -> None:
        self.left -= 1
        self.skip = self._draw()

    def _draw(self) -> int:
        """Things that pass until chance strikes."""
        if self.fault.chance >= 1.0:
            return 0
        return int(math.log(1.0 - self.random.random()) / math.log1p(-self.fault.chance))


class Faults:
    """All faults of one simulator that still wait, first come first served, and the journal of
    those that fired.

    `monotonic` is machine time, `market_now` the simulated market's.
    """

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        seed: int = 1,
        *,
        monotonic: Callable[[], float],
        market_now: Callable[[], UtcNs],
    ) -> None:
        self._monotonic = monotonic
        self._market_now = market_now
        self._started = monotonic()
        self._armed: list[_PendingFault] = []
        self._set = 0
        self.journal = Journal()
        self.add(*faults, seed=seed)

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """The faults that may still strike."""
        return tuple(armed.fault for armed in self._armed)

    def add(self, *faults: Fault, seed: int = 1) -> None:
        """Set faults behind those that wait; their machine time starts now."""
        for fault in faults:
            chance = Random(f"{seed}:{self._set}:{fault.kind}")  # noqa: S311 - to be repeated, not to be secret
            self._armed.append(_PendingFault(fault, self._set, self._monotonic(), chance))
            self._set += 1

    def take_back(self, *faults: Fault) -> None:
        """Forget those of `faults` that wait."""
        self._armed = [armed for armed in self._armed if armed.fault not in faults]

    def clear(self) -> None:
        """Forget what waits. The journal stays."""
        self._armed.clear()

    def next_hit(self, place: Place, target: Target = NOBODY, count: int = 1) -> FaultHit | None:
        """What hits the next `count` things that pass here, or None when all pass unharmed.

        After a strike at thing `at`, the things behind it have not passed yet: ask again for them.
        """
        fitting = [armed for armed in self._armed if self._fits(armed, place, target)]
        first = min(fitting, key=lambda armed: armed.skip, default=None)
        if first is None or first.skip >= count:
            for armed in fitting:
                armed.skip -= count
            return None
        at = first.skip
        for armed in fitting:
            armed.skip = max(0, armed.skip - at - 1)
        first.struck()
        if not first.left:
            self._armed.remove(first)
        self._write(first, target, at)
        return FaultHit(first.fault, at)

    def _fits(self, armed: _PendingFault, place: Place, target: Target) -> bool:
        fault = armed.fault
        if fault.place is not place or not fault.hits(
            target.client_id, target.endpoint, target.connection
        ):
            return False
        if self._monotonic() - armed.set_at < fault.machine_time:
            return False
        return fault.market_time is None or self._market_now().ist().time() >= fault.market_time

    def _write(self, armed: _PendingFault, target: Target, at: int) -> None:
        thing = target.thing if isinstance(target.thing, str) else target.thing(at)
        entry = Entry(
            number=self.journal.total + 1,
            fault=armed.number,
            kind=armed.fault.kind,
            place=armed.fault.place,
            machine_time=round(self._monotonic() - self._started, 6),
            market_time=self._market_now(),
            client_id=target.client_id,
            endpoint=target.endpoint,
            connection=target.connection,
            thing=thing,
        )
        self.journal.add(entry)
        log.info(
            "fault.fired",
            kind=entry.kind,
            endpoint=entry.endpoint,
            connection=entry.connection,
            thing=thing,
        )

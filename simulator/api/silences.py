"""When the broker did not answer an account: the record of what faults spoiled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

# Seconds. Two orders that a limiter of the rate turned away are one silence when no more lie
# between them: whoever waits for longer is late by himself.
LIMITED_FOR: Final = 1.0


class Silence(NamedTuple):
    """From the arrival of the first call without a good answer to the end of the last one's reply.

    Both in seconds of the monotonic clock that the record was given.
    """

    begin: float
    end: float


class Silences:
    """Of each account. A good answer ends a silence; between two bad ones there is no speech.

    Orders that a page turned away are a silence of their own, which no answer to a reading ends: an
    order sent between two of them would have been turned away too.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limited: defaultdict[str, list[Silence]] = defaultdict(list)
        self._taken: set[str] = set()  # an order's call got through since the last page
        self._of: defaultdict[str, list[Silence]] = defaultdict(list)
        self._silent: set[str] = set()

    @property
    def now(self) -> float:
        """Machine time, on the same clock."""
        return self._monotonic()

    def of(self, client_id: str) -> list[Silence]:
        """The account's silences, oldest first; they may overlap."""
        return sorted([*self._of[client_id], *self._limited[client_id]])

    def answered(self, client_id: str, *, orders: bool = False) -> None:
        """A call of the account got what the handler says; `orders` when it was to change some."""
        self._silent.discard(client_id)
        if orders:
            self._taken.add(client_id)

    def turned_away(self, client_id: str, arrived: float) -> None:
        """A call to change orders that arrived at `arrived` got a limiter's page in their place."""
        limited, now = self._limited[client_id], self.now
        goes_on = limited and client_id not in self._taken
        if goes_on and arrived - limited[-1].end <= LIMITED_FOR:
            limited[-1] = limited[-1]._replace(end=now)
        else:
            limited.append(Silence(arrived, now))
        self._taken.discard(client_id)

    def spoiled(self, client_id: str, arrived: float) -> None:
        """A call that arrived at `arrived` got its spoiled answer, or none, now."""
        said, now = self._of[client_id], self.now
        if said and (client_id in self._silent or arrived <= said[-1].end):
            before = said.pop()
            said.append(Silence(min(before.begin, arrived), max(before.end, now)))
        else:
            said.append(Silence(arrived, now))
        self._silent.add(client_id)

"""When the broker did not answer an account: the record of what faults spoiled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple


class Silence(NamedTuple):
    """From the arrival of the first call without a good answer to the end of the last one's reply.

    Both in seconds of the monotonic clock that the record was given.
    """

    begin: float
    end: float


class Silences:
    """Of each account. A good answer ends a silence; between two bad ones there is no speech."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._of: defaultdict[str, list[Silence]] = defaultdict(list)
        self._silent: set[str] = set()

    @property
    def now(self) -> float:
        """Machine time, on the same clock."""
        return self._monotonic()

    def of(self, client_id: str) -> list[Silence]:
        """The account's silences, oldest first."""
        return list(self._of[client_id])

    def answered(self, client_id: str) -> None:
        """A call of the account got what the handler says."""
        self._silent.discard(client_id)

    def spoiled(self, client_id: str, arrived: float) -> None:
        """A call that arrived at `arrived` got its spoiled answer, or none, now."""
        said, now = self._of[client_id], self.now
        if said and (client_id in self._silent or arrived <= said[-1].end):
            before = said.pop()
            said.append(Silence(min(before.begin, arrived), max(before.end, now)))
        else:
            said.append(Silence(arrived, now))
        self._silent.add(client_id)

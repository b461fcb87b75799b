"""How much one user may ask for: requests a second, and streams at a time. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from schemas.ids import UserId

RATE: Final = 10.0  # requests a second; a page asks for three when it opens
BURST: Final = 40.0
STREAMS: Final = 6  # of one user: tabs and devices; a browser opens six to one host
MOST_USERS: Final = 10_000  # whose requests are remembered


@dataclass(slots=True)
class RequestBudget:
    """A token bucket for each user that asked lately."""

    _left: OrderedDict[UserId, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, user: UserId, now: float) -> bool:
        """Whether `user` may ask at machine time `now` (seconds); then it is counted."""
        left, before = self._left.pop(user, (BURST, now))
        left = min(BURST, left + (now - before) * RATE)
        allowed = left >= 1.0
        self._left[user] = (left - 1.0 if allowed else left, now)
        if len(self._left) > MOST_USERS:
            self._left.popitem(last=False)
        return allowed


@dataclass(slots=True)
class StreamBudget:
    """Who streams now.

    Attributes:
        most: Streams of all users together.
    """

    most: int
    _open: Counter[UserId] = field(default_factory=Counter)

    @property
    def open(self) -> int:
        return self._open.total()

    def refuses(self, user: UserId) -> str:
        """Why `user` may open no further stream; "" where they may."""
        if self._open[user] >= STREAMS:
            return "too_many_streams"
        return "full" if self.open >= self.most else ""

    def begin(self, user: UserId) -> None:
        """One more."""
        self._open[user] += 1

    def end(self, user: UserId) -> None:
        """One less."""
        self._open[user] -= 1
        if not self._open[user]:
            del self._open[user]

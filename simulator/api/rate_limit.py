"""How many requests of one user pass in a second, a minute, an hour and a day.

Each limit is a sliding window.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

SECOND: Final = 1.0
MINUTE: Final = 60.0
HOUR: Final = 3_600.0
DAY: Final = 86_400.0


class Allowance(NamedTuple):
    """At most `limit` requests in any `window` seconds."""

    limit: int
    window: float


class RateLimit:
    """Counts what passes, by the clock it is given (seconds, machine time or market time).

    Refused requests count nothing.
    """

    def __init__(self, allowances: tuple[Allowance, ...], clock: Callable[[], float]) -> None:
        self._allowances = allowances
        self._clock = clock
        self._seen: defaultdict[str, list[deque[float]]] = defaultdict(
            lambda: [deque() for _ in allowances]
        )

    def allows(self, client_id: str) -> bool:
        """Whether one more request of this user passes; counts it when it does."""
        now, seen = self._clock(), self._seen[client_id]
        for allowance, moments in zip(self._allowances, seen, strict=True):
            while moments and now - moments[0] >= allowance.window:
                moments.popleft()
        if any(
            len(moments) >= allowance.limit
            for allowance, moments in zip(self._allowances, seen, strict=True)
        ):
            return False
        for moments in seen:
            moments.append(now)
        return True

"""How many requests one Dhan account may be sent, and who may send how many of them. Pure.

Dhan counts what places, modifies and cancels orders, whoever sends it: 10 a second, 250 a minute,
1,000 an hour and 7,000 a day (`docs/facts/dhan.md`). Order workers and guardians are processes of
their own, which cannot ask each other in time, so each has a share, and the shares add up.

Of each second order workers have 6 and guardians 4: a stop that is taken away, its replacement and
two more tries. While no entry of the account can leave, order workers send what closes alone, 2 a
second at most, and guardians have the other 8: `ALONE_AFTER`
seconds after the last entry could leave, and order workers wait as long when a halt is lifted.

Windows roll: any second, also each calendar second, holds no more than its share.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import Final

from schemas.units import NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Share:
    """Requests of one account, in any window of each length."""

    second: int
    minute: int
    hour: int
    day: int


DHAN: Final = Share(10, 250, 1_000, 7_000)
WORKERS: Final = Share(6, 150, 600, 4_000)
# of the order workers' share: what is left of it is for orders that only close
ENTRIES: Final = Share(6, 130, 540, 3_600)
CLOSING_A_SECOND: Final = 2
GUARDIANS: Final = Share(4, 100, 400, 3_000)
ALONE_A_SECOND: Final = 8
# Seconds. An order claimed before may be sent for two more, and a second must be over since.
ALONE_AFTER: Final = 3.0
UNSEEN: Final = 2.5  # seconds; guardians look once a second, and order workers wait for longer
MODIFICATIONS: Final = 25  # of one order

SECOND: Final = NS_PER_SECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Requests:
    """When requests left (ns), as many as a day may have.

    Moments may come out of order: in a replay each decision has a clock of its own.
    """

    def __init__(self) -> None:
        self._at: list[int] = []

    def note(self, at: int) -> None:
        """One leaves at `at`."""
        insort(self._at, at)
        if len(self._at) > DHAN.day:
            del self._at[0]

    def take_in(self, other: Requests) -> None:
        """Those of `other` were this account's too."""
        self._at = sorted([*self._at, *other._at])[-DHAN.day :]

    def within(self, window: int, now: int) -> int:
        """How many are less than `window` away from `now`, earlier or later."""
        return bisect_left(self._at, now + window) - bisect_right(self._at, now - window)

    def in_second(self, now: int) -> int:
        """How many are in the calendar second of `now`."""
        begin = now // SECOND * SECOND
        return bisect_left(self._at, begin + SECOND) - bisect_left(self._at, begin)

    def room(self, share: Share, now: int) -> int:
        """How many more may leave now."""
        return min(
            share.second - self.within(SECOND, now),
            share.minute - self.within(MINUTE, now),
            share.hour - self.within(HOUR, now),
            share.day - self.within(DAY, now),
        )


class ExitRequests:
    """What one account's guardian has sent, by the machine's clock (seconds)."""

    def __init__(self) -> None:
        self._requests = Requests()
        self._alone_since, self._alone_seen = 0.0, float("-inf")

    def note(self, now: float) -> None:
        """One leaves now."""
        self._requests.note(round(now * SECOND))

    def room(self, now: float, *, alone: bool) -> int:
        """How many more may leave now; `alone` while no entry of the account can."""
        long_alone = alone and self._alone_for(now) >= ALONE_AFTER
        second = ALONE_A_SECOND if long_alone else GUARDIANS.second
        share = Share(second, GUARDIANS.minute, GUARDIANS.hour, GUARDIANS.day)
        return self._requests.room(share, round(now * SECOND))

    def _alone_for(self, now: float) -> float:
        """Since when without a gap: in one that nobody looked into, a halt may have been lifted."""
        if now - self._alone_seen > UNSEEN:
            self._alone_since = now
        self._alone_seen = now
        return now - self._alone_since

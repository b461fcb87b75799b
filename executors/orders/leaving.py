"""What a guardian remembers of an instrument on its way to flat. Pure; seconds are machine time.

Where a whole walk of the ladder finds nobody, the market is given time. Without it, closing orders
into an empty market use up in four minutes what an account may send in an hour: then no position of
it can get a stop. The stop of this one rests meanwhile, as far as there can be one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from schemas.ids import DhanOrderId
from schemas.messages import ExitReason

# Seconds. Orders that were asked to go and stay are waited for no longer; so long again, and they
# are asked once more.
INSIST_AFTER: Final = 5.0
# Seconds. Each rest is twice as long as the one before: in the five minutes before the broker's own
# square-off there are eight walks. One instrument then takes about 250 of 400 requests an hour.
FIRST_REST: Final = 2.0
LONGEST_REST: Final = 128.0
STOPS_A_REST: Final = 2  # one, and another where it got lost; what Dhan refuses twice it refuses


@dataclass(slots=True)
class Leaving:
    """An instrument on its way to flat.

    Attributes:
        reason: The first reason; it stands until it is flat.
        left: Units that the last closing order leaves, if it trades whole.
        refused: Sizes of closing orders that Dhan refused at once.
        before: Closing orders that were rejected on another way to flat: they say nothing of now.
        asked: When each order was asked to go first.
        held: Units held when the last closing order was sent.
        missed: Closing orders in a row that were sent for as many units.
        stops: Stops that were sent since the last walk ended.
    """

    reason: ExitReason
    rung: int = 0
    left: int | None = None
    refused: list[int] = field(default_factory=list)
    before: frozenset[DhanOrderId] | None = None
    asked: dict[DhanOrderId, float] = field(default_factory=dict)
    held: int = 0
    missed: int = 0
    stops: int = 0
    _rest: float = field(default=FIRST_REST, init=False)
    _until: float = field(default=float("-inf"), init=False)

    def stuck(self, live: Collection[DhanOrderId], now: float) -> bool:
        """Whether all that is `live` was asked in vain for long enough."""
        waited = [now - self.asked.get(number, now) for number in live]
        return all(each % (2 * INSIST_AFTER) > INSIST_AFTER for each in waited)

    def note_asked(self, live: Collection[DhanOrderId], now: float) -> None:
        """All that is `live` has been asked to go by `now`."""
        self.asked = {number: self.asked.get(number, now) for number in live}

    def climb(self, held: int) -> None:
        """Go a rung further where the last closing order left more than it should have."""
        if self.left is not None and held > self.left:
            self.rung += 1
            self.left = None

    def rests(self, held: int, now: float) -> bool:
        """Whether the market is given time; not where units traded since."""
        return held == self.held and now < self._until

    def may_cover(self, held: int, now: float) -> bool:
        """Whether a stop may be sent for what has none."""
        return self.stops < STOPS_A_REST or not self.rests(held, now)

    def note_closing(self, held: int, size: int, rungs: int, now: float) -> None:
        """A closing order of `size` has left, on a ladder of so many `rungs`."""
        if held != self.held:
            self.missed, self._rest = 0, FIRST_REST
        self.missed += 1
        self.held, self.left = held, held - size
        if self.missed % rungs == 0:
            self._until, self.stops = now + self._rest, 0
            self._rest = min(2 * self._rest, LONGEST_REST)

"""What guardians count: what they sent, and how long positions stood without a resting stop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from bus.metrics import COUNTER, counter_by
from schemas.ids import InstrumentId, UserId

_MOST: Final = 200  # series


@dataclass(slots=True)
class GuardianMetrics:
    """Counters of one process.

    Attributes:
        exits: What was sent, by reason and outcome.
        unreadable: Readings of a broker's book that failed.
        unprotected_seconds: Machine seconds of positions without a resting stop, of all together.
        unprotected_worst: The longest of these spans, in seconds.
    """

    exits: Counter[tuple[str, str]] = field(
        default_factory=Counter, metadata=counter_by("reason", "outcome")
    )
    unreadable: int = field(default=0, metadata=COUNTER)
    unprotected_seconds: float = field(default=0.0, metadata=COUNTER)
    unprotected_worst: float = 0.0

    def sent(self, reason: str, outcome: str) -> None:
        """Count one exit order."""
        if (reason, outcome) in self.exits or len(self.exits) < _MOST:
            self.exits[reason, outcome] += 1


class UnprotectedTime:
    """How long each position of the newest day has stood without a stop for all of it.

    In machine seconds, and as this process has seen it: another one before it may have seen more.
    """

    def __init__(self) -> None:
        self._day = date.min
        self._seconds: dict[tuple[UserId, InstrumentId], float] = {}

    def add(self, user: UserId, instrument: InstrumentId, day: date, seconds: float) -> None:
        """Count `seconds` more on `day` (India)."""
        if day > self._day:
            self._day = day
            self._seconds.clear()
        if day == self._day:
            key = (user, instrument)
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def of(self, user: UserId, instrument: InstrumentId, day: date) -> float:
        """Seconds so far; none where `day` is not the newest."""
        return self._seconds.get((user, instrument), 0.0) if day == self._day else 0.0


class BareTime:
    """Since when each instrument of one account has held something that no stop protects."""

    def __init__(
        self, user: UserId, metrics: GuardianMetrics, unprotected: UnprotectedTime
    ) -> None:
        self._user = user
        self._metrics = metrics
        self._unprotected = unprotected
        self._since: dict[InstrumentId, float] = {}
        self._counted: dict[InstrumentId, float] = {}

    def note(self, instrument: InstrumentId, uncovered: int, day: date, now: float) -> None:
        """What holds at machine time `now`, on the trading day `day`."""
        if instrument in self._since:
            passed = now - self._counted[instrument]
            self._metrics.unprotected_seconds += passed
            self._unprotected.add(self._user, instrument, day, passed)
            self._counted[instrument] = now
            span = now - self._since[instrument]
            self._metrics.unprotected_worst = max(self._metrics.unprotected_worst, span)
            if not uncovered:
                del self._since[instrument]
        elif uncovered:
            self._since[instrument] = self._counted[instrument] = now

    def seconds(self, instrument: InstrumentId, now: float) -> float:
        """How long it has been so by `now`."""
        return now - self._since.get(instrument, now)

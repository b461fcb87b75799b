"""What guardians count: what they sent, and how long positions stood without a resting stop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from bus.metrics import COUNTER, counter_by
from schemas.ids import InstrumentId

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


class BareTime:
    """Since when each instrument of one account has held something that no stop protects."""

    def __init__(self, metrics: GuardianMetrics) -> None:
        self._metrics = metrics
        self._since: dict[InstrumentId, float] = {}
        self._counted: dict[InstrumentId, float] = {}

    def note(self, instrument: InstrumentId, uncovered: int, now: float) -> None:
        """What holds at machine time `now`."""
        if instrument in self._since:
            self._metrics.unprotected_seconds += now - self._counted[instrument]
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

"""When a claimed order was judged, sent and answered, by the machine's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dhan.outcomes import Accepted, NotSent, PlaceResult, Rejected
from executors.clock import MonotonicClock
from executors.risk.denial import Denial
from schemas.evidence import Written

_MICROSECONDS: Final = 1_000_000


@dataclass(slots=True)
class Stopwatch:
    """Made once the claim is there.

    Attributes:
        began: Machine time at which the claim was asked for.
        judgement: The last (`schemas.evidence.Judgement`), with what came of it; None before.
    """

    machine: MonotonicClock
    began: float
    judgement: Written | None = None
    _claimed: int = field(init=False)
    _sent: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._claimed = self._passed()

    def judged(self, seen: Written, denial: Denial | None) -> None:
        """The gate has looked and spoken."""
        tries = self.judgement["tries"] if self.judgement else 0
        self.judgement = {
            "seen": seen,
            "verdict": denial.value if denial else "",
            "claimed": self._claimed,
            "judged": self._passed(),
            "tries": tries + 1,
            "answer": None,
        }

    def sent(self) -> None:
        """The order leaves."""
        self._sent = self._passed()

    def answered(self, placed: PlaceResult) -> None:
        """The broker answered, or nobody knows what it did."""
        assert self.judgement
        answer = {"sent": self._sent, "answered": self._passed(), "kind": _kind(placed)}
        self.judgement = {**self.judgement, "answer": answer}

    def _passed(self) -> int:
        return max(0, round((self.machine.monotonic() - self.began) * _MICROSECONDS))


def _kind(placed: PlaceResult) -> str:
    match placed:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case NotSent():
            return "not_sent"
    return "unknown"

"""What the gateway counts of its viewers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bus.metrics import COUNTER, SECONDS, Histogram, counter_by


@dataclass(slots=True)
class ViewerMetrics:
    """Counters of one gateway.

    Attributes:
        viewers: Streams that are open.
        users: Users of whom something was told.
        requests: Answers, by route and status.
        refused: Requests without an answer, by reason.
        snapshots: Sent at the beginning of a stream, and where a viewer had lost events.
        fell_behind: Those of them that a slow viewer or an old id made necessary.
        slow: Streams that were ended because their viewer took nothing in.
        sent_bytes: Of streams.
        delivery: Seconds from a record's publication until it was written to one viewer.
    """

    viewers: int = 0
    users: int = 0
    requests: Counter[tuple[str, int]] = field(
        default_factory=Counter, metadata=counter_by("route", "status")
    )
    refused: Counter[str] = field(default_factory=Counter, metadata=counter_by("reason"))
    snapshots: int = field(default=0, metadata=COUNTER)
    fell_behind: int = field(default=0, metadata=COUNTER)
    slow: int = field(default=0, metadata=COUNTER)
    sent_bytes: int = field(default=0, metadata=COUNTER)
    delivery: Histogram = field(default_factory=lambda: Histogram(SECONDS))

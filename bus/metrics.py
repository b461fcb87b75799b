"""What a shell counts while it works.

Plain numbers: whoever exports them reads them from the same event loop.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

from bus.records import TopicPartition

# a moment on the monotonic clock (seconds): how long ago it was matters
AGE: Final[dict[str, Any]] = {"age": True}
COUNTER: Final[dict[str, Any]] = {"counter": ()}  # only grows while the process lives


def counter_by(*labels: str) -> dict[str, Any]:
    """Mark a mapping of counters.

    Its keys are the values of `labels`, as a tuple where there are several.
    """
    return {"counter": labels}


SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES: Final = (0, 1, 4, 16, 64, 256, 1_024, 4_096, 16_384)


class Histogram:
    """How many values were at most so large.

    Attributes:
        bounds: Upper bounds, rising, the bound itself included.
        counts: Of each bound the values up to it and above the one before, and last those above
            all.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one `value`, in the unit of `bounds`."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class ShellMetrics:
    """Counters of one shell.

    Attributes:
        joined: Whether the shell is in its group and works.
        records: Records handled, dead letters included.
        outputs: Outputs handed to the producer, dead letters included.
        dead_letters: Records that could not be read.
        snapshots: Snapshots acknowledged.
        in_flight: Records being worked on now (stateless shell).
        buffered_bytes: Of records fetched and not yet taken.
        lag: Per topic and partition how many records wait; refreshed every second.
        committed: Per topic and partition the next offset that a restart may rely on.
        batch: How much a record holds, in whatever the service counts (stateful shell).
        latency: Seconds from the receipt of what a record tells to the acknowledgement of all it
            caused; of records that caused something (stateful shell). Of a replay it is the
            replay's age.
        snapshot: When the state of each partition was last made durable, or loaded.
        last_progress: When something was last handled, or nothing waited.
    """

    joined: bool = False
    records: int = field(default=0, metadata=COUNTER)
    outputs: int = field(default=0, metadata=COUNTER)
    dead_letters: int = field(default=0, metadata=COUNTER)
    snapshots: int = field(default=0, metadata=COUNTER)
    in_flight: int = 0
    buffered_bytes: int = 0
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    batch: Histogram = field(default_factory=lambda: Histogram(SIZES))
    latency: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    snapshot: dict[TopicPartition, float] = field(default_factory=dict, metadata=AGE)
    last_progress: float = field(default_factory=time.monotonic, metadata=AGE)

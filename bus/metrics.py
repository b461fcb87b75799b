"""What a shell counts while it works. Plain numbers: whoever exports them reads them from the same event loop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bus.records import Shard


@dataclass(slots=True)
class ShellMetrics:
    """Counters of one shell.

    Attributes:
        joined: Whether the shell is in its group and works.
        records: Records handled, dead letters included.
        outputs: Outputs handed to the producer, dead letters included.
        snapshots: Snapshots acknowledged.
        in_flight: Records being worked on now (stateless shell).
        lag: Per topic and partition how many records wait; refreshed every second.
        committed: Per topic and partition the next offset that a restart may rely on.
        last_progress: Monotonic clock (seconds) when something was last handled, or nothing waited.
    """

    joined: bool = False
    records: int = 0
    outputs: int = 0
    dead_letters: int = 0
    snapshots: int = 0
    in_flight: int = 0
    lag: dict[Shard, int] = field(default_factory=dict)
    committed: dict[Shard, int] = field(default_factory=dict)
    last_progress: float = field(default_factory=time.monotonic)

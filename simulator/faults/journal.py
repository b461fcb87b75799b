"""What fired: a bounded list that tests read and `GET /control/journal` shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from schemas.units import UtcNs
from simulator.faults.kinds import FaultKind, Place

KEPT: Final = 10_000  # entries, the newest; two megabytes at most


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault that fired.

    Attributes:
        number: 1 for the run's first.
        fault: Which entry of all scripts, counted from 0 in the order they were set.
        machine_time: Seconds since the simulator's start.
        market_time: Of the simulated market.
        client_id: Whose thing it hit, "" when nobody's.
        endpoint: Where: "POST /v2/orders", "/feed".
        connection: Number of the WebSocket connection, 0 when there is none.
        thing: What it hit, in the words of the place: a correlation id, the security and trade time
            of a packet.
    """

    number: int
    fault: int
    kind: FaultKind
    place: Place
    machine_time: float
    market_time: UtcNs
    client_id: str
    endpoint: str
    connection: int
    thing: str

    def as_json(self) -> dict[str, Any]:
        """The entry as `/control/journal` shows it, market time in IST."""
        return asdict(self) | {"market_time": self.market_time.ist().isoformat()}


class Journal:
    """Entries in the order they fired, the newest `KEPT` of them.

    Attributes:
        total: How many fired in the whole run.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self.total = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Append `entry`; the oldest one goes when the journal is full."""
        self._entries.append(entry)
        self.total = entry.number

    def of(self, kind: FaultKind) -> list[Entry]:
        """The entries of one kind, oldest first."""
        return [entry for entry in self if entry.kind is kind]

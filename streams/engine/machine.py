"""One partition's engine as `bus.stateful` drives it: a record in, records out, its state as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bus.records import Output, Record
from schemas import ticks
from schemas.units import UtcNs
from streams.engine import messages, snapshot
from streams.engine.engine import Engine


class EngineMachine:
    """State of one partition (`bus.stateful.Machine`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def apply(self, record: Record) -> Sequence[Output]:
        """Apply one record of `ats.ticks`.

        Raises:
            Unreadable: before anything changed.
        """
        batch = ticks.decode(record.value or b"")
        return messages.outputs(self.engine, *self.engine.process(batch))

    def dump(self) -> bytes:
        return snapshot.dump(self.engine)


def warm_up() -> None:
    """Compile the kernels or load them from the disk cache: seconds the first time, never in the middle of a stream."""
    rows = np.zeros(1, ticks.TICK)
    rows["exchange_time"] = rows["clock"] = rows["price"] = rows["segment"] = 1
    Engine().process(ticks.Batch(UtcNs(1), UtcNs(1), 0, rows))

"""How long each signal took, read off the record that caused it. Pure.

The load stamps each tick with the moment it was due, and a record with the moment it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks._histogram import Histogram
from schemas.ticks import Batch
from schemas.units import UtcNs
from streams.engine.tables import ALLOWED_LATENESS


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal in its reader's hands.

    Attributes:
        partition: Of the record that caused it, as `offset`.
        bar_end: Of the bar it is about.
        seen_at: Wall clock of the reader.
    """

    partition: int
    offset: int
    security_id: int
    bar_end: UtcNs
    seen_at: int


class Waits(NamedTuple):
    """Microseconds until signals were seen: from the record's first tick, which waited longest for
    it to leave, from the tick that closed the bar, and from when the record left.
    """

    record: Histogram
    tick: Histogram
    sent: Histogram

    def __add__(self, other: Waits) -> Waits:  # type: ignore[override]  # the histograms, not a longer tuple
        return Waits(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def waits_of(signals: Iterable[Signal], causes: Mapping[tuple[int, int], Batch]) -> Waits:
    """The waits of signals whose cause is among `causes`, by partition and offset."""
    found: list[tuple[int, ...]] = []
    for signal in signals:
        if (batch := causes.get((signal.partition, signal.offset))) is not None:
            began = _due(batch), _closing(batch, signal), int(batch.sent_at)
            found.append(tuple((signal.seen_at - at) // 1_000 for at in began))
    return Waits(*map(Histogram.of, zip(*found, strict=True))) if found else NO_WAITS


def _due(batch: Batch) -> int:
    return int(batch.rows["received_at"][0]) if len(batch.rows) else int(batch.sent_at)


def _closing(batch: Batch, signal: Signal) -> int:
    """When the tick was due that closed the bar: the instrument's next one, or the first that moved
    the market clock past the bar's end far enough.
    """
    rows = batch.rows
    own = (rows["security_id"] == signal.security_id) & (rows["exchange_time"] >= signal.bar_end)
    late = rows["clock"] >= signal.bar_end + ALLOWED_LATENESS
    (places,) = np.nonzero(own | late)
    return int(rows["received_at"][places[0]]) if len(places) else int(batch.sent_at)


NO_WAITS = Waits(Histogram(), Histogram(), Histogram())

"""A machine with state, and where the stateful shell stands with one partition of its source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bus.records import Output, Record


class Machine(Protocol):
    """The state of one source partition. Pure: no I/O, no clock, no randomness."""

    def apply(self, record: Record) -> Iterable[Output]:
        """Take one record in; return what follows from it, in the order to be written.

        Outputs that are not urgent (`bus.stateful.StatefulService.outputs`) are taken from the
        iterable later, perhaps after further records. They may be made then, but only from what can
        no longer change.

        Raises:
            Unreadable: at once, and the state is as it was before.
        """

    def dump(self) -> bytes:
        """The whole state; `bus.stateful.StatefulService.restore` gives it back."""


class StateListener(Protocol):
    """Watches the machines of one process, without a say in what they do.

    Called on the event loop between records: it returns at once, changes no machine, and raises
    nothing.
    """

    def owned(self, machines: Mapping[int, Machine]) -> None:
        """Exactly these partitions are ours from now on, each with its machine as loaded or kept.

        After a start or a rebalance a machine may be behind its source.
        """

    def applied(self, record: Record) -> None:
        """`record` is in the state of its partition; its urgent outputs are on their way."""


class NobodyListens:
    """A `StateListener` that does nothing."""

    def owned(self, machines: Mapping[int, Machine]) -> None:
        """Do nothing."""

    def applied(self, record: Record) -> None:
        """Do nothing."""


@dataclass(slots=True)
class PartitionState:
    """A machine and how far it is.

    Attributes:
        next_offset: The only offset it will apply.
        saved: `next_offset` of its last durable snapshot; None before the first.
        saved_at: Monotonic clock (seconds) of that, or of loading.
        work: Seconds spent on records since.
        committed: `next_offset` as last committed.
        sent: Per topic the last output; within a partition it is acknowledged after all before it.
    """

    machine: Machine
    next_offset: int
    saved: int | None
    saved_at: float = field(default_factory=time.monotonic)
    work: float = 0.0
    committed: int | None = None
    sent: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    @property
    def acknowledged(self) -> bool:
        """Whether every output sent so far is in Kafka."""
        return all(sent.done() for sent in self.sent.values())

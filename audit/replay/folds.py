"""A service with state, over the records that it read: what it should have written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bus.partition_state import Machine
from bus.records import Output, Record
from bus.routing import Router
from bus.stateful import StatefulService
from schemas.errors import Unreadable
from schemas.topics import PartitionPlan


@dataclass(slots=True)
class Fold:
    """The machines of all partitions, each over the records of its own.

    The uninterrupted run: no Kafka, no group, no snapshot. Of records that are no message nothing
    follows, as in the service.

    Attributes:
        begun: By partition, the offset at which its machine began with nothing known.
        unreadable: Records that were passed over.
    """

    service: StatefulService
    plan: PartitionPlan
    begun: dict[int, int] = field(default_factory=dict)
    unreadable: int = 0
    _machines: dict[int, Machine] = field(default_factory=dict)
    _router: Router = field(init=False)

    def __post_init__(self) -> None:
        sources = {self.service.source.name: self.service.source}
        self._router = Router(sources, self.service.outputs, self.plan)

    def apply(self, record: Record) -> Iterator[Output]:
        """What `record` causes, each with its partition and the header of its cause."""
        machine = self._machines.get(record.partition)
        if machine is None:
            machine = self._machines[record.partition] = self.service.fresh(record.partition)
            self.begun[record.partition] = record.offset
        try:
            return self._router.route(record, machine.apply(record))
        except Unreadable:
            self.unreadable += 1
            return iter(())

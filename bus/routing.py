"""Gives an output its place and its lineage: the partition of its cause, and the header that names the cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bus.records import Output, Record, partition_for
from schemas.errors import Misconfigured
from schemas.lineage import HEADER, Cause
from schemas.topics import PartitionPlan, Topic


class Router:
    """Routes the outputs of one service."""

    def __init__(self, sources: Mapping[str, Topic], outputs: Sequence[Topic], plan: PartitionPlan) -> None:
        self._sources = sources
        self._outputs = frozenset(topic.name for topic in outputs)
        self._plan = plan

    def route(self, record: Record, outputs: Sequence[Output]) -> list[Output]:
        """Complete what `record` caused, in the order given.

        An output that names its partition keeps it. Else it goes to its cause's partition number when both topics belong to
        one family, and by its key when not. `nth` counts per topic.

        Raises:
            Misconfigured: an output goes to a topic that the service did not announce, so nobody checked that it exists.
        """
        counts: Counter[str] = Counter()
        routed = []
        for output in outputs:
            name = output.topic.name
            if name not in self._outputs:
                raise Misconfigured(f"{record} caused an output for {name}; add that topic to the service's outputs")
            cause = (HEADER, Cause(record.offset, counts[name]).encode())
            counts[name] += 1
            routed.append(replace(output, partition=self._partition(record, output), headers=(*output.headers, cause)))
        return routed

    def _partition(self, record: Record, output: Output) -> int:
        if output.partition is None and output.topic.family is self._sources[record.topic].family:
            return record.partition
        return partition_for(output, output.topic.partitions(self._plan))

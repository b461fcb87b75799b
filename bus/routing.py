"""Gives an output the partition of its cause, and the header that names the cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bus.records import Output, Record, partition_for
from schemas.errors import Misconfigured
from schemas.lineage import HEADER, Cause
from schemas.topics import PartitionPlan, Topic


class Router:
    """Routes the outputs of one service."""

    def __init__(
        self, sources: Mapping[str, Topic], outputs: Sequence[Topic], plan: PartitionPlan
    ) -> None:
        self._sources = sources
        self._outputs = frozenset(topic.name for topic in outputs)
        self._plan = plan

    def route(self, record: Record, outputs: Iterable[Output]) -> Iterator[Output]:
        """Complete what `record` caused, one by one in the order given.

        An output that names its partition keeps it. Else it goes to its cause's partition number
        when both topics belong to one family, and by its key when not. `nth` counts per topic.

        Raises:
            Misconfigured: an output goes to a topic that the service did not announce, so nobody
                checked that it exists.
        """
        counts: dict[str, int] = {}
        for output in outputs:
            name = output.topic.name
            nth = counts.get(name)
            if nth is None:
                nth = 0
                self._check(record, name)
            counts[name] = nth + 1
            headers = (*output.headers, (HEADER, Cause(record.offset, nth).encode()))
            yield Output(
                output.topic, output.key, output.value, self._partition(record, output), headers
            )

    def _check(self, record: Record, topic: str) -> None:
        if topic not in self._outputs:
            raise Misconfigured(
                f"{record} caused an output for {topic}; add that topic to the service's outputs"
            )

    def _partition(self, record: Record, output: Output) -> int:
        if output.partition is None and output.topic.family is self._sources[record.topic].family:
            return record.partition
        return partition_for(output, output.topic.partitions(self._plan))

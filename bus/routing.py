"""Gives an output the partition of its cause, and the header that names the cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bus.records import Output, Record, partition_for
from schemas.errors import Misconfigured
from schemas.lineage import HEADER, header_value
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
        offset, family = record.offset, self._sources[record.topic].family
        for topic, key, value, named, headers in outputs:
            name = topic.name
            nth = counts.get(name)
            if nth is None:
                nth = 0
                self._check(record, name)
            counts[name] = nth + 1
            if named is not None:
                partition = named
            elif topic.family is family:
                partition = record.partition
            else:
                output = Output(topic, key, value)
                partition = partition_for(output, topic.partitions(self._plan))
            cause = (HEADER, header_value(offset, nth))
            yield Output(topic, key, value, partition, (*headers, cause) if headers else (cause,))

    def _check(self, record: Record, topic: str) -> None:
        if topic not in self._outputs:
            raise Misconfigured(
                f"{record} caused an output for {topic}; add that topic to the service's outputs"
            )

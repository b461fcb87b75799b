"""Runs a machine with state over one topic, exactly.

Each record changes the state once, in order, whatever crashes. Why it needs no fence between two
owners of a partition:

1. State changes only by the record whose offset is the next one. Older ones are dropped, a newer
   one ends the process. So the state at an offset is a pure function of the source, whoever
   computed it and whenever.
2. A snapshot is written only after the outputs of every record in it are acknowledged. So outputs
   have no hole, and a reader that drops repeats (`schemas.lineage`) sees each once, in order.
3. An output's bytes and its cause follow from the state. A stale owner can repeat the truth, never
   contradict it.

Where the guarantee stops: the machine must be a pure function of its records (no clock, no chance,
no other input), all workers of a group must run the same code, and the source must neither be
compacted nor lose records not yet read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import structlog

from bus.connection import KafkaConnection
from bus.dead_letters import dead_letter
from bus.deferred import DEFERRED_LINGER, DeferredOutputs
from bus.exit import Exit, terminate, terminate_on
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.partition_state import Machine, NobodyListens, PartitionState, StateListener
from bus.publisher import Publisher
from bus.records import Output, Record, TopicPartition
from bus.runtime import ShellContext, ShellSetup, ShellTopics, run_processor
from bus.snapshot_schedule import SnapshotSchedule
from bus.snapshots import Snapshots
from schemas.errors import Unreadable
from schemas.topics import PartitionPlan, Topic
from schemas.units import NS_PER_SECOND, UtcNs

log = structlog.get_logger(__name__)

SCHEDULE_INTERVAL: Final = 0.1  # seconds between two looks at whether a partition needs a snapshot


@dataclass(frozen=True)
class StatefulService:
    """What to run.

    Attributes:
        group: Kafka consumer group.
        snapshots: Compacted topic with as many partitions as `source`, of this service alone.
        outputs: Every topic the machine writes to; checked at start. The first is urgent: a machine
            returns its outputs before the others, they are sent before the next record is taken,
            and have a producer of their own. The others are sent a few at a time between records,
            which they slow down little, or when too much has gathered.
        fresh: Makes the machine of a partition that never had a snapshot.
        restore: Makes it from `dump`.
        size: How much a record holds, for the metric `batch`; bytes where nothing better is said.
        received_at: When what a record tells was received, for the metric `latency`.
    """

    group: str
    source: Topic
    snapshots: Topic
    outputs: tuple[Topic, ...]
    fresh: Callable[[int], Machine]
    restore: Callable[[int, bytes], Machine]
    size: Callable[[Record], int] = lambda record: len(record.value or b"")
    received_at: Callable[[Record], UtcNs] = lambda record: record.published_at


async def run_stateful(
    service: StatefulService,
    connection: KafkaConnection,
    plan: PartitionPlan,
    *,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None = None,
    metrics: ShellMetrics | None = None,
    listener: StateListener | None = None,
) -> None:
    """Run until `stop` is set and every partition is handed over.

    Anything unexpected ends the process (`bus.exit`). `instance` names this process: the same after
    a restart, and unique among the living of its group. `listener` sees which machines are ours and
    what they have applied.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """

    async def build(context: ShellContext) -> _StatefulShell:
        urgent, snapshots = [await context.publisher("an output or snapshot") for _ in range(2)]
        others = await context.publisher("an output", linger=DEFERRED_LINGER)
        publishers = dict.fromkeys([topic.name for topic in service.outputs], others)
        publishers |= {topic.name: urgent for topic in service.outputs[:1]}
        watching = listener or NobodyListens()
        return _StatefulShell(service, context, publishers, snapshots, watching)

    topics = ShellTopics(service.group, (service.source,), service.outputs, (service.snapshots,))
    setup = ShellSetup(
        connection, plan, instance, stop, options or ShellOptions(), metrics or ShellMetrics()
    )
    await run_processor(build, topics, setup)


class _StatefulShell:
    """Owns the state of the assigned partitions."""

    def __init__(
        self,
        service: StatefulService,
        context: ShellContext,
        publishers: Mapping[str, Publisher],
        snapshots: Publisher,
        listener: StateListener,
    ) -> None:
        """`publishers` are by topic; snapshots have one of their own.

        Their chunks would hold up whatever shared their producer.
        """
        options = context.options
        self._service = service
        self._member = context.member
        self._router = context.router
        self._watchdog = context.watchdog
        self._options = options
        self._metrics = context.metrics
        self._publishers = publishers
        self._listener = listener
        self._others = publishers[service.outputs[-1].name]
        self._partitions: dict[int, PartitionState] = {}
        self._deferred = DeferredOutputs(
            service.outputs[0], self._post, self._note_latency, options.yield_every
        )
        self._snapshots = Snapshots(
            context.connection, service.source, service.snapshots, snapshots
        )
        self._schedule = SnapshotSchedule(options.snapshot_interval, options.max_replay)
        # held from apply to send, and while a snapshot is copied
        self._record_lock = asyncio.Lock()
        self._snapshot_lock = asyncio.Lock()
        self._assignment_lock = asyncio.Lock()
        self._closing = False

    # Records

    async def process(self, record: Record) -> None:
        async with self._record_lock:
            self._deferred.record_arrived()
            self._watchdog.check()
            state = self._partitions.get(record.partition)
            if self._closing or state is None or record.offset < state.next_offset:
                return  # not ours any more, or already in the state
            if record.offset > state.next_offset:
                terminate(
                    Exit.GAP,
                    f"{record.topic_partition}: expected offset {state.next_offset}, got "
                    f"{record.offset}",
                )
            began = time.monotonic()
            try:
                await self._send(state, record, self._apply(state, record))
                state.next_offset += 1
                self._listener.applied(record)
            except BaseException as error:  # noqa: BLE001  # the state moved, the output did not (cancelling included)
                terminate_on(error, str(record))
            state.work += time.monotonic() - began
            self._metrics.records += 1

    def _apply(self, state: PartitionState, record: Record) -> Iterator[Output]:
        try:
            outputs = state.machine.apply(record)
        except Unreadable as error:
            log.warning("dead_letter", record=str(record), reason=error.reason, field=error.field)
            self._metrics.dead_letters += 1
            return iter([dead_letter(record, error)])
        self._metrics.batch.observe(self._service.size(record))
        return self._router.route(record, outputs)

    async def _send(self, state: PartitionState, record: Record, outputs: Iterator[Output]) -> None:
        """Send the urgent outputs now, the others later."""
        urgent, sent = self._service.outputs[0].name, None
        for count, output in enumerate(outputs, 1):
            if output.topic.name != urgent:
                await self._deferred.defer(state, record, chain([output], outputs))
                return
            sent = await self._post(state, output)
            if count % self._options.yield_every == 0:
                await asyncio.sleep(0)
        if sent:
            self._note_latency(record, sent)

    async def _post(self, state: PartitionState, output: Output) -> asyncio.Future[Any]:
        publisher = self._publishers.get(output.topic.name, self._others)
        sent = state.sent[output.topic.name] = await publisher.send(output)
        self._metrics.outputs += 1
        return sent

    def _note_latency(self, record: Record, last: asyncio.Future[Any]) -> None:
        """Observe it when `last`, the last output that `record` caused, is acknowledged."""
        received_at = self._service.received_at(record)
        last.add_done_callback(
            lambda _: self._metrics.latency.observe((time.time_ns() - received_at) / NS_PER_SECOND)
        )

    # Snapshots and commits

    async def run_background(self) -> None:
        await asyncio.gather(self._deferred.run(), self._keep_snapshots(), self._keep_commits())

    async def _keep_snapshots(self) -> None:
        """One partition at a time: all at once would hold records up for so many times as long."""
        while True:
            await asyncio.sleep(min(SCHEDULE_INTERVAL, self._options.snapshot_interval))
            idle = not self._deferred and not self._metrics.buffered_bytes
            if (
                partition := self._schedule.due(self._partitions, time.monotonic(), idle=idle)
            ) is not None:
                await self._snapshot(partition)

    async def _snapshot(self, *partitions: int) -> None:
        async with self._snapshot_lock:
            for partition in partitions:
                await self._snapshot_of(partition)

    async def _snapshot_of(self, partition: int) -> None:
        async with self._record_lock:
            self._watchdog.check()
            state = self._partitions.get(partition)
            if state is None or state.saved == state.next_offset:
                return
            await self._deferred.flush()
            next_offset, dump, pending = (
                state.next_offset,
                state.machine.dump(),
                list(state.sent.values()),
            )
            state.work, state.saved_at = 0.0, time.monotonic()
        for sent in pending:
            # a failed one has ended the process; cancelling us must not cancel the record
            await asyncio.shield(sent)
        await self._snapshots.save(partition, next_offset, dump)
        self._metrics.snapshots += 1
        self._metrics.snapshot[self._topic_partition(partition)] = time.monotonic()
        state.saved = next_offset

    async def _keep_commits(self) -> None:
        """Commit offsets now and then, for displays only.

        Nothing of ours reads them back: a restart begins at `PartitionState.saved`.
        """
        while True:
            await asyncio.sleep(self._options.progress_commit_interval)
            await self._commit()

    async def _commit(self) -> None:
        """Commit what is acknowledged. Refused while a rebalance is under way."""
        moved = {
            self._topic_partition(partition): state.next_offset
            for partition, state in self._partitions.items()
            if state.committed != state.next_offset and not self._deferred and state.acknowledged
        }
        if moved and await self._member.commit(moved):
            for topic_partition, next_offset in moved.items():
                self._metrics.committed[topic_partition] = next_offset
                if state := self._partitions.get(topic_partition.partition):
                    state.committed = next_offset

    def _topic_partition(self, partition: int) -> TopicPartition:
        return TopicPartition(self._service.source.name, partition)

    # Partitions

    async def on_assigned(self, owned: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Forget lost partitions, load gained ones.

        Kept ones stay in memory: however old, their state is true.
        """
        async with self._assignment_lock:
            numbers = {topic_partition.partition for topic_partition in owned}
            for lost in self._partitions.keys() - numbers:
                del self._partitions[lost]
                self._metrics.snapshot.pop(self._topic_partition(lost), None)
            if gained := numbers - self._partitions.keys():
                self._partitions.update(await self._load(gained))
            self._listener.owned({n: state.machine for n, state in self._partitions.items()})
            return {
                topic_partition: self._partitions[topic_partition.partition].next_offset
                for topic_partition in owned
            }

    async def _load(self, partitions: set[int]) -> dict[int, PartitionState]:
        loaded = {}
        for partition, snapshot in (await self._snapshots.load(partitions)).items():
            if snapshot.state is None:
                loaded[partition] = PartitionState(
                    self._service.fresh(partition), snapshot.next_offset, None
                )
            else:
                machine = self._service.restore(partition, snapshot.state)
                loaded[partition] = PartitionState(
                    machine, snapshot.next_offset, snapshot.next_offset
                )
            self._metrics.snapshot[self._topic_partition(partition)] = time.monotonic()
        log.info(
            "partitions_loaded",
            next_offset={number: state.next_offset for number, state in loaded.items()},
        )
        return loaded

    async def on_revoked(self) -> None:
        await self._snapshot(*self._partitions)

    async def drain(self) -> None:
        self._closing = True  # nothing is applied after the last snapshot
        await self._snapshot(*self._partitions)
        await self._commit()

    # What the watch sees

    def positions(self) -> Mapping[TopicPartition, int]:
        return {
            self._topic_partition(partition): state.next_offset
            for partition, state in self._partitions.items()
        }

    def busy(self) -> bool:
        return False

    def stall_reason(self) -> str:
        return ""

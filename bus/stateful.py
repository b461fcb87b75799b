"""Runs a machine with state over one topic, exactly: each record changes the state once, in order, whatever crashes.

Why it needs no fence between two owners of a partition:

1. State changes only by the record whose offset is the next one. Older ones are dropped, a newer one ends the process. So
   the state at an offset is a pure function of the source, whoever computed it and whenever.
2. A snapshot is written only after the outputs of every record in it are acknowledged. So outputs have no hole, and a
   reader that drops repeats (`schemas.lineage`) sees each once, in order.
3. An output's bytes and its cause follow from the state. A stale owner can repeat the truth, never contradict it.

Where the guarantee stops: the machine must be a pure function of its records (no clock, no chance, no other input), all
workers of a group must run the same code, and the source must neither be compacted nor lose records not yet read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from bus.connection import KafkaConnection
from bus.dead_letters import dead_letter
from bus.ending import Exit, end, end_after
from bus.faust_app import GroupMember
from bus.life import live
from bus.liveness import Pulse
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.records import Output, Record, Shard
from bus.routing import Router
from bus.snapshots import Snapshot, Snapshots
from bus.topics import check_topics
from schemas.errors import Unreadable
from schemas.topics import DEAD_LETTER, PartitionPlan, Topic

log = structlog.get_logger(__name__)


class Machine(Protocol):
    """The state of one source partition. Pure: no I/O, no clock, no randomness."""

    def apply(self, record: Record) -> Sequence[Output]:
        """Take one record in; return what follows from it, in the order to be written.

        Raises:
            Unreadable: and the state is as it was before.
        """

    def dump(self) -> bytes:
        """The whole state; `StatefulService.restore` gives it back."""


@dataclass(frozen=True)
class StatefulService:
    """What to run.

    Attributes:
        group: Kafka consumer group.
        snapshots: Compacted topic with as many partitions as `source`, of this service alone.
        outputs: Every topic the machine writes to; checked at start.
        fresh: Makes the machine of a partition that never had a snapshot.
        restore: Makes it from `dump`.
    """

    group: str
    source: Topic
    snapshots: Topic
    outputs: tuple[Topic, ...]
    fresh: Callable[[int], Machine]
    restore: Callable[[int, bytes], Machine]


async def run_stateful(
    service: StatefulService,
    connection: KafkaConnection,
    plan: PartitionPlan,
    *,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None = None,
    metrics: ShellMetrics | None = None,
) -> None:
    """Run until `stop` is set and everything is handed over; anything unexpected ends the process (`bus.ending`).

    `instance` names this process: the same after a restart, and unique among the living of its group.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """
    options, metrics = options or ShellOptions(), metrics or ShellMetrics()
    await check_topics(connection, plan, (service.source, service.snapshots, *service.outputs, DEAD_LETTER))
    pulse = Pulse(options.session_timeout)
    member = GroupMember(connection, service.group, [service.source.name], instance, options)
    async with AsyncExitStack() as stack:
        outputs, shelves = [await stack.enter_async_context(Publisher(connection, _send_failed)) for _ in range(2)]
        snapshots = Snapshots(connection, service.source, service.snapshots, shelves)
        shell = _StatefulShell(
            service=service,
            member=member,
            outputs=outputs,
            snapshots=snapshots,
            router=Router({service.source.name: service.source}, service.outputs, plan),
            pulse=pulse,
            options=options,
            metrics=metrics,
        )
        await live(shell, member, pulse=pulse, stop=stop, options=options, metrics=metrics)


def _send_failed(error: BaseException) -> None:
    end_after(error, "an output or snapshot was not accepted")


@dataclass(slots=True)
class _Engine:
    """A machine and where it stands.

    Attributes:
        next: The only offset it will apply.
        saved: `next` of its last durable snapshot.
        sent: Per topic the last output; within a partition it is acknowledged after all before it.
    """

    machine: Machine
    next: int
    saved: int | None
    sent: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class _StatefulShell:
    """Owns the engines of the assigned partitions."""

    def __init__(
        self,
        *,
        service: StatefulService,
        member: GroupMember,
        outputs: Publisher,
        snapshots: Snapshots,
        router: Router,
        pulse: Pulse,
        options: ShellOptions,
        metrics: ShellMetrics,
    ) -> None:
        self._service = service
        self._member = member
        self._outputs = outputs
        self._snapshots = snapshots
        self._router = router
        self._pulse = pulse
        self._options = options
        self._metrics = metrics
        self._engines: dict[int, _Engine] = {}
        self._between_records = asyncio.Lock()  # held from apply to send, and while a snapshot is copied
        self._one_snapshot = asyncio.Lock()
        self._one_adoption = asyncio.Lock()
        self._closing = False

    # Records

    async def take(self, record: Record) -> None:
        async with self._between_records:
            self._pulse.check()
            engine = self._engines.get(record.partition)
            if self._closing or engine is None or record.offset < engine.next:
                return  # not ours any more, or already in the state
            if record.offset > engine.next:
                end(Exit.GAP, f"{record.shard}: expected offset {engine.next}, got {record.offset}")
            try:
                await self._send(engine, self._apply(engine, record))
            except BaseException as error:  # noqa: BLE001  # the state moved, the output did not (cancelling included)
                end_after(error, str(record))
            engine.next += 1
            self._metrics.records += 1

    def _apply(self, engine: _Engine, record: Record) -> list[Output]:
        try:
            return self._router.route(record, engine.machine.apply(record))
        except Unreadable as error:
            log.warning("dead_letter", record=str(record), reason=error.reason, field=error.field)
            self._metrics.dead_letters += 1
            return [dead_letter(record, error)]

    async def _send(self, engine: _Engine, outputs: list[Output]) -> None:
        for count, output in enumerate(outputs, 1):
            engine.sent[output.topic.name] = await self._outputs.send(output)
            if count % self._options.burst == 0:
                await asyncio.sleep(0)
        self._metrics.outputs += len(outputs)

    # Snapshots

    async def work(self) -> None:
        while True:
            await asyncio.sleep(self._options.snapshot_every)
            await self._snapshot()

    async def _snapshot(self) -> None:
        async with self._one_snapshot:
            for partition in list(self._engines):
                await self._snapshot_of(partition)

    async def _snapshot_of(self, partition: int) -> None:
        async with self._between_records:
            self._pulse.check()
            engine = self._engines.get(partition)
            if engine is None or engine.saved == engine.next:
                return
            snapshot, pending = Snapshot(engine.next, engine.machine.dump()), list(engine.sent.values())
        for sent in pending:
            await asyncio.shield(sent)  # a failed one has ended the process; cancelling us must not cancel the record
        if await self._snapshots.save(partition, snapshot):
            self._metrics.snapshots += 1
        engine.saved = snapshot.next
        await self._commit(partition, snapshot.next)

    async def _commit(self, partition: int, next_: int) -> None:
        """For lag displays only, nothing of ours reads it back. Refused while a rebalance is under way."""
        shard = Shard(self._service.source.name, partition)
        if await self._member.commit({shard: next_}):
            self._metrics.committed[shard] = next_

    # Partitions

    async def adopt(self, owned: set[Shard]) -> Mapping[Shard, int]:
        """Forget lost partitions, load gained ones. Kept ones stay in memory: however old, their state is true."""
        async with self._one_adoption:
            numbers = {shard.partition for shard in owned}
            for lost in self._engines.keys() - numbers:
                del self._engines[lost]
            if gained := numbers - self._engines.keys():
                self._engines.update(await self._load(gained))
            return {shard: self._engines[shard.partition].next for shard in owned}

    async def _load(self, partitions: set[int]) -> dict[int, _Engine]:
        engines = {}
        for partition, snapshot in (await self._snapshots.load(partitions)).items():
            if snapshot.state is None:
                engines[partition] = _Engine(self._service.fresh(partition), snapshot.next, None)
            else:
                machine = self._service.restore(partition, snapshot.state)
                engines[partition] = _Engine(machine, snapshot.next, snapshot.next)
        log.info("engines_loaded", next={partition: engine.next for partition, engine in engines.items()})
        return engines

    async def hand_over(self) -> None:
        await self._snapshot()

    async def finish(self) -> None:
        self._closing = True  # nothing is applied after the last snapshot
        await self._snapshot()

    # What the watch sees

    def positions(self) -> Mapping[Shard, int]:
        return {Shard(self._service.source.name, partition): engine.next for partition, engine in self._engines.items()}

    def busy(self) -> bool:
        return False

    def stuck(self) -> str:
        return ""

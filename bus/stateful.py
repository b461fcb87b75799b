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
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

import structlog

from bus.connection import KafkaConnection
from bus.dead_letters import dead_letter
from bus.ending import Exit, end, end_after
from bus.life import Parts, run_shell
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.records import Output, Record, Shard
from bus.snapshots import Snapshots
from schemas.errors import Misconfigured, Unreadable
from schemas.topics import PartitionPlan, Topic
from schemas.units import NS_PER_SECOND, UtcNs

log = structlog.get_logger(__name__)

# Bytes of records whose less urgent outputs are not sent yet: all records of a minute's turn when they are small, a few of a
# backlog's large ones.
MOST_LATER: Final = 1024 * 1024
LATER: Final = 0.05  # seconds between two requests of outputs that are not urgent
LOOK_EVERY: Final = 0.1  # seconds between two looks at whether a partition needs a snapshot
A_TURN: Final = 50  # outputs between two looks at whether a record has come, half a millisecond
REST: Final = 10  # while records come, so many times as long as a turn took nothing is written: the cores are theirs


class Machine(Protocol):
    """The state of one source partition. Pure: no I/O, no clock, no randomness."""

    def apply(self, record: Record) -> Iterable[Output]:
        """Take one record in; return what follows from it, in the order to be written.

        What is not urgent (`StatefulService.outputs`) is taken from the iterable later, perhaps after further records: it may
        be made then, but only from what can no longer change.

        Raises:
            Unreadable: at once, and the state is as it was before.
        """

    def dump(self) -> bytes:
        """The whole state; `StatefulService.restore` gives it back."""


@dataclass(frozen=True)
class StatefulService:
    """What to run.

    Attributes:
        group: Kafka consumer group.
        snapshots: Compacted topic with as many partitions as `source`, of this service alone.
        outputs: Every topic the machine writes to; checked at start. The first is urgent: a machine returns its outputs before
            the others, they are sent before the next record is taken, and have a producer of their own. The others are sent
            a few at a time between records, which they slow down little, or when too much has gathered.
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
) -> None:
    """Run until `stop` is set and everything is handed over; anything unexpected ends the process (`bus.ending`).

    `instance` names this process: the same after a restart, and unique among the living of its group.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """

    async def build(parts: Parts) -> _StatefulShell:
        urgent, shelves = [await parts.publisher("an output or snapshot") for _ in range(2)]
        others = await parts.publisher("an output", linger=LATER)
        publishers = dict.fromkeys([topic.name for topic in service.outputs], others)
        publishers |= {topic.name: urgent for topic in service.outputs[:1]}
        return _StatefulShell(service, parts, publishers, shelves)

    await run_shell(
        build,
        group=service.group,
        sources=(service.source,),
        outputs=service.outputs,
        others=(service.snapshots,),
        connection=connection,
        plan=plan,
        instance=instance,
        stop=stop,
        options=options,
        metrics=metrics,
    )


@dataclass(slots=True)
class _Rest:
    """The less urgent outputs of one record.

    Attributes:
        taken: What came from `outputs` and is not sent yet: sending waits for room, and may be cancelled while it waits.
        last: The last that was sent.
    """

    engine: _Engine
    record: Record
    outputs: Iterator[Output]
    taken: Output | None = None
    last: asyncio.Future[Any] | None = None


@dataclass(slots=True)
class _Engine:
    """A machine and where it stands.

    Attributes:
        next: The only offset it will apply.
        saved: `next` of its last durable snapshot.
        saved_at: Monotonic clock (seconds) of that, or of loading.
        work: Seconds spent on records since.
        shown: `next` as last committed.
        sent: Per topic the last output; within a partition it is acknowledged after all before it.
    """

    machine: Machine
    next: int
    saved: int | None
    saved_at: float = field(default_factory=time.monotonic)
    work: float = 0.0
    shown: int | None = None
    sent: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class _StatefulShell:
    """Owns the engines of the assigned partitions."""

    def __init__(
        self, service: StatefulService, parts: Parts, publishers: Mapping[str, Publisher], shelves: Publisher
    ) -> None:
        """`publishers` by topic, `shelves` for snapshots: their pieces would hold up what shares their producer."""
        self._service = service
        self._member = parts.member
        self._publishers = publishers
        self._others = publishers[service.outputs[-1].name]
        self._snapshots = Snapshots(parts.connection, service.source, service.snapshots, shelves)
        self._router = parts.router
        self._pulse = parts.pulse
        self._options = parts.options
        self._metrics = parts.metrics
        self._engines: dict[int, _Engine] = {}
        self._later: deque[_Rest] = deque()
        self._later_bytes = 0
        self._came = False  # a record, since outputs that were put off were last written
        self._some_later = asyncio.Event()
        self._one_writer = asyncio.Lock()
        self._between_records = asyncio.Lock()  # held from apply to send, and while a snapshot is copied
        self._one_snapshot = asyncio.Lock()
        self._one_adoption = asyncio.Lock()
        self._closing = False

    # Records

    async def take(self, record: Record) -> None:
        async with self._between_records:
            self._came = True
            self._pulse.check()
            engine = self._engines.get(record.partition)
            if self._closing or engine is None or record.offset < engine.next:
                return  # not ours any more, or already in the state
            if record.offset > engine.next:
                end(Exit.GAP, f"{record.shard}: expected offset {engine.next}, got {record.offset}")
            began = time.monotonic()
            try:
                await self._send(engine, record, self._apply(engine, record))
            except BaseException as error:  # noqa: BLE001  # the state moved, the output did not (cancelling included)
                end_after(error, str(record))
            engine.next += 1
            engine.work += time.monotonic() - began
            self._metrics.records += 1

    def _apply(self, engine: _Engine, record: Record) -> Iterator[Output]:
        try:
            outputs = engine.machine.apply(record)
        except Unreadable as error:
            log.warning("dead_letter", record=str(record), reason=error.reason, field=error.field)
            self._metrics.dead_letters += 1
            return iter([dead_letter(record, error)])
        self._metrics.batch.observe(self._service.size(record))
        return self._router.route(record, outputs)

    async def _send(self, engine: _Engine, record: Record, outputs: Iterator[Output]) -> None:
        """The urgent ones now, the others later."""
        urgent, sent = self._service.outputs[0].name, None
        for count, output in enumerate(outputs, 1):
            if output.topic.name != urgent:
                await self._put_off(_Rest(engine, record, chain([output], outputs)))
                return
            sent = await self._post(engine, output)
            if count % self._options.burst == 0:
                await asyncio.sleep(0)
        if sent:
            self._note_latency(record, sent)

    async def _post(self, engine: _Engine, output: Output) -> asyncio.Future[Any]:
        publisher = self._publishers.get(output.topic.name, self._others)
        sent = engine.sent[output.topic.name] = await publisher.send(output)
        self._metrics.outputs += 1
        return sent

    async def _put_off(self, rest: _Rest) -> None:
        self._later.append(rest)
        self._later_bytes += len(rest.record.value or b"")
        self._some_later.set()
        if self._later_bytes > MOST_LATER:
            await self._write_later(but=MOST_LATER)

    async def _keep_writing(self) -> None:
        """What was put off, a few at a time, so that a record that comes meanwhile need not wait."""
        while True:
            await self._some_later.wait()
            began, self._came = time.monotonic(), False
            try:
                await self._write_later(A_TURN)
            except Exception as error:  # noqa: BLE001  # an output is lost
                end_after(error, "outputs put off")
            await asyncio.sleep(0)
            if self._came:
                # at most LATER: a turn that waited for the broker was long for another reason
                await asyncio.sleep(min(LATER, REST * (time.monotonic() - began)))

    async def _write_later(self, a_turn: int | None = None, *, but: int = 0) -> None:
        """Send what was put off, all of it or the next few, but that of the last so many bytes of records."""
        async with self._one_writer:
            count = 0
            while self._later and self._later_bytes >= but and count != a_turn:
                rest, began = self._later[0], time.monotonic()
                rest.taken = output = rest.taken or next(rest.outputs, None)
                if output is None:
                    self._finish_writing(rest)
                    continue
                if output.topic is self._service.outputs[0]:
                    raise Misconfigured(
                        f"{rest.record} caused the urgent {output.topic.name} after others; return it first"
                    )
                rest.last = await self._post(rest.engine, output)
                rest.taken = None
                rest.engine.work += time.monotonic() - began
                count += 1
                if a_turn is None and count % self._options.burst == 0:
                    await asyncio.sleep(0)

    def _finish_writing(self, rest: _Rest) -> None:
        self._later.popleft()
        self._later_bytes -= len(rest.record.value or b"")
        if rest.last:
            self._note_latency(rest.record, rest.last)
        if not self._later:
            self._some_later.clear()

    def _note_latency(self, record: Record, last: asyncio.Future[Any]) -> None:
        """When `last`, the last that `record` caused, is acknowledged."""
        received_at = self._service.received_at(record)
        last.add_done_callback(lambda _: self._metrics.latency.observe((time.time_ns() - received_at) / NS_PER_SECOND))

    # Snapshots and commits

    async def work(self) -> None:
        await asyncio.gather(self._keep_writing(), self._keep_snapshots(), self._keep_shown())

    async def _keep_snapshots(self) -> None:
        """One partition at a time: all at once would hold records up for so many times as long."""
        while True:
            await asyncio.sleep(min(LOOK_EVERY, self._options.snapshot_every))
            if (partition := self._due()) is not None:
                await self._snapshot(partition)

    def _due(self) -> int | None:
        """The partition that needs a snapshot most. While nothing waits, half the work is reason enough."""
        share = self._options.replay_within / max(1, len(self._engines))
        if not self._later and not self._metrics.buffered_bytes:
            share /= 2
        needs = {
            partition: max(engine.work / share, (time.monotonic() - engine.saved_at) / self._options.snapshot_every)
            for partition, engine in self._engines.items()
            if engine.saved != engine.next
        }
        most = max(needs, key=needs.__getitem__, default=None)
        return most if most is not None and needs[most] >= 1 else None

    async def _snapshot(self, *partitions: int) -> None:
        async with self._one_snapshot:
            for partition in partitions:
                await self._snapshot_of(partition)

    async def _snapshot_of(self, partition: int) -> None:
        async with self._between_records:
            self._pulse.check()
            engine = self._engines.get(partition)
            if engine is None or engine.saved == engine.next:
                return
            await self._write_later()
            next_, state, pending = engine.next, engine.machine.dump(), list(engine.sent.values())
            engine.work, engine.saved_at = 0.0, time.monotonic()
        for sent in pending:
            await asyncio.shield(sent)  # a failed one has ended the process; cancelling us must not cancel the record
        await self._snapshots.save(partition, next_, state)
        self._metrics.snapshots += 1
        self._metrics.snapshot[self._shard(partition)] = time.monotonic()
        engine.saved = next_

    async def _keep_shown(self) -> None:
        """Commits are for displays only, nothing of ours reads them back: `engine.saved` says where a restart begins."""
        while True:
            await asyncio.sleep(self._options.show_every)
            await self._show()

    async def _show(self) -> None:
        """Commit what is acknowledged. Refused while a rebalance is under way."""
        moved = {
            self._shard(partition): engine.next
            for partition, engine in self._engines.items()
            if engine.shown != engine.next and not self._later and all(sent.done() for sent in engine.sent.values())
        }
        if moved and await self._member.commit(moved):
            for shard, next_ in moved.items():
                self._metrics.committed[shard] = next_
                if engine := self._engines.get(shard.partition):
                    engine.shown = next_

    def _shard(self, partition: int) -> Shard:
        return Shard(self._service.source.name, partition)

    # Partitions

    async def adopt(self, owned: set[Shard]) -> Mapping[Shard, int]:
        """Forget lost partitions, load gained ones. Kept ones stay in memory: however old, their state is true."""
        async with self._one_adoption:
            numbers = {shard.partition for shard in owned}
            for lost in self._engines.keys() - numbers:
                del self._engines[lost]
                self._metrics.snapshot.pop(self._shard(lost), None)
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
            self._metrics.snapshot[self._shard(partition)] = time.monotonic()
        log.info("engines_loaded", next={partition: engine.next for partition, engine in engines.items()})
        return engines

    async def hand_over(self) -> None:
        await self._snapshot(*self._engines)

    async def finish(self) -> None:
        self._closing = True  # nothing is applied after the last snapshot
        await self._snapshot(*self._engines)
        await self._show()

    # What the watch sees

    def positions(self) -> Mapping[Shard, int]:
        return {self._shard(partition): engine.next for partition, engine in self._engines.items()}

    def busy(self) -> bool:
        return False

    def stuck(self) -> str:
        return ""

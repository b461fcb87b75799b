"""Runs handlers over topics, many records in flight.

No record is lost, and the records of one key stay in order. An offset is committed only when it and
every record before it are finished, outputs acknowledged included. So a record is handled at least
once: again after a crash, so handlers and readers must recognise repeats by their ids.

Where the guarantee stops: outputs of different keys leave in the order in which they finish, not of
their causes. A reader of them must not use the rule of the highest cause
(`schemas.lineage.Deduplicator`), it would drop what came later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from bus.connection import KafkaConnection
from bus.dead_letters import dead_letter
from bus.exit import Exit, terminate, terminate_on
from bus.group_offsets import committed_offsets
from bus.keyed_queue import KeyedQueue
from bus.liveness import STALL_SESSIONS
from bus.metrics import ShellMetrics
from bus.offsets import CommitLedger, OffsetTracker
from bus.options import ShellOptions
from bus.publisher import Publisher
from bus.records import Output, Record, TopicPartition
from bus.runtime import ShellContext, ShellSetup, ShellTopics, run_processor
from schemas.errors import Unreadable
from schemas.topics import PartitionPlan, Topic

log = structlog.get_logger(__name__)

Handler: TypeAlias = Callable[[Record], Awaitable[Sequence[Output]]]

# seconds: an order call ends in it, a model call would only hold up the whole group
HAND_OVER_WAIT: Final = 1.0
CANCEL_WAIT: Final = 1.0  # seconds for a cancelled handler to close what it opened


@dataclass(frozen=True)
class StatelessService:
    """What to run.

    Attributes:
        group: Kafka consumer group.
        handlers: What to do with a record of each topic. Raises Unreadable for a dead letter;
            anything else ends the process with nothing committed from that record on.
        outputs: Every topic the handlers write to; checked at start.
        in_flight: How many records are worked on at once.
        queued: Told of each record when it begins to wait for its handler; must not raise.
    """

    group: str
    handlers: Mapping[Topic, Handler]
    outputs: tuple[Topic, ...]
    in_flight: int = 64
    queued: Callable[[Record], None] = lambda _: None


async def run_stateless(
    service: StatelessService,
    connection: KafkaConnection,
    plan: PartitionPlan,
    *,
    instance: str,
    stop: asyncio.Event,
    options: ShellOptions | None = None,
    metrics: ShellMetrics | None = None,
) -> None:
    """Run until `stop` is set and everything is handed over.

    Anything unexpected ends the process (`bus.exit`). `instance` names this process: the same after
    a restart, and unique among the living of its group.

    Raises:
        Misconfigured: a topic is missing or has another number of partitions.
        TryLater: no broker answers at the start.
    """

    async def build(context: ShellContext) -> _StatelessShell:
        return _StatelessShell(service, context, await context.publisher("an output"))

    topics = ShellTopics(service.group, tuple(service.handlers), service.outputs)
    setup = ShellSetup(
        connection, plan, instance, stop, options or ShellOptions(), metrics or ShellMetrics()
    )
    await run_processor(build, topics, setup)


@dataclass(frozen=True, slots=True)
class _Job:
    """A record and the tracker that waits for it.

    A job from before its partition came back has an older tracker.
    """

    record: Record
    tracker: OffsetTracker


class _StatelessShell:
    """Hands records of the assigned partitions to their handlers, and commits what is finished."""

    def __init__(
        self, service: StatelessService, context: ShellContext, publisher: Publisher
    ) -> None:
        self._service = service
        self._connection = context.connection
        self._member = context.member
        self._publisher = publisher
        self._router = context.router
        self._watchdog = context.watchdog
        self._options = context.options
        self._metrics = context.metrics
        self._handlers = {topic.name: handler for topic, handler in service.handlers.items()}
        self._compacted = {topic.name for topic in service.handlers if topic.compacted}
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._ledger = CommitLedger()
        self._queue = KeyedQueue[_Job](self._handle, service.in_flight)
        self._assignment_lock = asyncio.Lock()
        self._commit_lock = asyncio.Lock()
        self._refused_since: float | None = None
        self._closing = False

    # Records

    async def process(self, record: Record) -> None:
        """Return when the record is queued: that waits while too many are."""
        self._watchdog.check()
        tracker = self._trackers.get(record.topic_partition)
        await self._queue.acquire()
        if (
            self._closing
            or tracker is None
            or tracker is not self._trackers.get(record.topic_partition)
        ):
            self._queue.release()
            return  # not ours any more: its owner reads it from the last commit
        if record.offset < tracker.next:
            self._queue.release()
            return  # in hand already
        if record.offset > tracker.next and record.topic not in self._compacted:
            terminate(
                Exit.GAP,
                f"{record.topic_partition}: expected offset {tracker.next}, got {record.offset}",
            )
        tracker.take(record.offset)
        self._service.queued(record)
        self._queue.submit(_key(record), _Job(record, tracker))

    async def _handle(self, job: _Job) -> None:
        self._watchdog.check()
        try:
            outputs = await self._outputs_of(job.record)
            waiting = [await self._publisher.send(output) for output in outputs]
            for sent in waiting:
                await asyncio.shield(sent)
        except BaseException as error:  # nothing from this record on may be committed
            if self._closing and isinstance(error, asyncio.CancelledError):
                raise
            terminate_on(error, str(job.record))
        job.tracker.finish(job.record.offset)
        self._metrics.records += 1
        self._metrics.outputs += len(outputs)

    async def _outputs_of(self, record: Record) -> list[Output]:
        try:
            return list(self._router.route(record, await self._handlers[record.topic](record)))
        except Unreadable as error:
            log.warning("dead_letter", record=str(record), reason=error.reason, field=error.field)
            self._metrics.dead_letters += 1
            return [dead_letter(record, error)]

    # Commits

    async def run_background(self) -> None:
        while True:
            await asyncio.sleep(self._options.commit_interval)
            self._metrics.in_flight = self._queue.running
            await self._commit()

    async def _commit(self) -> None:
        async with self._commit_lock:
            if not (due := self._ledger.due(self._trackers)):
                return
            # a rebalance is under way: the next round commits
            if not await self._member.commit(due):
                self._refused_since = self._refused_since or time.monotonic()
                return
            self._refused_since = None
            self._ledger.committed(due)
            self._metrics.committed.update(due)

    # Partitions

    async def on_assigned(self, owned: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Forget lost partitions, ask where gained ones begin.

        What is in hand of kept ones goes on undisturbed.
        """
        async with self._assignment_lock:
            for lost in self._trackers.keys() - owned:
                del self._trackers[lost]
            self._queue.discard(
                lambda job: self._trackers.get(job.record.topic_partition) is not job.tracker
            )
            gained = owned - self._trackers.keys()
            for topic_partition, offset in (
                await committed_offsets(self._connection, self._service.group, gained)
            ).items():
                self._trackers[topic_partition] = OffsetTracker(offset)
                self._ledger.begin(topic_partition, offset)
            return {
                topic_partition: self._trackers[topic_partition].next for topic_partition in owned
            }

    async def on_revoked(self) -> None:
        """Commit what is finished, and what soon will be.

        The rest goes on, and the partition's next owner does it again.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.idle(), HAND_OVER_WAIT)
        await self._commit()

    async def drain(self) -> None:
        """Wait for what is at work; what only waits is not committed, so the next owner does it."""
        self._closing = True
        self._queue.discard(lambda _: True)
        try:
            await asyncio.wait_for(self._queue.idle(), self._options.drain_timeout)
        except TimeoutError:
            log.warning("stopped_with_records_in_flight", records=self._queue.running)
            await self._queue.cancel(CANCEL_WAIT)
        await self._commit()

    # What the watch sees

    def positions(self) -> Mapping[TopicPartition, int]:
        return {
            topic_partition: tracker.committable
            for topic_partition, tracker in self._trackers.items()
        }

    def busy(self) -> bool:
        return self._queue.running > 0

    def stall_reason(self) -> str:
        limit = self._options.handler_timeout
        if (longest := self._queue.oldest()) > limit:
            return (
                f"a handler has been at work for {longest:.0f} s; give its calls a deadline "
                f"below {limit:.0f} s"
            )
        refused = time.monotonic() - self._refused_since if self._refused_since else 0.0
        if refused > STALL_SESSIONS * self._options.session_timeout:
            return f"commits have been refused for {refused:.0f} s"
        return ""


def _key(record: Record) -> Hashable:
    """Records of one topic and key stay in order; a record without a key waits for no other."""
    return (
        (record.topic, record.key)
        if record.key is not None
        else (*record.topic_partition, record.offset)
    )

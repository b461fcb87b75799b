"""Membership in a consumer group through Faust: the one place with Faust's private names.

Faust owns membership. Records come past it, from the client in C (`bus.librdkafka`), or through it:
then what one fetch brought, of all partitions, travels as one message, because its two tasks and
several queues for each message cost 0.25 ms, more than the engine takes for a record. Everything
it would decide by itself (where to read, what to commit, what to do after an error) is taken away
from it, because left alone it loses records: `docs/facts/faust.md`.
"""

# ruff: noqa: SLF001 (private names are this module's trade; each upgrade of Faust reruns tests/bus)

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from tempfile import TemporaryDirectory
from typing import Any, Final

import faust
import structlog
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.types import TP
from mode import CrashingSupervisor
from yarl import URL

from bus.connection import KafkaConnection
from bus.delivery import Buffer, FetchedRecords, Shell, take
from bus.exit import Exit, terminate, terminate_on
from bus.metrics import ShellMetrics
from bus.options import ShellOptions
from bus.reader import record_of
from bus.records import TopicPartition

log = structlog.get_logger(__name__)

# Once the poll interval has passed, Faust leaves the group and never returns (docs/facts/faust.md).
NEVER_LEAVE: Final = 31_536_000.0
REQUEST_TIMEOUT: Final = 30.0  # must be at least the session timeout
POLL_RECORDS: Final = 2_000
# per partition: several micro-batches in one fetch; three times as much is in memory
FETCH_BYTES: Final = 1 << 20


class GroupMember:
    """One process's membership."""

    def __init__(
        self,
        connection: KafkaConnection,
        group: str,
        topics: Iterable[str],
        instance: str,
        *,
        options: ShellOptions,
        metrics: ShellMetrics,
    ) -> None:
        self._connection = connection
        self._group = group
        self._topics = tuple(topics)
        self._instance = instance
        self._options = options
        self._buffer = Buffer(options.max_buffered_bytes, metrics)
        self._fetched: FetchedRecords | None = None
        # Faust wants a directory even when it keeps nothing
        self._scratch = TemporaryDirectory(prefix="ats-faust-")
        self._app: Any = None

    async def join(self, shell: Shell) -> None:
        """Return after the first assignment, with records flowing into `shell`."""
        self._app = self._build(shell)
        await self._app.start()

    async def leave(self) -> None:
        """Leave the group, after everything is handed over.

        Ends the process with 0 when that takes too long: Faust waits for its thread without end,
        above all when it is stopped in the middle of joining.
        """
        limit = self._options.leave_timeout
        if self._fetched:
            self._fetched.stop()
        overrun = threading.Timer(
            limit, terminate, (Exit.STOPPED, f"leaving the group took more than {limit:.1f} s")
        )
        overrun.daemon = True
        overrun.start()
        try:
            await self._app.stop()
        finally:
            overrun.cancel()
            self._scratch.cleanup()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Tell the group where a restart may read on. False while a rebalance is under way."""
        return bool(
            await self._app.consumer._commit_offsets(
                {TP(*each): offset for each, offset in offsets.items()}
            )
        )

    async def ends(self, topic_partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each."""
        found = await self._app.consumer.highwaters(*(TP(*each) for each in topic_partitions))
        return {TopicPartition(tp.topic, tp.partition): end for tp, end in found.items()}

    def fatal_reason(self) -> str:
        """Why this member will never see a record again, `""` while it may.

        Faust itself stays alive and silent.
        """
        coordinator = self._app.consumer._thread._consumer._coordinator
        if self._fetched and (failure := self._fetched.failure):
            return failure
        if self._app.crashed:
            return f"Faust crashed: {self._app.crash_reason!r}"
        if coordinator._pending_exception:
            return f"the group refuses us: {coordinator._pending_exception!r}"
        if coordinator._coordination_task.done():
            return "the group's coordination has ended"
        return ""

    def _build(self, shell: Shell) -> Any:
        options = self._options
        app = faust.App(
            self._group,
            broker=[
                URL(f"kafka://{server}") for server in self._connection.bootstrap_servers.split(",")
            ],
            broker_credentials=self._credentials(),
            env_prefix="ATS_FAUST",  # else any WEB_PORT or BROKER_URL in the environment wins
            web_enabled=False,
            store="memory://",
            datadir=self._scratch.name,
            key_serializer="raw",
            value_serializer="raw",
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=options.max_buffered_records,
            agent_supervisor=CrashingSupervisor,
            broker_max_poll_interval=NEVER_LEAVE,
            broker_max_poll_records=POLL_RECORDS,
            consumer_max_fetch_size=FETCH_BYTES,
            consumer_group_instance_id=self._instance if options.static_membership else None,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=options.session_timeout,
            broker_heartbeat_interval=options.session_timeout / 5,
            broker_rebalance_timeout=options.session_timeout,
            broker_request_timeout=max(REQUEST_TIMEOUT, options.session_timeout),
        )
        consumer = _consumer_for(shell, frozenset(self._topics), self._buffer)
        if self._connection.fetch_client == "librdkafka":
            self._fetched = FetchedRecords(self._connection, self._group, shell, self._buffer)
            consumer = _without_fetching(consumer, self._fetched)
        app.transport.Consumer = consumer
        app.on_partitions_revoked.connect(
            _on_revoked_within(shell, options.session_timeout / 3), weak=False
        )
        app.agent(app.topic(*self._topics, key_type=bytes, value_type=bytes), concurrency=1)(
            _deliver(shell, self._buffer)
        )
        return app

    def _credentials(self) -> Any:
        connection, context = self._connection, self._connection.ssl_context()
        if connection.uses_sasl:
            return faust.SASLCredentials(
                username=connection.sasl_username,
                password=connection.sasl_password,
                ssl_context=context,
                mechanism=connection.sasl_mechanism,
            )
        return faust.SSLCredentials(context) if context else None


class ConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust ships no usable types
    """Faust's own consumer, which outlives a commit that comes when its partitions have moved."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # A rebalance came after Faust had looked whose partitions these are. It would leave none to
        # commit, and aiokafka's ValueError({}) would crash the app.
        owned = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        return bool(owned) and bool(await super()._commit(owned))

    async def stop_fetching(self) -> None:
        """Fetch nothing of the partitions assigned now."""
        await self.call_thread(self._pause)

    async def _pause(self) -> None:
        consumer = self._ensure_consumer()
        consumer.pause(*consumer.assignment())


def _consumer_for(shell: Shell, topics: frozenset[str], buffer: Buffer) -> type:
    class Consumer(FaustConsumer):  # type: ignore[misc]  # Faust ships no usable types
        def _new_consumer_thread(self) -> ConsumerThread:
            return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

        async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
            # Faust passes its live set to another thread; emptied meanwhile, it reads as "all
            # partitions"
            copied = None if active_partitions is None else set(active_partitions)
            if not await buffer.room(timeout):
                return {}
            found = await super()._getmany(copied, timeout)
            rows = [row for part in found.values() for row in part]
            buffer.change(sum(len(row.value or b"") for row in rows))
            return {TP(rows[-1].topic, rows[-1].partition): [rows]} if rows else {}

        def _to_message(self, tp: TP, record: Any) -> Any:
            message = super()._to_message(tp, record[-1])
            message.rows, message.generation = record, buffer.generation
            return message

        async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
            pass  # for the automatic commit; the offsets between two fetches are no gap

        async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
            return True  # the automatic commit: it knows nothing of snapshots or unfinished work

        async def perform_seek(self) -> None:
            # The last step before records flow, at every assignment; also called at odd moments, so
            # it is idempotent.
            buffer.begin_rebalance()
            owned = {
                TopicPartition(tp.topic, tp.partition)
                for tp in self.assignment()
                if tp.topic in topics
            }
            places = await _places(shell, owned)
            try:
                await self._read_from(places)
            except Exception as error:  # noqa: BLE001  # moved away meanwhile: the next assignment seeks again
                log.warning("seek_refused", error=repr(error))
            finally:
                buffer.end_rebalance()

        async def _read_from(self, places: Mapping[TopicPartition, int]) -> None:
            # seek_wait() works in the consumer's thread, seek() would not
            await self.seek_wait({TP(*each): offset for each, offset in places.items()})

    return Consumer


async def _places(shell: Shell, owned: set[TopicPartition]) -> Mapping[TopicPartition, int]:
    try:
        return await shell.on_assigned(owned)
    except Exception as error:  # noqa: BLE001  # whatever it is, Faust would swallow it and read on from anywhere
        terminate_on(error, "taking over partitions")


def _without_fetching(consumer: Any, fetched: FetchedRecords) -> type:
    """A consumer of Faust's whose records are fetched by another client."""

    class Consumer(consumer):  # type: ignore[misc]  # Faust ships no usable types
        async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ARG002, ASYNC109  # Faust's
            await asyncio.sleep(timeout)
            await self.can_resume_flow.wait()  # else Faust seeks in the middle of a rebalance
            return {}

        async def _read_from(self, places: Mapping[TopicPartition, int]) -> None:
            await self._thread.stop_fetching()
            fetched.read_from(places)

        def stop_flow(self) -> None:
            super().stop_flow()
            fetched.hold()  # also when no partition comes back: then Faust seeks nowhere

        def verify_event_path(self, now: float, tp: TP) -> None:
            pass  # it would complain that it fetches nothing

    return Consumer


def _on_revoked_within(shell: Shell, limit: float) -> Any:
    async def on_revoked(app: Any, revoked: Any, **_: Any) -> None:  # noqa: ARG001  # the signal's signature
        try:  # only to shorten what the next owner does again
            await asyncio.wait_for(shell.on_revoked(), limit)
        except TimeoutError:
            log.warning("handed_over_late", limit_s=limit)

    return on_revoked


def _deliver(shell: Shell, buffer: Buffer) -> Any:
    async def deliver(stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            await take(shell, buffer, message.generation, map(record_of, message.rows))

    return deliver

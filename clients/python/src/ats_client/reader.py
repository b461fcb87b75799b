"""Reads messages without a consumer group: it disturbs nobody, and nobody notices it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date
from inspect import signature
from time import monotonic
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import ValidationError

from ats_client.base import Message
from ats_client.cursor import Cursor, Place, Since, day_of, milliseconds, offsets_in
from ats_client.messages import TOPICS
from ats_client.repeats import Repeats

M = TypeVar("M", bound=Message)

REMEMBERED: Final = 100_000  # messages of each topic: 10 MB, and more than a crash repeats
POLL_MS: Final = 200  # longest wait for records before the end is looked at again
LARGEST_FETCH: Final = 4 << 20  # bytes; the largest record, a dead letter, fits
PATIENCE: Final = 60.0  # seconds; a broker that starts again is back in less than 30

log = logging.getLogger(__name__)


class TopicMissing(LookupError):
    """The cluster lacks these topics: is it ATS's, and has ATS run once?"""


class CursorAhead(LookupError):
    """A topic ends before the cursor: it was made anew. Begin with `since="start"`, or a moment."""


class EndNotReached(TimeoutError):
    """Kafka gave nothing for a while, and the end is not reached: what was read is not all.

    Next: start the broker, and go on with `since=` the reader's `cursor`.
    """


@dataclass(frozen=True, slots=True)
class Record(Generic[M]):
    """One message and where it stands.

    Attributes:
        published_ms: When it was written, by the writer's clock, POSIX milliseconds.
        headers: Those of CloudEvents (`ce_…`) among them; of a repeated name the last value.
    """

    message: M
    topic: str
    partition: int
    offset: int
    published_ms: int
    headers: dict[str, bytes] = field(default_factory=dict)


class Reader(Generic[M]):
    """The messages of one or more types. An async context manager and an async iterator.

    Each partition comes in its order. Repeats are dropped, as are fields that this version does not
    know. What is no message of its topic is passed over, with a warning in the log, and counted in
    `unreadable`. It stays through a broker's restart; one that reads to an end gives up on a broker
    that stays away.
    """

    def __init__(
        self,
        servers: str,
        *kinds: type[M],
        since: Since = "end",
        until_end: bool = False,
        day: date | None = None,
        remember: int = REMEMBERED,
        patience: float = PATIENCE,
        clock: Callable[[], float] = monotonic,
        **client: Any,
    ) -> None:
        """Say what to read; entering the context connects.

        Args:
            servers: `host:port`, several separated by commas.
            kinds: Types of messages, such as `Decision`.
            since: `start`, `end`, a moment (by the writer's clock), or a `cursor` kept from before.
            until_end: Stop at the end as it was at the start; else wait for what comes.
            day: Replay this Indian market day: everything of it that is there now, and no more.
            remember: How many messages of each topic are known again.
            patience: Seconds without a record after which a reader with an end gives up before it.
            clock: Monotonic seconds.
            client: More arguments for `aiokafka.AIOKafkaConsumer`, such as `security_protocol`.

        Raises:
            ValueError: no type, or one that no topic carries.
        """
        by_kind = {kind: topic for topic, kind in TOPICS.items()}
        if not kinds or any(kind not in by_kind for kind in kinds):
            raise ValueError(f"name types of messages such as Decision, not {kinds}")
        self._kinds: dict[str, type[M]] = {by_kind[kind]: kind for kind in kinds}
        self._since: Since = since if day is None else day
        self._until_end = until_end or day is not None
        self._day = day
        self._patience, self._clock = patience, clock
        self._repeats = {topic: Repeats(remember) for topic in self._kinds}
        self._next: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._options = {
            "max_partition_fetch_bytes": LARGEST_FETCH,
            "fetch_max_wait_ms": POLL_MS,
        } | client
        self._servers = servers.split(",")
        self._consumer: AIOKafkaConsumer | None = None
        self.unreadable = 0

    async def __aenter__(self) -> Self:
        """Connect, and find where to begin.

        Raises:
            TopicMissing: a topic is not there.
            CursorAhead: `since` is a cursor, and of another cluster or of topics made anew.
            aiokafka.errors.KafkaConnectionError: no broker answers.
        """
        partitions = await self._partitions()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what retention removed meanwhile cannot be read
            **self._options,
        )
        try:
            await consumer.start()
            await self._begin(consumer, partitions)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def cursor(self) -> Cursor:
        """Where a later reader goes on with `since=`, after what this one has yielded."""
        found: dict[str, dict[int, int]] = {}
        for place, offset in self._next.items():
            found.setdefault(place.topic, {})[place.partition] = offset
        return found

    async def __aiter__(self) -> AsyncIterator[M]:
        """Yield each message. Raises as `records`."""
        async for record in self.records():
            yield record.message

    async def records(self) -> AsyncIterator[Record[M]]:
        """Yield each message with its place, time of writing and headers.

        Raises:
            EndNotReached: with an end only, Kafka gave nothing for `patience` seconds before it.
        """
        assert self._consumer is not None, "read within `async with`"
        heard = self._clock()
        while not self._until_end or self._unread():
            before = dict(self._next)
            batches = await self._consumer.getmany(timeout_ms=POLL_MS)
            for partition, rows in batches.items():
                place = Place(*partition)
                for row in rows:
                    if self._until_end and row.offset >= self._ends[place]:
                        break
                    self._next[place] = row.offset + 1
                    if (record := self._read(row)) is not None:
                        yield record
            if self._until_end:
                await self._pass_over_gaps()
                if self._next != before:  # what the caller did with them is no waiting
                    heard = self._clock()
                elif self._clock() - heard >= self._patience:
                    raise EndNotReached(self._stalled())

    def _unread(self) -> list[Place]:
        return [place for place, end in self._ends.items() if self._next[place] < end]

    def _stalled(self) -> str:
        place, *more = self._unread()
        others = f" and {len(more)} more partitions" if more else ""
        return (
            f"no record for {self._patience:g} s, and {place.topic}-{place.partition} is read to "
            f"{self._next[place]} of {self._ends[place]}{others}: does Kafka run at "
            f"{','.join(self._servers)}?"
        )

    async def _pass_over_gaps(self) -> None:
        """Compaction leaves offsets without a record, also at the end."""
        assert self._consumer is not None, "the caller looked"
        for place in self._ends:
            at = await self._consumer.position(TopicPartition(*place))
            self._next[place] = max(self._next[place], at)

    def _read(self, row: Any) -> Record[M] | None:
        value: bytes = row.value or b""
        try:
            message = self._kinds[row.topic].model_validate_json(value)
        except ValidationError as error:
            self.unreadable += 1
            why = error.errors(include_url=False, include_input=False)[0]  # the input may be MBs
            log.warning("%s-%s@%s: %s", row.topic, row.partition, row.offset, why)
            return None
        if self._day is not None and day_of(message.event_time) != self._day:
            return None
        if not self._repeats[row.topic].is_new(value):
            return None
        place = row.topic, row.partition, row.offset, row.timestamp
        return Record(message, *place, headers=dict(row.headers))

    async def _begin(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        offsets = await self._offsets(consumer, partitions)
        consumer.assign(partitions)  # last: a fetch would hold every question up
        for partition in partitions:
            place, end = Place(*partition), ends[partition]
            wanted = begins[partition] if offsets is None else offsets.get(place, end)
            if wanted > end:
                raise CursorAhead(f"{place.topic}-{place.partition} ends at {end}, not at {wanted}")
            begin = max(wanted, begins[partition])
            if offsets and wanted < begin:
                log.warning("%s-%s: %s to %s are gone", *place, wanted, begin - 1)
            self._ends[place], self._next[place] = end, begin
            consumer.seek(partition, begin)

    async def _partitions(self) -> list[TopicPartition]:
        shared = signature(AIOKafkaAdminClient).parameters.keys() & self._options.keys()
        options = {name: self._options[name] for name in shared}
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers, **options)
        try:
            await admin.start()
            found = {each["topic"]: each["partitions"] for each in await admin.describe_topics()}
        finally:
            await admin.close()
        if missing := self._kinds.keys() - found.keys():
            raise TopicMissing(", ".join(sorted(missing)))
        return [
            TopicPartition(topic, number)
            for topic in self._kinds
            for number in sorted(each["partition"] for each in found[topic])
        ]

    async def _offsets(
        self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
    ) -> dict[Place, int] | None:
        """Where to begin: None is the start, a place that is missing its end."""
        match self._since:
            case "start":
                return None
            case "end":
                return {}
            case date() as moment:
                wanted = dict.fromkeys(partitions, milliseconds(moment))
                found = await consumer.offsets_for_times(wanted)
                return {Place(*each): hit.offset for each, hit in found.items() if hit}
            case cursor:
                unread = {Place(*each): 0 for each in partitions}
                return unread | offsets_in(cursor)

"""Fetches records with Kafka's client in C, in a thread of its own.

It reads the partitions that it is given from the offsets that it is given. It joins no group and
commits nothing: both stay Faust's (`bus.faust_app`). All of confluent-kafka stands here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as ClientPartition

from bus.connection import KafkaConnection
from bus.records import NS_PER_MS, Record, TopicPartition
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

POLL: Final = 0.1  # seconds: so late an idle thread learns of new partitions
AT_ONCE: Final = 256  # records handed over together
STOP_WITHIN: Final = 1.0  # seconds: a poll and closing the connections
OPTIONS: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",  # the shell sees the hole, as with aiokafka
    "isolation.level": "read_uncommitted",
    "check.crcs": True,
    "socket.nagle.disable": True,
    "fetch.wait.max.ms": 500,
    "fetch.queue.backoff.ms": 1,  # by default a full queue rests for a second
    "fetch.error.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,  # a broker restart takes 6 to 9 s
    "max.partition.fetch.bytes": 1 << 20,
}
# The topic is not known everywhere yet, or its leader moves: the client asks again by itself.
PASSING: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001  # their names
)

Deliver: TypeAlias = Callable[[int, Sequence[Message]], None]


class Fetcher:
    """One consumer. Its methods are called from the event loop of `start`."""

    def __init__(
        self, connection: KafkaConnection, group: str, *, max_bytes: int, deliver: Deliver
    ) -> None:
        """`deliver` is called in the event loop with what came, and the generation it is of.

        `max_bytes` bounds what the client holds; as much again may be on its way to `deliver`.
        """
        self._options = {
            **connection.librdkafka_options(),
            **OPTIONS,
            "group.id": group,
            "queued.max.messages.kbytes": max(1, max_bytes >> 10),
            "error_cb": self._note,
        }
        self._deliver = deliver
        self._wanted: tuple[int, Mapping[TopicPartition, int]] = (0, {})
        self._room = threading.Event()
        self._room.set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure = ""  # why it will fetch no more

    def assign(self, generation: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Read exactly these from now on. Starts the thread the first time."""
        self._wanted = generation, dict(offsets)
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, args=(loop,), name="fetch")
            self._thread.daemon = True
            self._thread.start()

    def has_room(self, room: bool) -> None:
        """Go on, or hand nothing over until there is room again."""
        if room:
            self._room.set()
        else:
            self._room.clear()

    def stop(self) -> None:
        """Close the connections; nothing is delivered any more."""
        self._stopped.set()
        self._room.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            client = Consumer(self._options)
            try:
                self._fetch(client, loop)
            finally:
                client.close()
        except Exception as error:  # noqa: BLE001  # whoever watches ends the process
            self.failure = f"the fetching thread ended: {error!r}"

    def _fetch(self, client: Consumer, loop: asyncio.AbstractEventLoop) -> None:
        assigned = None
        while not self._stopped.is_set():
            if assigned is not (wanted := self._wanted):
                client.assign([ClientPartition(*place, at) for place, at in wanted[1].items()])
                assigned = wanted
            self._room.wait()
            first = client.poll(POLL)
            if first is None:
                continue
            found = [m for m in (first, *client.consume(AT_ONCE, 0)) if not self._is_error(m)]
            if found and not self._stopped.is_set():
                loop.call_soon_threadsafe(self._deliver, wanted[0], found)

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() not in PASSING:  # a record that is damaged, or may not be read
            raise KafkaException(error)
        log.warning("fetch_refused", error=str(error), topic=message.topic())
        return True

    def _note(self, error: KafkaError) -> None:
        """Hear of the connections. The client connects again by itself, unless it is fatal."""
        log.info("fetch_connection", error=str(error))
        if error.fatal():
            self.failure = f"the client gave up: {error}"


def size_of(message: Message) -> int:
    """Bytes of its value."""
    return len(message.value() or b"")


def record_from(message: Message) -> Record:
    """What the client read, in our terms."""
    headers: Any = message.headers()
    return Record(
        str(message.topic()),
        int(message.partition() or 0),
        int(message.offset() or 0),
        message.key(),
        message.value(),
        UtcNs(message.timestamp()[1] * NS_PER_MS),
        dict(headers) if headers else {},
    )

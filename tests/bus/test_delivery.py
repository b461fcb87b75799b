"""The client in C between its thread and the shell: what is stale, too much, or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Message

from bus.connection import KafkaConnection
from bus.delivery import Buffer, FetchedRecords, Shell
from bus.librdkafka import Fetcher
from bus.metrics import ShellMetrics
from bus.records import Record, TopicPartition

NOWHERE = KafkaConnection("127.0.0.1:1")
PLACE = TopicPartition("orders", 0)


class Taken:
    """A shell that notes what it is given, and takes on when `go_on` is set."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def process(self, record: Record) -> None:
        await self.go_on.wait()
        self.offsets.append(record.offset)


class Harness:
    """The way from the client to the shell, with the client taken out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int = 1_000) -> None:
        self.assigned: list[tuple[int, Mapping[TopicPartition, int]]] = []
        self.room: list[bool] = []
        monkeypatch.setattr(Fetcher, "assign", lambda _, *what: self.assigned.append(what))
        monkeypatch.setattr(Fetcher, "has_room", lambda _, room: self.room.append(room))
        self.shell, self.buffer = Taken(), Buffer(limit, ShellMetrics())
        self.fetched = FetchedRecords(NOWHERE, "g", cast("Shell", self.shell), self.buffer)

    def begin(self) -> None:
        self.buffer.begin_rebalance()
        self.fetched.read_from({PLACE: 0})
        self.buffer.end_rebalance()

    async def arrive(self, *offsets: int, generation: int | None = None) -> None:
        number = self.buffer.generation if generation is None else generation
        self.fetched._arrived(number, [message(offset) for offset in offsets])
        for _ in range(5):
            await asyncio.sleep(0)


def message(offset: int, error: KafkaError | None = None) -> Message:
    read = SimpleNamespace(
        topic=lambda: "orders",
        partition=lambda: 0,
        offset=lambda: offset,
        key=lambda: None,
        value=lambda: b"x" * 100,
        headers=lambda: None,
        timestamp=lambda: (1, 0),
        error=lambda: error,
    )
    return cast("Message", read)


async def test_records_reach_the_shell_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    way = Harness(monkeypatch)
    way.begin()

    await way.arrive(0, 1)
    await way.arrive(2)

    assert way.shell.offsets == [0, 1, 2]
    assert way.buffer._metrics.buffered_bytes == 0


async def test_what_was_fetched_before_a_rebalance_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = Harness(monkeypatch)
    way.begin()
    before = way.buffer.generation
    way.shell.go_on.clear()
    await way.arrive(0, 1, 2)  # the shell is at work on 0

    way.begin()
    way.shell.go_on.set()
    await way.arrive(7, generation=before)  # was on its way from the thread
    await way.arrive(1, 2)

    assert way.shell.offsets == [0, 1, 2]


async def test_nothing_is_read_from_the_stop_of_the_flow_until_partitions_are_given_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = Harness(monkeypatch)
    way.begin()

    way.fetched.hold()
    await way.arrive(0)

    assert way.shell.offsets == []
    assert way.assigned == [(1, {PLACE: 0}), (1, {})]


async def test_the_client_waits_while_too_many_bytes_are_in_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = Harness(monkeypatch, limit=150)
    way.begin()
    way.shell.go_on.clear()

    await way.arrive(0, 1)
    full = way.room[-1]
    way.shell.go_on.set()
    await way.arrive()

    assert not full
    assert way.room[-1]


async def test_a_record_that_the_client_cannot_read_ends_fetching_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged = message(3, KafkaError(KafkaError._BAD_MSG, "checksum"))
    client = SimpleNamespace(
        assign=lambda _: None,
        poll=lambda _: damaged,
        consume=lambda *_: [],
        close=lambda: None,
    )
    monkeypatch.setattr("bus.librdkafka.Consumer", lambda _: client)
    given: list[Any] = []
    fetcher = Fetcher(NOWHERE, "g", max_bytes=1, deliver=lambda *what: given.append(what))

    fetcher.assign(1, {PLACE: 3})
    fetcher.stop()
    assert fetcher._thread
    fetcher._thread.join()

    assert "checksum" in fetcher.failure
    assert given == []


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC])
def test_a_topic_that_is_not_known_everywhere_yet_is_asked_for_again(code: int) -> None:
    fetcher = Fetcher(NOWHERE, "g", max_bytes=1, deliver=lambda *_: None)

    assert fetcher._is_error(message(0, KafkaError(code)))
    assert not fetcher._is_error(message(0))


def test_the_client_in_c_gets_the_credentials_of_the_connection() -> None:
    connection = KafkaConnection("h:1", "SASL_SSL", "SCRAM-SHA-256", "me", "hush", "/ca.pem")

    assert connection.librdkafka_options() == {
        "bootstrap.servers": "h:1",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": "/ca.pem",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "me",
        "sasl.password": "hush",
    }

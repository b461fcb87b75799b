"""The parts that need no broker: offsets, queue, dead letters, routing."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import orjson
import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from bus.connection import KafkaConnection
from bus.dead_letters import KEPT_BYTES, dead_letter
from bus.delivery import Buffer
from bus.exact import read_exactly
from bus.faust_app import ConsumerThread
from bus.keyed_queue import KeyedQueue
from bus.metrics import Histogram, ShellMetrics
from bus.offsets import CommitLedger, OffsetTracker
from bus.patience import Silence
from bus.publisher import Publisher
from bus.reader import extents_of, partitions_of, read_in_order, read_topics
from bus.records import Output, Record, TopicPartition, partition_for
from bus.routing import Router
from bus.tail import Span, open_tail
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.ids import InstrumentId
from schemas.messages import DeadLetter
from schemas.ticks import partition_of
from schemas.topics import (
    CANDLES,
    DEAD_LETTER,
    LLM,
    ORDERS,
    SCANS,
    SIGNALS,
    TICKS,
    PartitionPlan,
    user_partition,
)
from schemas.units import UtcNs

USER = "0e7b4e39-2f0b-4a44-93c1-6f6c7fbb5a01"


def a_record(
    offset: int = 7, *, key: bytes | None = b"k", value: bytes | None = b"v", partition: int = 2
) -> Record:
    return Record(TICKS.name, partition, offset, key, value, UtcNs(1_700_000_000_000_000_000))


# Offsets


@given(st.integers(0, 100), st.permutations(range(12)))
def test_the_offset_to_commit_is_the_oldest_unfinished_whatever_order_records_finish_in(
    start: int, order: list[int]
) -> None:
    tracker, unfinished = OffsetTracker(start), {start + step for step in range(12)}
    for offset in sorted(unfinished):
        tracker.take(offset)

    for step in order:
        tracker.finish(start + step)
        unfinished.remove(start + step)
        assert tracker.committable == min(unfinished, default=start + 12)


@given(st.lists(st.integers(1, 5), min_size=1))
def test_holes_of_a_compacted_topic_do_not_hold_up_the_commit(steps: list[int]) -> None:
    tracker, offset = OffsetTracker(0), 0
    for step in steps:
        offset += step
        tracker.take(offset)
        tracker.finish(offset)

    assert tracker.committable == tracker.next == offset + 1


def test_a_record_cannot_be_taken_twice() -> None:
    tracker = OffsetTracker(5)
    tracker.take(5)

    with pytest.raises(ValueError, match="taken before"):
        tracker.take(5)


def test_only_offsets_that_moved_are_due_for_a_commit() -> None:
    topic_partition, tracker, ledger = TopicPartition("t", 0), OffsetTracker(3), CommitLedger()
    ledger.begin(topic_partition, 3)
    assert ledger.due({topic_partition: tracker}) == {}

    tracker.take(3)
    tracker.finish(3)

    assert ledger.due({topic_partition: tracker}) == {topic_partition: 4}
    ledger.committed({topic_partition: 4})
    assert ledger.due({topic_partition: tracker}) == {}


# KeyedQueue


@given(
    st.lists(st.integers(0, 4), max_size=60), st.integers(1, 8), st.randoms(use_true_random=False)
)
def test_of_one_key_order_is_kept_and_the_bound_on_work_holds(
    keys: list[int], bound: int, chance: random.Random
) -> None:
    begun: dict[int, list[int]] = defaultdict(list)
    running: dict[int, int] = defaultdict(int)

    async def work(item: tuple[int, int]) -> None:
        key, number = item
        running[key] += 1
        assert running[key] == 1, "two of one key at once"
        assert sum(running.values()) <= bound
        begun[key].append(number)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        running[key] -= 1

    async def run() -> None:
        queue = KeyedQueue[tuple[int, int]](work, bound)
        for number, key in enumerate(keys):
            await queue.acquire()
            queue.submit(key, (key, number))
        await queue.idle()

    asyncio.run(run())

    assert dict(begun) == {key: [n for n, k in enumerate(keys) if k == key] for key in set(keys)}


async def test_different_keys_are_worked_on_at_once_and_one_key_is_not() -> None:
    release = asyncio.Event()

    async def work(_: int) -> None:
        await release.wait()

    queue = KeyedQueue[int](work, in_flight=8)
    for number in range(8):
        await queue.acquire()
        queue.submit(number // 2, number)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    peak = queue.running
    release.set()
    await queue.idle()

    assert peak == 4
    assert queue.running == 0


async def test_abandoned_items_are_never_begun_and_give_their_room_back() -> None:
    release, begun = asyncio.Event(), []

    async def work(item: int) -> None:
        begun.append(item)
        await release.wait()

    queue = KeyedQueue[int](work, in_flight=1)
    for item in range(16):  # all the room there is
        await queue.acquire()
        queue.submit("one key", item)
    await asyncio.sleep(0)
    queue.discard(lambda item: item % 2 == 1)
    for item in range(16, 24):
        await asyncio.wait_for(queue.acquire(), 1)
        queue.submit("one key", item)
    release.set()
    await queue.idle()

    assert begun == [*range(0, 16, 2), *range(16, 24)]


# Dead letters


@given(
    st.none() | st.binary(max_size=300),
    st.none() | st.binary(max_size=300),
    st.text(max_size=9_000),
    st.text(max_size=300),
)
def test_a_dead_letter_keeps_the_record_verbatim_with_its_place_and_reason(
    key: bytes | None, value: bytes | None, reason: str, field: str
) -> None:
    record = a_record(key=key, value=value)

    output = dead_letter(record, Unreadable(reason, field))

    letter = decode(DeadLetter, output.value)
    assert (letter.topic, letter.partition, letter.offset) == (
        record.topic,
        record.partition,
        record.offset,
    )
    assert (verbatim(letter.key), verbatim(letter.value)) == (key, value)
    assert letter.reason == reason[:4_000]
    assert letter.field == field[:100]
    assert (output.topic, output.partition) == (DEAD_LETTER, 0)


def verbatim(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def test_a_dead_letter_has_the_same_bytes_each_time_and_another_id_for_another_record() -> None:
    letters = [dead_letter(a_record(offset), Unreadable("why")) for offset in (7, 7, 8)]

    assert letters[0] == letters[1]
    assert decode(DeadLetter, letters[0].value).id != decode(DeadLetter, letters[2].value).id


def test_a_record_too_large_for_the_dead_letters_is_cut_and_says_so() -> None:
    value = random.Random(1).randbytes(KEPT_BYTES + 1)

    output = dead_letter(a_record(key=bytes(70_000), value=value), Unreadable("x" * 5_000))

    letter = decode(DeadLetter, output.value)
    assert len(output.value) < DEAD_LETTER.max_message_bytes - 100_000
    assert base64.b64decode(letter.value or "") == value[:KEPT_BYTES]
    assert "key of 70000 bytes cut to 60000, value of 2900001 bytes cut to 2900000" in letter.reason
    assert "ats.ticks-2@7" in letter.reason


def test_a_reason_with_half_a_character_still_makes_a_letter() -> None:
    letter = orjson.loads(dead_letter(a_record(), Unreadable("\ud800", "\udfff")).value)

    assert (letter["reason"], letter["field"]) == ("?", "?")


# Routing


def a_router() -> Router:
    return Router(
        {SIGNALS.name: SIGNALS},
        (SIGNALS, CANDLES, ORDERS, SCANS),
        PartitionPlan(instrument=6, user=5),
    )


def a_signal(partition: int) -> Record:
    return Record(SIGNALS.name, partition, 40, b"NSE_EQ:1", b"", UtcNs(0))


def test_an_output_of_the_same_family_goes_to_the_partition_of_its_cause() -> None:
    routed = list(a_router().route(a_signal(4), [Output(CANDLES, b"NSE_EQ:2885", b"v")]))

    assert routed[0].partition == 4


def test_an_output_of_another_family_goes_by_its_key() -> None:
    outputs = [Output(ORDERS, USER.encode(), b""), Output(SCANS, b"2024-01-01", b"")]

    assert [output.partition for output in a_router().route(a_signal(4), outputs)] == [
        user_partition(USER, 5),
        0,
    ]


def test_an_output_that_names_its_partition_keeps_it() -> None:
    (routed,) = a_router().route(a_signal(4), [Output(CANDLES, b"NSE_EQ:1", b"", partition=1)])

    assert routed.partition == 1


def test_causes_count_per_topic_in_the_order_given() -> None:
    outputs = [
        Output(topic, USER.encode(), b"") for topic in (CANDLES, ORDERS, CANDLES, CANDLES, ORDERS)
    ]

    causes = [
        dict(output.headers)["ats-cause"] for output in a_router().route(a_signal(0), outputs)
    ]

    assert causes == [b"40:0", b"40:0", b"40:1", b"40:2", b"40:1"]


def test_an_output_to_a_topic_that_was_not_announced_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"ats\.llm.*add that topic"):
        list(a_router().route(a_signal(0), [Output(LLM, b"k", b"v")]))


@given(st.integers(1, 4_000_000_000), st.integers(1, 64))
def test_an_instrument_goes_where_the_gateway_puts_its_ticks(
    security_id: int, partitions: int
) -> None:
    instrument = InstrumentId.parse(f"NSE_EQ:{security_id}")

    assert partition_for(
        Output(CANDLES, str(instrument).encode(), b""), partitions
    ) == partition_of(instrument, partitions)


# Back-pressure and metrics


async def test_fetching_waits_while_too_many_bytes_are_in_hand_and_goes_on_when_taken() -> None:
    metrics = ShellMetrics()
    buffer = Buffer(100, metrics)

    buffer.change(101)
    assert not await buffer.room(0.01)
    buffer.change(-1)

    assert await buffer.room(0.01)
    assert metrics.buffered_bytes == 100


@pytest.mark.parametrize(("owned", "committed"), [((), ()), ((1,), (1,))])
async def test_a_commit_of_partitions_that_have_moved_meanwhile_is_left_out(
    owned: tuple[int, ...], committed: tuple[int, ...]
) -> None:
    """aiokafka refuses an empty commit with a ValueError, which ends Faust."""
    thread, sent = ConsumerThread.__new__(ConsumerThread), list[Any]()
    consumer = SimpleNamespace(
        commit=AsyncMock(side_effect=sent.append),
        assignment=lambda: {TP("orders", number) for number in owned},
    )
    thread._consumer = consumer
    thread.tp_last_committed_at = {}

    done = await thread._commit({TP("orders", 0): 7, TP("orders", 1): 8})

    assert done is bool(committed)
    assert [place.partition for places in sent for place in places] == list(committed)


async def test_what_a_rebalance_drops_is_forgotten_and_what_was_fetched_before_is_stale() -> None:
    metrics = ShellMetrics()
    buffer = Buffer(100, metrics)
    buffer.change(500)
    fetched = buffer.generation

    buffer.begin_rebalance()
    assert buffer.rebalancing
    buffer.end_rebalance()
    buffer.change(-500)  # still on its way to the shell

    assert fetched != buffer.generation
    assert await buffer.room(0.01)
    assert metrics.buffered_bytes == 0


def test_a_histogram_counts_a_value_at_its_bound_and_one_above_all() -> None:
    histogram = Histogram((1, 10))

    for value in (0.5, 1, 1.5, 10, 11):
        histogram.observe(value)

    assert histogram.counts == [2, 2, 1]
    assert histogram.total == 24


# Connection


async def test_a_broker_that_goes_away_before_it_names_its_topics_is_to_be_tried_later() -> None:
    gone = AsyncMock(side_effect=KafkaError("Unable to get cluster metadata"))
    client = SimpleNamespace(_client=SimpleNamespace(fetch_all_metadata=gone))

    with pytest.raises(TryLater, match="cluster metadata"):
        await partitions_of(client, [DEAD_LETTER])


async def test_a_broker_that_goes_away_before_it_says_where_topics_end_is_to_be_tried_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = AsyncMock(side_effect=KafkaTimeoutError("no answer in 40 s"))
    client = SimpleNamespace(beginning_offsets=gone, end_offsets=gone)
    monkeypatch.setattr("bus.reader.reader", lambda _: nullcontext(client))
    monkeypatch.setattr("bus.reader.partitions_of", AsyncMock(return_value=[]))

    with pytest.raises(TryLater, match="no answer in 40 s"):
        await extents_of(KafkaConnection("h:1"), DEAD_LETTER)


async def test_whoever_reads_to_an_end_gives_up_on_a_broker_that_stays_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, connection = TopicPartition(DEAD_LETTER.name, 0), KafkaConnection("h:1")

    async def nothing(*_: object, **__: object) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        return {}

    client = MagicMock(
        getmany=nothing,
        position=AsyncMock(return_value=0),
        beginning_offsets=AsyncMock(return_value={place: 0}),
        end_offsets=AsyncMock(return_value={place: 1}),
    )
    monkeypatch.setattr("bus.patience.SILENT_FOR", 0.0)
    for module in ("reader", "tail", "exact"):
        monkeypatch.setattr(f"bus.{module}.reader", lambda *_, **__: nullcontext(client))
        monkeypatch.setattr(f"bus.{module}.partitions_of", AsyncMock(return_value=[place]))

    async with open_tail(connection, [DEAD_LETTER]) as tail:
        for records in (
            read_topics(connection, [DEAD_LETTER], since="start", until_end=True),
            read_in_order(connection, [DEAD_LETTER]),
            read_exactly(connection, DEAD_LETTER, {0: Span(0, 1)}),
            tail.read(tail.spans),
        ):
            with pytest.raises(TryLater, match=r"ats\.deadletter-0 is not read to its end"):
                await asyncio.wait_for(anext(records), 5)


async def test_an_output_that_finds_no_room_for_long_is_to_be_tried_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = SimpleNamespace(
        partitions_for=AsyncMock(return_value={0}), send=AsyncMock(side_effect=KafkaTimeoutError)
    )
    monkeypatch.setattr("bus.publisher.durable_producer", lambda *_, **__: producer)
    monkeypatch.setattr(Publisher, "_append", lambda *_: None)  # the batch is full

    with pytest.raises(TryLater, match="KafkaTimeoutError"):
        await Publisher(KafkaConnection("h:1")).send(Output(DEAD_LETTER, b"k", b"v", 0))


def test_a_broker_that_is_back_within_a_minute_is_waited_for() -> None:
    now = iter([0.0, 59.0, 100.0, 159.0, 160.0])
    silence = Silence(lambda: next(now))

    for heard in (False, False, True, False, False):
        silence.note("ats.ticks-0", heard=heard)
    with pytest.raises(TryLater, match="not read to its end"):
        silence.note("ats.ticks-0", heard=False)


def test_a_password_is_not_shown() -> None:
    connection = KafkaConnection("h:1", "SASL_SSL", "SCRAM-SHA-256", "me", "hush-hush")

    assert "hush" not in repr(connection)
    assert connection.client_options()["sasl_plain_password"] == "hush-hush"
    assert connection.client_options()["ssl_context"] is not None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bootstrap_servers": ""}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"bootstrap_servers": "h:1", "security_protocol": "TLS"}, "'TLS'"),
        ({"bootstrap_servers": "h:1", "security_protocol": "SASL_SSL"}, "user name and password"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        KafkaConnection(**wrong)

"""`ats_client.Reader` on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ats_client import CursorAhead, EndNotReached, Reader, TopicMissing, load_cursor, save_cursor
from ats_client.base import Message
from ats_client.cursor import Place
from ats_client.messages import Candle, Decision, Execution
from bus.connection import KafkaConnection
from bus.exact import delete_before
from bus.publisher import Publisher
from bus.records import Output, TopicPartition
from schemas.messages import Decision as OurDecision
from schemas.topics import DECISIONS
from schemas.units import UtcNs
from tests.ats.factories import DAY, a_decision, an_execution
from tests.clients.conftest import write

pytestmark = pytest.mark.asyncio(loop_scope="session")


def decisions(count: int) -> tuple[list[OurDecision], str]:
    """Some under a symbol that no other test uses."""
    symbol = uuid4().hex
    return [a_decision(id=uuid4(), symbol=symbol) for _ in range(count)], symbol


async def ids(messages: AsyncIterable[Decision], symbol: str) -> list[UUID]:
    return [each.id async for each in messages if each.symbol == symbol]


async def test_repeats_are_dropped_and_what_is_no_message_is_passed_over(servers: str) -> None:
    (first, second), symbol = decisions(2)
    await write(servers, first, second, first)
    async with Publisher(KafkaConnection(servers)) as publisher:
        await publisher.send_and_wait(Output(DECISIONS, b"k", b"no message", 0))
    await write(servers, second)

    async with Reader(servers, Decision, since="start", until_end=True) as reader:
        found = await ids(reader, symbol)

    assert found == [first.id, second.id]
    assert reader.unreadable >= 1


async def test_a_cursor_kept_in_a_file_goes_on_after_the_message_that_was_handled_last(
    servers: str, tmp_path: Path
) -> None:
    kept = tmp_path / "cursor.json"
    assert load_cursor(kept) is None
    three, symbol = decisions(3)
    await write(servers, *three)
    async with Reader(servers, Decision, since="start", until_end=True) as reader:
        async for decision in reader:
            if decision.id == three[1].id:
                break
        save_cursor(kept, reader.cursor)

    since = load_cursor(kept)
    assert since is not None
    async with Reader(servers, Decision, since=since, until_end=True) as reader:
        assert await ids(reader, symbol) == [three[2].id]


async def test_a_cursor_beyond_the_end_is_refused_as_it_is_of_other_records(servers: str) -> None:
    async with Reader(servers, Decision, until_end=True) as reader:
        end = reader.cursor["ats.decisions"][0]

    with pytest.raises(CursorAhead, match=rf"ats\.decisions-0 ends at {end}, not at {end + 1}"):
        async with Reader(servers, Decision, since={"ats.decisions": {0: end + 1}}):
            pass


async def test_a_huge_record_that_is_no_message_is_told_of_in_a_short_line(
    servers: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Reader(servers, Decision, since="end") as reader:
        since = reader.cursor
    async with Publisher(KafkaConnection(servers)) as publisher:
        await publisher.send_and_wait(Output(DECISIONS, b"k", b"x" * 900_000, 0))

    async with Reader(servers, Decision, since=since, until_end=True) as reader:
        assert [each async for each in reader] == []

    assert reader.unreadable == 1
    assert [len(each.getMessage()) < 300 for each in caplog.records] == [True]


async def test_what_retention_took_from_behind_a_cursor_is_told(
    servers: str, caplog: pytest.LogCaptureFixture
) -> None:
    (gone, left), symbol = decisions(2)
    async with Reader(servers, Decision, since="end") as reader:
        since = reader.cursor
    await write(servers, gone, left)
    place, first = TopicPartition("ats.decisions", 0), since["ats.decisions"][0]
    await delete_before(KafkaConnection(servers), {place: first + 1})

    async with Reader(servers, Decision, since=since, until_end=True) as reader:
        assert await ids(reader, symbol) == [left.id]

    assert f"ats.decisions-0: {first} to {first} are gone" in caplog.text


async def test_reading_since_a_moment_begins_with_what_was_written_from_then_on(
    servers: str,
) -> None:
    (old, new), symbol = decisions(2)
    await write(servers, old)
    async with Reader(servers, Decision, since="start", until_end=True) as reader:
        written = [each.published_ms async for each in reader.records()]
    after = datetime.fromtimestamp(written[-1] / 1000, UTC) + timedelta(milliseconds=1)
    while datetime.now(UTC) < after:
        pass
    await write(servers, new)

    async with Reader(servers, Decision, since=after, until_end=True) as reader:
        assert await ids(reader, symbol) == [new.id]


async def test_a_day_is_replayed_without_those_of_other_days(servers: str) -> None:
    (of_day, later), symbol = decisions(2)
    next_day = UtcNs(later.event_time + UtcNs.minutes(24 * 60))
    await write(servers, of_day, later.model_copy(update={"event_time": next_day}))

    async with Reader(servers, Decision, day=DAY) as reader:
        assert await ids(reader, symbol) == [of_day.id]


async def test_messages_of_two_topics_come_with_their_place_and_cloud_event(servers: str) -> None:
    (decision,), _ = decisions(1)
    execution = an_execution(id=uuid4())
    await write(servers, decision, execution)

    wanted = {("ats.decisions", decision.id), ("ats.executions", execution.id)}

    async with Reader[Message](
        servers, Decision, Execution, since="start", until_end=True
    ) as reader:
        found = {
            (record.topic, UUID(record.headers["ce_id"].decode()))
            async for record in reader.records()
            if record.message.id in {decision.id, execution.id}
        }

    assert found == wanted


async def test_a_topic_that_is_not_there_is_named(
    servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ats_client.reader.TOPICS", {"ats.nowhere": Candle})

    with pytest.raises(TopicMissing, match=r"ats\.nowhere"):
        async with Reader(servers, Candle):
            pass


async def test_a_type_that_stands_on_no_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="such as Decision"):
        Reader("localhost:9092", Message)


async def test_a_reader_with_an_end_gives_up_on_a_broker_that_stays_away(
    servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (decision,), symbol = decisions(1)
    await write(servers, decision)
    now = iter(range(0, 1_000, 7))

    async with Reader(
        servers, Decision, since="start", until_end=True, patience=20, clock=lambda: next(now)
    ) as reader:
        end = reader._ends[Place("ats.decisions", 0)]
        monkeypatch.setitem(reader._ends, Place("ats.decisions", 0), end + 1)  # it never comes

        with pytest.raises(EndNotReached, match=rf"ats\.decisions-0 is read to {end} of {end + 1}"):
            await ids(reader, symbol)

    assert reader.cursor["ats.decisions"][0] == end

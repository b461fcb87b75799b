"""What a replay says of each way in which record and derivation may differ."""

from __future__ import annotations

import orjson
import pytest

from audit.replay.comparison import Comparison, FieldDifference, Kind, field_difference, first_of
from audit.replay.recorded import RecordedTopic, Span, Stored
from bus.records import Output, Record
from schemas.lineage import HEADER
from schemas.topics import CANDLES
from schemas.units import UtcNs

SPAN = Span(UtcNs(100), UtcNs(200))


def value(name: int, at: int = 150, **fields: object) -> bytes:
    body = {"id": f"00000000-0000-5000-8000-{name:012d}", "event_time": at, **fields}
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def an_output(body: bytes, partition: int = 0, cause: bytes = b"7:0") -> Output:
    return Output(CANDLES, b"NSE_EQ:1", body, partition, ((HEADER, cause),))


def a_record(body: bytes, offset: int = 0, cause: bytes = b"7:0") -> Record:
    headers = {HEADER: cause}
    return Record(CANDLES.name, 0, offset, b"NSE_EQ:1", body, UtcNs(0), headers)


def compared(recorded: list[Record], derived: list[Output]) -> Comparison:
    stands = RecordedTopic(caused=True)
    for record in recorded:
        stands.add(record, SPAN)
    comparison = Comparison(CANDLES, SPAN, stands)
    for output in derived:
        comparison.take(output)
    comparison.close()
    return comparison


@pytest.mark.parametrize(
    ("recorded", "derived", "kinds"),
    [
        ([a_record(value(1))], [an_output(value(1))], {}),
        ([a_record(value(1, close=5))], [an_output(value(1, close=6))], {Kind.DIFFERENT: 1}),
        ([a_record(value(1), cause=b"8:0")], [an_output(value(1))], {Kind.DIFFERENT: 1}),
        ([], [an_output(value(1))], {Kind.MISSING: 1}),
        ([a_record(value(1))], [], {Kind.UNKNOWN: 1}),
        ([a_record(value(1)), a_record(value(1, close=5), 1)], [an_output(value(1))],
         {Kind.CONTRADICTED: 1}),
        ([a_record(value(1)), a_record(b"{}", 1)], [an_output(value(1))], {Kind.UNREADABLE: 1}),
        ([a_record(value(1, at=99))], [an_output(value(2, at=200))], {}),
    ],
    ids=["same", "content", "cause", "missing", "unknown", "contradicted", "unreadable", "outside"],
)  # fmt: skip
def test_each_kind_of_difference_is_named(
    recorded: list[Record], derived: list[Output], kinds: dict[Kind, int]
) -> None:
    assert dict(compared(recorded, derived).counts) == kinds


def test_a_message_that_a_restart_wrote_again_counts_once_and_is_no_difference() -> None:
    again = compared([a_record(value(1)), a_record(value(1), 1)], [an_output(value(1))])

    assert again.recorded
    assert (again.equal, again.recorded.repeats, again.differences) == (1, 1, 0)


def test_the_first_difference_is_the_earliest_of_the_first_topic_that_has_one() -> None:
    records = [a_record(value(2, at=170, close=5)), a_record(value(1, at=160, close=5), 1)]
    later = compared(records, [an_output(value(2, at=170)), an_output(value(1, at=160))])
    earlier_elsewhere = compared([], [an_output(value(3, at=101))])

    first = first_of([compared([], []), later, earlier_elsewhere])

    assert first
    assert (first.place, first.moment) == ("ats.candles-0@1", 160)


@pytest.mark.parametrize(
    ("ours", "theirs", "field"),
    [
        (value(1, close=5, open=4), value(1, close=6, open=3), ("close", "5", "6")),
        (value(1, of={"b": [1, 2]}), value(1, of={"b": [1, 3]}), ("of.b[1]", "2", "3")),
        (value(1, a=None, b=1), value(1, b=2), ("b", "1", "2")),
        (value(1) + b" ", value(1), ("(bytes)", (value(1) + b" ").decode(), value(1).decode())),
    ],
)
def test_the_first_field_that_differs_is_told_with_both_values(
    ours: bytes, theirs: bytes, field: tuple[str, str, str]
) -> None:
    found = field_difference(Stored(0, b"k", ours), Stored(0, b"k", theirs))

    assert found == FieldDifference(*field)


@pytest.mark.parametrize(
    "other",
    [Stored(1, b"k", b"{}"), Stored(0, b"l", b"{}"), Stored(0, b"k", b"{}", b"1:0")],
    ids=["partition", "key", "cause"],
)
def test_the_same_bytes_under_another_key_partition_or_cause_differ(other: Stored) -> None:
    mine = Stored(0, b"k", b"{}")

    assert other.digest != mine.digest
    assert field_difference(mine, other)

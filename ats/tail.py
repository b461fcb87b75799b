"""Topics as lines a person can read: `ats tail ats.decisions`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import orjson

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from schemas import history, ticks, topics
from schemas.errors import Misconfigured, Unreadable
from schemas.topics import Topic


def named(names: Sequence[str]) -> list[Topic]:
    """The topics of these names.

    Raises:
        Misconfigured: an unknown one, with the list of those that exist.
    """
    if unknown := [name for name in names if name not in topics.BY_NAME]:
        raise Misconfigured(
            f"no such topic: {', '.join(unknown)}. Topics are: {', '.join(topics.BY_NAME)}"
        )
    return [topics.BY_NAME[name] for name in names]


async def lines(
    connection: KafkaConnection, names: Sequence[str], *, from_start: bool, until_end: bool
) -> AsyncIterator[str]:
    """One line per record (ticks: one per row), as JSON with where it stands."""
    async for record in read_topics(
        connection, named(names), since="start" if from_start else "end", until_end=until_end
    ):
        for line in _lines_of(record):
            yield line


def _lines_of(record: Record) -> list[str]:
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    if record.topic == topics.TICKS.name:
        return [_line(place | body) for body in _tick_rows(record.value or b"")]
    if record.topic == topics.SNAPSHOTS.name:
        return [_line(place | {"bytes": len(record.value or b"")})]
    try:
        return [_line(place | {"value": orjson.loads(record.value or b"null")})]
    except orjson.JSONDecodeError as error:
        return [_line(place | {"unreadable": str(error)})]


def _tick_rows(value: bytes) -> list[dict[str, object]]:
    if history.is_history(value):
        return _history_rows(value)
    try:
        batch = ticks.decode(value)
    except Unreadable as error:
        return [{"unreadable": str(error)}]
    return [
        {
            "instrument": str(ticks.instrument_of(row)),
            "exchange_time": int(row["exchange_time"]),
            "price": int(row["price"]),
            "volume": int(row["volume"]),
        }
        for row in batch.rows
    ]


def _history_rows(value: bytes) -> list[dict[str, object]]:
    """One line per record: thousands of old bars would hide the day's ticks."""
    try:
        return [{"history": len(history.decode(value).rows)}]
    except Unreadable as error:
        return [{"unreadable": str(error)}]


def _line(body: dict[str, object]) -> str:
    return orjson.dumps(body).decode()

"""Records as entries: what one line of `ats tail` tells, before it is decided how."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import orjson

from bus.records import Record
from schemas import codec, history, ticks
from schemas.errors import Unreadable
from schemas.topics import Topic
from schemas.units import UtcNs

TICK_COLUMNS: Final = tuple(
    name for name in ticks.TICK.names or () if name not in ("security_id", "segment")
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, or one row of a record of ticks.

    Attributes:
        row: Which row of the record, from 0; None where a record is one entry.
        published_at: When the record was written.
        key: As text; bytes that are not UTF-8 are escaped, here and in `headers`.
        value: As JSON has it. None for a tombstone, and where `raw` stands in its place.
        odd: Why the value is not what the topic carries; empty when it is.
        raw: The value in base64 when it cannot be shown as JSON.
    """

    topic: Topic
    partition: int
    offset: int
    published_at: UtcNs
    key: str | None
    headers: dict[str, str]
    value: Any = None
    row: int | None = None
    odd: str = ""
    raw: str | None = None

    @property
    def place(self) -> tuple[UtcNs, str, int, int, int]:
        """Sorts entries of several partitions by time, and those of one as they stand."""
        return self.published_at, self.topic.name, self.partition, self.offset, self.row or 0


def entries_of(topic: Topic, record: Record) -> Iterator[Entry]:
    """The entries of one record of `topic`. A heartbeat of ticks has none."""
    whole = Entry(
        topic,
        record.partition,
        record.offset,
        record.published_at,
        None if record.key is None else _text(record.key),
        {name: _text(value) for name, value in record.headers.items()},
    )
    if topic.compacted and record.value is None:
        yield whole
    elif topic.message is not None:
        yield _message(whole, record.value)
    elif topic.holds_snapshots:
        yield replace(whole, value={"bytes": len(record.value or b"")})
    else:
        yield from _ticks(whole, record.value or b"")


def _message(whole: Entry, value: bytes | None) -> Entry:
    assert whole.topic.message is not None, "the caller looked"
    odd = ""
    try:
        codec.decode(whole.topic.message, value)
    except Unreadable as error:
        odd = str(error)
    return _shown(replace(whole, odd=odd), value or b"")


def _shown(entry: Entry, value: bytes) -> Entry:
    """What cannot be used is shown all the same, as JSON when it is JSON."""
    try:
        body = orjson.loads(value)
        orjson.dumps({"value": body})  # what can be read may be nested too deep to be written
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        return replace(entry, odd=entry.odd or str(error), raw=b64encode(value).decode())
    return replace(entry, value=body)


def _ticks(whole: Entry, value: bytes) -> Iterator[Entry]:
    try:
        if history.is_history(value):
            # one entry: thousands of old bars would hide the day's ticks
            yield replace(whole, value={"history_bars": len(history.decode(value).rows)})
            return
        rows = ticks.decode(value).rows
    except Unreadable as error:
        yield replace(whole, odd=str(error), raw=b64encode(value).decode())
        return
    for number, row in enumerate(rows):
        yield replace(whole, row=number, value=_tick(row))


def _tick(row: np.void) -> dict[str, object]:
    columns: dict[str, object] = {name: int(row[name]) for name in TICK_COLUMNS}
    if columns["volume"] == ticks.NO_VOLUME:
        columns["volume"] = None
    return {"instrument": str(ticks.instrument_of(row))} | columns


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")

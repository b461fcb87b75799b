"""Where to begin to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

INDIA: Final = timezone(timedelta(hours=5, minutes=30), "IST")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


Cursor: TypeAlias = Mapping[str, Mapping[int, int]]
"""By topic and partition the offset that is read next. JSON can hold it: its keys may be text."""

Since: TypeAlias = Literal["start", "end"] | datetime | date | Cursor


def offsets_in(cursor: Cursor) -> dict[Place, int]:
    """The offsets by place; partitions that came back from JSON as text are numbers again."""
    return {
        Place(topic, int(partition)): int(offset)
        for topic, offsets in cursor.items()
        for partition, offset in offsets.items()
    }


def save_cursor(path: Path, cursor: Cursor) -> None:
    """Write the cursor to a file: whole or not at all, whenever the process is killed."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(cursor))
    fresh.replace(path)


def load_cursor(path: Path) -> Cursor | None:
    """What `save_cursor` wrote; None before it did."""
    if not path.exists():
        return None
    cursor: Cursor = json.loads(path.read_text())
    return cursor


def milliseconds(moment: datetime | date) -> int:
    """POSIX milliseconds, rounded up; a bare date is its begin on Indian clocks.

    Raises:
        ValueError: a moment without a time zone.
    """
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), INDIA)
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone: {moment.isoformat()}")
    return -((_EPOCH - moment) // timedelta(milliseconds=1))


def day_of(event_time: int) -> date:
    """The Indian date of a market time in UTC nanoseconds."""
    return (_EPOCH + timedelta(microseconds=event_time // 1_000)).astimezone(INDIA).date()

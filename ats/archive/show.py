"""Prints what archives hold, and what they will come to in five years."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from rich.console import Console
from rich.table import Table

from audit.archive.manifest import ArchiveManifest
from audit.archive.sizes import TopicSize, sizes_of

_MB: Final = 1_000_000
_GB: Final = 1_000_000_000


def show_sizes(console: Console, days: Sequence[ArchiveManifest]) -> None:
    """Per topic, of the mean day: records, bytes in Kafka and in the archive, and five years."""
    sizes = sizes_of(days)
    table = Table(title=_title(days), title_justify="left")
    for name in ("topic", "records", "Kafka, MB", "archive, MB", "of it", "five years, GB"):
        table.add_column(name, justify="left" if name == "topic" else "right")
    for each in sizes:
        table.add_row(*_row(each), end_section=each is sizes[-2])
    console.print(table)


def as_json(days: Sequence[ArchiveManifest]) -> str:
    """One object: the days, and each topic's mean day and five years in bytes."""
    body = {
        "days": [each.day.isoformat() for each in days],
        "topics": [
            {
                "topic": each.topic,
                "records": round(each.records),
                "kafka_bytes": round(each.raw_bytes),
                "archive_bytes": round(each.bytes),
                "five_years_bytes": round(each.five_years),
            }
            for each in sizes_of(days)
        ],
    }
    return orjson.dumps(body).decode()


def _title(days: Sequence[ArchiveManifest]) -> str:
    first, last = days[0], days[-1]
    partial = ", a part of it" if any(each.partial for each in days) else ""
    if len(days) == 1:
        return f"{first.day}{partial}"
    return f"{first.day} to {last.day}, the mean of {len(days)} days{partial}"


def _row(size: TopicSize) -> tuple[str, ...]:
    share = f"{size.bytes / size.raw_bytes:.0%}" if size.raw_bytes else ""
    return (
        size.topic,
        f"{size.records:,.0f}",
        f"{size.raw_bytes / _MB:,.3f}",
        f"{size.bytes / _MB:,.3f}",
        share,
        f"{size.five_years / _GB:,.2f}",
    )

"""How much disk a recorded day takes, by topic, and what five years of such days come to.

    python -m benchmarks.sizes --demo ./demo

The bytes are those of Kafka's own segments, without indices: what was produced is kept as it came,
uncompressed. A year has 250 sessions, a month 21. Of what users' orders make it also tells the
bytes for each order, as their number is what grows.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from ats.replay.source import recorded_by
from bus.connection import KafkaConnection
from bus.reader import extents_of
from schemas.topics import CATALOGUE, ORDERS, Family, Topic

SESSIONS_A_YEAR: Final = 250  # exchanges have 245 to 250
SESSIONS_A_MONTH: Final = 21
YEARS: Final = 5
GB: Final = 1_000_000_000


def bytes_of(demo: Path) -> Mapping[str, int]:
    """Of each topic, bytes of its segments."""
    found: dict[str, int] = defaultdict(int)
    for segment in (demo / "kafka" / "data").glob("ats.*/*.log"):
        found[segment.parent.name.rpartition("-")[0]] += segment.stat().st_size
    return found


async def records_of(connection: KafkaConnection) -> Mapping[str, int]:
    """Of each topic, records that stand there."""
    extents = await extents_of(connection, *CATALOGUE)
    found: dict[str, int] = defaultdict(int)
    for partition, (begin, end) in extents.items():
        found[partition.topic] += end - begin
    return found


def kept_sessions(topic: Topic) -> int:
    """For how many sessions a topic keeps what it has."""
    return SESSIONS_A_MONTH if topic.retention_days == 30 else SESSIONS_A_YEAR * YEARS


def kept(topics: Iterable[Topic], sizes: Mapping[str, int]) -> float:
    """GB that topics hold once they are as long as they get."""
    return sum(sizes.get(topic.name, 0) * kept_sessions(topic) for topic in topics) / GB


def show(console: Console, sizes: Mapping[str, int], counts: Mapping[str, int]) -> None:
    table = Table("topic", title="One day", title_justify="left")
    for name in ("records", "bytes", "bytes a record", "kept, sessions", "GB when full"):
        table.add_column(name, justify="right")
    streams = [each for each in CATALOGUE if not each.compacted]
    for topic in streams:
        size, count = sizes.get(topic.name, 0), counts.get(topic.name, 0)
        each = f"{size / count:,.0f}" if count else ""
        full = f"{kept([topic], sizes):.2f}"
        table.add_row(
            topic.name, f"{count:,}", f"{size:,}", each, f"{kept_sessions(topic):,}", full
        )
    console.print(table)
    month = [each for each in streams if each.retention_days == 30]
    of_users = [each for each in streams if each.family is Family.USER]
    rest = [each for each in streams if each not in (*month, *of_users)]
    for name, topics in (
        ("a month of ticks and bars", month),
        ("five years of the market's decisions", rest),
        ("five years of users' orders", of_users),
    ):
        console.print(f"{kept(topics, sizes):>8.2f} GB  {name}", highlight=False)
    if orders := counts.get(ORDERS.name):
        an_order = sum(sizes.get(each.name, 0) for each in of_users) / orders
        console.print(f"{an_order:>8,.0f} bytes for each order", highlight=False)


async def measure(demo: Path) -> None:
    async with recorded_by(demo, Console(stderr=True)) as source:
        show(Console(), bytes_of(demo), await records_of(source.kafka))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sizes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", type=Path, required=True, help="a folder of `ats demo --keep`")
    asyncio.run(measure(parser.parse_args(words).demo))


if __name__ == "__main__":
    main()

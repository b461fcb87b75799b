"""A day into an archive, out of it into an empty cluster, and judged there.

    python -m tests.audit.archive_round_trip --market DAY.csv.gz  # a recorded market, played first
    python -m tests.audit.archive_round_trip --demo ./demo        # what was kept there

The archive is verified and restored. In the cluster that was empty, `ats replay --verify` must find
no divergence, and an archive of it must have the same contents, topic by topic. DuckDB, in a
process that imports nothing of ours, must count as many orders as stand in Kafka. Each command is
run as an operator runs it; the first one prints the sizes of the day and of five years.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console

from ats.replay.source import DEMO, recorded_by
from ats.runtime import exit_codes
from audit.archive.manifest import read_manifest
from audit.archive.stored import days_in
from bus.connection import KafkaConnection
from bus.reader import read_topics
from schemas.codec import decode
from schemas.market import trading_day
from schemas.messages import Candle, OrderIntent
from schemas.topics import CANDLES, CHECKPOINTS, LEDGER, ORDERS
from tests.conftest import started_broker

WITH_HOLES: Final = {LEDGER.name, CHECKPOINTS.name}
ATS: Final = [sys.executable, "-m", "ats"]
BY_DUCKDB: Final = """
import sys
import duckdb

query = "SELECT count(*), count(DISTINCT id) FROM read_parquet(?)"
print(*duckdb.execute(query, [sys.argv[1]]).fetchone())
print(sorted({"ats", "audit", "pyarrow", "schemas"} & {*sys.modules}))
"""


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def ran(*words: str | Path, **env: str) -> bool:
    """Whether `ats WORDS` ended well; what it prints is for the reader."""
    say(f"$ ats {' '.join(map(str, words))}")
    done = subprocess.run([*ATS, *map(str, words)], env=os.environ | env, check=False)
    return done.returncode == exit_codes.DONE


def counted(file: Path) -> tuple[int, int]:
    """Orders, and their different ids, as DuckDB alone reads them."""
    command = [sys.executable, "-I", "-c", BY_DUCKDB, str(file)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    counts, ours = told.stdout.splitlines()
    assert ours == "[]", ours
    orders, ids = map(int, counts.split())
    return orders, ids


async def day_and_orders(connection: KafkaConnection) -> tuple[date, int, int]:
    """The day of the record, its orders and their different ids, as Kafka has them."""
    days, ids, count = set[date](), set[str](), 0
    async for record in read_topics(connection, [CANDLES, ORDERS], since="start", until_end=True):
        if record.topic == ORDERS.name:
            ids.add(str(decode(OrderIntent, record.value).id))
            count += 1
        else:
            days.add(trading_day(decode(Candle, record.value).event_time))
    return max(days), count, len(ids)


def contents(folder: Path) -> dict[str, str]:
    """The digest of each topic's records, but for those whose places a restore must change.

    The ledger's two have holes, which Kafka cannot leave out: there a restore moves what is behind,
    and says so. What they hold is judged by `ats ledger verify`.
    """
    (day,) = days_in(folder)
    topics = read_manifest(day).topics.items()
    return {name: each.content_sha256 for name, each in topics if name not in WITH_HOLES}


async def judged(demo: Path, root: Path) -> list[str]:
    """What did not hold."""
    async with recorded_by(demo, Console(stderr=True)) as source:
        day, *there = await day_and_orders(source.kafka)
    first, again, wrong = root / "first", root / "again", list[str]()
    steps = [
        ("archive", ("archive", "day", str(day), "--demo", demo, "--into", first)),
        ("verify", ("archive", "verify", first)),
    ]
    wrong += [name for name, words in steps if not ran(*words)]
    found = counted(first / str(day) / "ats.orders.parquet")
    say(f"DuckDB counts {found[0]} orders of {found[1]} ids; Kafka had {there[0]} of {there[1]}")
    if found != (*there,):
        wrong.append("the orders that DuckDB counts")
    broker = await started_broker(root / "empty")
    try:
        env = {name.upper(): value for name, value in DEMO.items()}
        env["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        steps = [
            ("restore", ("archive", "restore", first)),
            ("replay --verify", ("replay", str(day), "--verify")),
            ("archive of the restored day", ("archive", "day", str(day), "--into", again)),
        ]
        wrong += [name for name, words in steps if not ran(*words, **env)]
    finally:
        await broker.stop()
    if contents(first) != contents(again):
        wrong.append("the contents of the restored day")
    return wrong


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit.archive_round_trip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--demo", type=Path, help="a folder of `ats demo --keep`")
    which.add_argument("--market", type=Path, help="a file of one-minute candles, played first")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="ats-round-trip-") as folder:
        root = Path(folder)
        demo = given.demo or root / "demo"
        if given.market and not ran(
            "demo", "--market", given.market, "--speed", "max", "--keep", demo,
            ATS_STATE_DIR=str(root / "state"),
        ):  # fmt: skip
            say("the demo broke a promise; its day is judged all the same")
        wrong = asyncio.run(judged(demo, root))
    say(f"did NOT hold: {', '.join(wrong)}" if wrong else "all of it held")
    return exit_codes.BROKEN if wrong else exit_codes.DONE


if __name__ == "__main__":
    sys.exit(main())

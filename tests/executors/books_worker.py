"""`ats books` as a process that can be killed, at a market time of the test's own.

python -m tests.executors.books_worker BOOTSTRAP SUPABASE_URL SIMULATOR_URL MARKET_NS, with the
database key in SUPABASE_SERVICE_KEY. With GUARD=1 in the environment accounts are guarded, with
OWNED=FILE also where Kafka is away at the start; INSTANCE names the process. MARKET_CLOCK names a
file with the market's time and the machine's at one moment, both in nanoseconds, which may change
(`tell_clock`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import structlog
from structlog.typing import EventDict
from supabase import AsyncClientOptions, acreate_client

from bus.connection import KafkaConnection
from bus.options import ShellOptions
from executors.book_app import BookDeps, Guards, run_books
from executors.clock import LiveClock
from executors.modes import Mode, validate_mode
from executors.orders.last_owned import LastOwned
from executors.quotes import QuoteCache
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY
from schemas.topics import PartitionPlan
from tests.bus.programs.process import stop_on_signal
from tests.executors.factories import LIMITS, RELIANCE

PLAN = PartitionPlan(instrument=2, user=2)


def tell_clock(file: Path, market_ns: int) -> None:
    """Say that it is `market_ns` in the market now, and that it goes on from there."""
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{int(market_ns)} {time.monotonic_ns()}")
    fresh.replace(file)


def _clock(market: str) -> Callable[[], int]:
    file, began = os.environ.get("MARKET_CLOCK"), time.monotonic_ns()

    def wall() -> int:
        then = (int(market), began)
        if file:
            told = Path(file).read_text().split()
            then = int(told[0]), int(told[1])
        return then[0] + time.monotonic_ns() - then[1]

    return wall


async def main(bootstrap: str, supabase_url: str, simulator_url: str, market: str) -> None:
    stop = stop_on_signal()
    rules = validate_mode(Mode.PAPER, f"{simulator_url}/v2")
    guards = Guards(EVERY_DAY, SquareOff(), LIMITS)
    owned = os.environ.get("OWNED")
    async with rules.open_client() as http:
        ports = BookDeps(
            connection=KafkaConnection(bootstrap),
            plan=PLAN,
            database=await acreate_client(
                supabase_url,
                os.environ["SUPABASE_SERVICE_KEY"],
                AsyncClientOptions(auto_refresh_token=False, persist_session=False),
            ),
            http=http,
            rules=rules,
            instruments={RELIANCE.id: RELIANCE},
            clock=LiveClock(wall=_clock(market)),
            quotes=QuoteCache(PLAN.instrument),
            wall=time.time_ns,
            random=Random(1),
            guards=guards if os.environ.get("GUARD") == "1" else None,
            read_every=1.0,
            last_owned=LastOwned(Path(owned), PLAN.user) if owned else None,
        )
        options = ShellOptions(session_timeout=6, snapshot_interval=0.5)
        name = os.environ.get("INSTANCE", "books-1")
        await run_books(ports, instance=name, stop=stop, options=options)


def _at(_: object, __: str, event: EventDict) -> EventDict:
    """Machine seconds, to be laid beside what other processes of the machine saw."""
    event["at"] = f"{time.monotonic():.3f}"
    return event


if __name__ == "__main__":
    structlog.configure(processors=[_at, *structlog.get_config()["processors"]])
    asyncio.run(main(*sys.argv[1:]))

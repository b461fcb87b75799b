"""`ats books` as a process that can be killed, at a market time that stands.

python -m tests.executors.books_worker BOOTSTRAP SUPABASE_URL SIMULATOR_URL MARKET_NS, with the
database key in SUPABASE_SERVICE_KEY. With GUARD=1 in the environment accounts are guarded.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from random import Random

from supabase import AsyncClientOptions, acreate_client

from bus.connection import KafkaConnection
from bus.options import ShellOptions
from executors.book_app import BookDeps, Guards, run_books
from executors.clock import LiveClock
from executors.modes import Mode, validate_mode
from executors.quotes import QuoteCache
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY
from schemas.topics import PartitionPlan
from tests.bus.programs.process import stop_on_signal
from tests.executors.factories import RELIANCE

PLAN = PartitionPlan(instrument=2, user=2)


async def main(bootstrap: str, supabase_url: str, simulator_url: str, market: str) -> None:
    stop = stop_on_signal()
    rules = validate_mode(Mode.PAPER, f"{simulator_url}/v2")
    began = time.monotonic_ns()
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
            clock=LiveClock(wall=lambda: int(market) + time.monotonic_ns() - began),
            quotes=QuoteCache(PLAN.instrument),
            wall=time.time_ns,
            random=Random(1),
            guards=Guards(EVERY_DAY, SquareOff()) if os.environ.get("GUARD") == "1" else None,
            read_every=1.0,
        )
        options = ShellOptions(session_timeout=6, snapshot_interval=0.5)
        await run_books(ports, instance="books-1", stop=stop, options=options)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

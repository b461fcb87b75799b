"""The processes of `benchmarks.fanout` that are the product's, each as it runs in production.

python -m benchmarks._fanout_worker executors BOOTSTRAP DATABASE_URL BROKER_URL NAME [PROFILE]
python -m benchmarks._fanout_worker database DSN_REST DSN_AUTH

`executors` are the order workers with their production logs, on paper money; the database's key is
SUPABASE_SERVICE_KEY. With PROFILE a sample of the
stack is taken every 2 ms of CPU since the last SIGUSR1, and counted in that file at the end.
`database` is the Supabase stand-in in front of a Postgres, in PostgREST's place; it prints its
address and its secret key.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from ats.runtime.logs import configure
from ats.services.context import open_database
from bus.connection import KafkaConnection
from executors.app import ExecutorDeps, run_executors
from executors.clock import ReplayClock
from executors.modes import Mode, validate_mode
from executors.risk.sizing import UserLimits
from schemas.calendar import EVERY_DAY
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.topics import PartitionPlan
from schemas.units import Paise, Quantity
from simulator.supabase import SupabaseStandIn

ROOT: Final = str(Path(__file__).parents[1])
EVERY: Final = 0.002  # seconds of CPU between two samples
PLAN = PartitionPlan(instrument=2, user=4)
SHARE = Instrument(
    InstrumentId(Segment.NSE_EQ, 2885),
    "RELIANCE",
    "Reliance",
    "EQUITY",
    Quantity(1),
    Paise(5),
    has_derivatives=True,
)
LIMITS = UserLimits(max_order_value=Paise(5_000_000), max_orders_per_day=5_000)


class Samples:
    """Where the CPU goes: the innermost function of each sample, and the innermost of ours."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        signal.signal(signal.SIGPROF, self._take)
        signal.signal(signal.SIGUSR1, lambda *_: self._counts.clear())
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def _take(self, _: int, frame: FrameType | None) -> None:
        inner, ours = (_name(frame) if frame else ""), ""
        while frame and not ours:
            if (
                frame.f_code.co_filename.startswith(ROOT)
                and "/.venv/" not in frame.f_code.co_filename
            ):
                ours = _name(frame)
            frame = frame.f_back
        self._counts[inner, ours or "the event loop"] += 1

    def write(self, path: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text(json.dumps([[*names, count] for names, count in self._counts.items()]))


def _name(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for root in ("site-packages/", "python3.11/", f"{ROOT}/"):
        file = file.rsplit(root, 1)[-1]
    return f"{file}:{frame.f_code.co_name}"


async def executors(bootstrap: str, database_url: str, broker_url: str, name: str) -> None:
    """One order-worker process until SIGTERM."""
    key = os.environ["SUPABASE_SERVICE_KEY"]
    configure("executors", style="json", level="INFO", secrets=[key])
    rules = validate_mode(Mode.PAPER, broker_url)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with rules.open_client() as http, open_database(database_url, key) as client:
        ports = ExecutorDeps(
            connection=KafkaConnection(bootstrap),
            plan=PLAN,
            database=client,
            http=http,
            rules=rules,
            instruments={SHARE.id: SHARE},
            limits=LIMITS,
            clock=ReplayClock(),
            calendar=EVERY_DAY,
        )
        await run_executors(ports, instance=name, stop=stop)


async def database(rest: str, auth: str) -> None:
    """The stand-in until SIGTERM."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stand_in = SupabaseStandIn()
    await stand_in.start(rest, auth)
    print(stand_in.url, stand_in.secret_key, flush=True)
    await stop.wait()
    await stand_in.stop()


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "database":
        asyncio.run(database(*arguments))
    elif len(arguments) == 5:
        samples = Samples()
        asyncio.run(executors(*arguments[:4]))
        samples.write(Path(arguments[4]))
    else:
        asyncio.run(executors(*arguments))


if __name__ == "__main__":
    main()

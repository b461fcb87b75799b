"""The executors as a process that kills itself at chosen moments, each once.

python -m tests.executors.crash_worker BOOTSTRAP SUPABASE_URL DHAN_URL FOLDER, with the database key
in SUPABASE_SERVICE_KEY. A moment is `POINT:N`: at the N-th call of this life. FOLDER remembers the
moments that have been. INSTANCE and LEASE (seconds) in the environment take the place of the ones
used here, ROUND_EVERY (seconds) that of the sweep's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import httpx

from ats.services.context import open_database
from bus.connection import KafkaConnection
from bus.options import ShellOptions
from dhan.orders import DayLookupResult, LookupResult, NewOrder
from dhan.outcomes import PlaceResult
from dhan.super_orders import NewSuperOrder
from dhan.transport import Credentials, open_client
from executors import app
from executors.app import ExecutorDeps, run_executors
from executors.clock import ReplayClock
from executors.modes import BrokerClient, BrokerFactory, Mode, ModeRules, validate_mode
from executors.orders import corrections
from executors.orders.correction_store import Correction, CorrectionStore
from executors.store import Claim, OrderKey, OrderOutcome, Store
from schemas.calendar import EVERY_DAY
from schemas.evidence import Written
from schemas.ids import CorrelationId
from schemas.messages import OrderIntent
from schemas.topics import PartitionPlan
from tests.executors.factories import LIMITS, RELIANCE

PLAN = PartitionPlan(instrument=2, user=2)
MOMENTS = (
    "claimed:2",
    "claimed:5",
    "placed:1",
    "placed:4",
    "settled:1",
    "settled:6",
    "placing:3",
    "polled:3",
)

# of the sweep: the row stands, the message is missing; the message stands, the note is missing
CORRECTION_MOMENTS = ("corrected:1", "published:2")
EVERY_MOMENT = (*MOMENTS, *CORRECTION_MOMENTS)


class Fate:
    """Kills the process when a moment comes for the first time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls: Counter[str] = Counter()

    def at(self, point: str) -> None:
        self._calls[point] += 1
        moment = f"{point}:{self._calls[point]}"
        if moment in EVERY_MOMENT and not (mark := self._folder / moment).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class MortalStore(Store):
    fate: Fate

    async def claim(
        self, intent: OrderIntent, *, closes: bool = False, evidence: Written | None = None
    ) -> Claim:
        claim = await super().claim(intent, closes=closes, evidence=evidence)
        self.fate.at("claimed")
        return claim

    async def record_outcome(
        self, key: OrderKey, outcome: OrderOutcome, evidence: Written | None = None
    ) -> OrderOutcome:
        outcome = await super().record_outcome(key, outcome, evidence)
        self.fate.at("settled")
        return outcome


class MortalCorrectionStore(CorrectionStore):
    fate: Fate

    async def correct(self, key: OrderKey, seen: OrderOutcome) -> bool:
        corrected = await super().correct(key, seen)
        self.fate.at("corrected")
        return corrected

    async def published(self, correction: Correction) -> None:
        self.fate.at("published")
        await super().published(correction)


class MortalBrokerClient:
    def __init__(self, client: BrokerClient, fate: Fate) -> None:
        self._client, self._fate = client, fate

    async def place(self, order: NewOrder | NewSuperOrder) -> PlaceResult:
        sending = asyncio.ensure_future(self._client.place(order))
        await asyncio.sleep(0.002)  # the request may or may not have left
        self._fate.at("placing")
        placed = await sending
        self._fate.at("placed")
        return placed

    async def find(self, correlation_id: CorrelationId) -> LookupResult:
        found = await self._client.find(correlation_id)
        self._fate.at("polled")
        return found

    async def orders_of_the_day(self) -> DayLookupResult:
        return await self._client.orders_of_the_day()


class MortalRules(ModeRules):
    fate: Fate

    def broker(self, http: httpx.AsyncClient) -> BrokerFactory:
        broker = ModeRules.broker(self, http)

        def client(credentials: Credentials) -> BrokerClient:
            return MortalBrokerClient(broker(credentials), self.fate)

        return client


async def main(bootstrap: str, supabase_url: str, dhan_url: str, folder: str) -> None:
    MortalStore.fate = MortalRules.fate = MortalCorrectionStore.fate = Fate(Path(folder))
    app.Store = MortalStore  # type: ignore[attr-defined]
    app.CorrectionStore = MortalCorrectionStore  # type: ignore[attr-defined]
    corrections.ROUND_EVERY = float(os.environ.get("ROUND_EVERY", corrections.ROUND_EVERY))  # type: ignore[misc]
    rules = validate_mode(Mode.PAPER, dhan_url)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    key = os.environ["SUPABASE_SERVICE_KEY"]
    async with open_client() as http, open_database(supabase_url, key) as client:
        ports = ExecutorDeps(
            connection=KafkaConnection(bootstrap),
            plan=PLAN,
            database=client,
            http=http,
            rules=MortalRules(rules.mode, rules.base_url, None),
            instruments={RELIANCE.id: RELIANCE},
            limits=LIMITS,
            clock=ReplayClock(),
            lease=float(os.environ.get("LEASE", "1.0")),
            calendar=EVERY_DAY,
        )
        name = os.environ.get("INSTANCE", "mortal")
        await run_executors(
            ports, instance=name, stop=stop, options=ShellOptions(session_timeout=6.0)
        )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

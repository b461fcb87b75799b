"""The decision service as a process of its own: `BOOTSTRAP PROVIDER_URL SUPABASE_URL INSTANCE`, the
key in SECRET_KEY.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys

import httpx
from supabase import acreate_client

from agents.app import AgentTerms, Desk, decision_service
from agents.books import ScanBook, follow_answers, follow_scans
from agents.freshness import replayed_age
from agents.journal import Rung
from agents.model import Endpoint, Model
from agents.news import SampleNews
from agents.store import SupabaseStore
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.stateless import run_stateless
from schemas.topics import PartitionPlan

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


async def run(bootstrap: str, provider_url: str, supabase_url: str, instance: str) -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection, scans = KafkaConnection(bootstrap), ScanBook()
    async with httpx.AsyncClient() as http, Publisher(connection) as publisher:
        model = Model(Endpoint(provider_url, "fake-1", "sk-secret"), http)
        desk = Desk.with_cap([Rung(model)], rupees_a_day=100)
        await follow_answers(connection, desk.book, desk.ledger, "start", until_end=True)
        following = [
            asyncio.create_task(follow_scans(connection, scans)),
            asyncio.create_task(follow_answers(connection, desk.book, desk.ledger, "end")),
        ]
        service = decision_service(
            desk=desk,
            scans=scans,
            store=SupabaseStore(await acreate_client(supabase_url, os.environ["SECRET_KEY"])),
            publisher=publisher,
            news=SampleNews(),
            terms=AgentTerms(scan_patience=20, age=replayed_age),
        )
        await run_stateless(service, connection, PartitionPlan(), instance=instance, stop=stop)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))

"""The decision service as a process of its own: `BOOTSTRAP PROVIDER_URL SUPABASE_URL INSTANCE`, the
key in SECRET_KEY.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys

from supabase import acreate_client

from agents.app import AgentOptions, LlmGateway, decision_service
from agents.caches import ScanCache, sync_llm_calls, sync_scans
from agents.freshness import replayed_age
from agents.journal import ModelTier
from agents.limits import Limits
from agents.model import Model
from agents.news import SampleNews
from agents.providers import Endpoint
from agents.store import SupabaseStore
from agents.wire import open_model_client
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.stateless import run_stateless
from schemas.topics import PartitionPlan
from schemas.units import UtcNs

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


async def run(bootstrap: str, provider_url: str, supabase_url: str, instance: str) -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection, scans = KafkaConnection(bootstrap), ScanCache()
    async with open_model_client() as http, Publisher(connection) as publisher:
        model = Model(Endpoint(provider_url, "fake-1", "sk-secret"), http)
        llm = LlmGateway.with_cap([ModelTier(model)], rupees_a_day=100)
        await sync_llm_calls(connection, llm.cache, llm.ledger, "start", until_end=True)
        following = [
            asyncio.create_task(sync_scans(connection, scans)),
            asyncio.create_task(sync_llm_calls(connection, llm.cache, llm.ledger, "end")),
        ]
        service = decision_service(
            llm=llm,
            scans=scans,
            store=SupabaseStore(await acreate_client(supabase_url, os.environ["SECRET_KEY"])),
            publisher=publisher,
            news=SampleNews(),
            options=AgentOptions(
                scan_timeout=20,
                age=replayed_age,
                limits=Limits(cooldown=UtcNs(0)),  # many signals of one symbol and moment
            ),
        )
        await run_stateless(service, connection, PartitionPlan(), instance=instance, stop=stop)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))

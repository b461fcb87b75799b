"""In paper mode nothing in the process can reach Dhan's order address: asked of a running one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from ats.runtime.child import Child
from bus.connection import KafkaConnection
from bus.topics import create_topics
from schemas.topics import PartitionPlan
from simulator.config import SimulatorConfig
from simulator.server import Simulator
from tests.conftest import started_broker
from tests.database.fixtures import SupabaseStack, own_stack

ROOT = Path(__file__).parents[2]
PLAN = PartitionPlan(1, 1)
NOBODY = "http://127.0.0.1:9/v2"


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the service trades for every active user it finds."""
    async with own_stack(postgres, "paper_process") as stack:
        yield stack


@pytest.mark.timeout(120)
async def test_no_object_of_running_paper_executors_can_reach_dhans_order_address(
    tmp_path: Path, supabase_stack: SupabaseStack
) -> None:
    broker = await started_broker(tmp_path / "kafka")
    master = Simulator(SimulatorConfig(shares=3))
    await master.start()
    file = tmp_path / "found.json"
    ours = ("ATS_", "KAFKA_", "DHAN_", "SUPABASE_", "ADMIN_DHAN_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {
        "ATS_ENV_FILE": "",
        "ATS_MODE": "paper",
        "ATS_CLOCK": "market",
        "ATS_CALENDAR": "every-day",
        "ATS_STATE_DIR": str(tmp_path / "state"),
        "ATS_INSTRUMENT_PARTITIONS": "1",
        "ATS_USER_PARTITIONS": "1",
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SUPABASE_URL": supabase_stack.url,
        "SUPABASE_SERVICE_KEY": supabase_stack.secret_key,
        "DHAN_INSTRUMENTS_URL": f"{master.url}/instruments/api-scrip-master-detailed.csv",
        "DHAN_ORDER_URL": NOBODY,
        # Dhan's own: data may come from there, and must lead no order there
        "DHAN_DATA_URL": "https://api.dhan.co/v2",
        "DHAN_FEED_URL": "wss://api-feed.dhan.co",
    }
    child = Child(
        "executors",
        [sys.executable, "-m", "tests.ats.paper_process", str(file)],
        log=tmp_path / "executors.log",
        env=plain | settings,
        cwd=ROOT,
    )
    try:
        await create_topics(KafkaConnection(broker.bootstrap_servers), PLAN)
        child.start()
        async with asyncio.timeout(90):
            while not file.exists():
                assert child.running, child.tail()
                await asyncio.sleep(0.1)
        found = json.loads(file.read_text())
    finally:
        child.signal(signal.SIGKILL)
        await child.ended(10.0)
        await master.stop()
        await broker.stop()

    assert (found["mode"], found["at work"]) == ("paper", 1)
    assert set(found["orders"]) == set(found["addresses"]) == {NOBODY}
    assert set(found["transports"]) <= {NOBODY}
    assert found["order client"] == "this machine"
    assert set(found["clients"]) == {"this machine"}
    assert set(found["contacted"]) <= {"127.0.0.1", "localhost", "::1"}

"""What order workers tell the database of themselves, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from ats.services.executors import LOOK_EVERY, REPORT_EVERY, platform_report, reporting
from ats.settings import load
from executors.clock import MonotonicClock
from executors.risk.denial import Denial
from schemas.units import NS_PER_SECOND, UtcNs
from tests.database.fixtures import SupabaseStack

INSTANCE = "executors-of-this-test"


class HandTime:
    """Machine time that goes on when a test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._asleep, self._turn = asyncio.Event(), asyncio.Event()
        self.machine = MonotonicClock(lambda: self._now, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self._asleep.set()
        await self._turn.wait()
        self._turn.clear()
        self._now += seconds

    async def look(self, times: int = 1) -> None:
        """Let the reporter look so many times, and wait until it has done what it does then."""
        for _ in range(times):
            await self._asleep.wait()
            self._asleep.clear()
            self._turn.set()
        await self._asleep.wait()


class Workers:
    """Order workers whose halt a test sets."""

    def __init__(self) -> None:
        self.halt: Denial | None = None
        self.market_time = UtcNs(0)

    def report(self) -> dict[str, Any]:
        settings = load(dhan_order_url="http://127.0.0.1:9/v2")
        return platform_report(settings, self.halt, self.market_time) | {"p_instance": INSTANCE}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setenv("ATS_ENV_FILE", "/dev/null")
    return Workers()


@pytest_asyncio.fixture
async def superuser(supabase_stack: SupabaseStack) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(supabase_stack.dsn)
    yield connection
    await connection.execute("delete from private.platform_reports where instance = $1", INSTANCE)
    await connection.close()


async def told(superuser: Any) -> tuple[str | None, datetime]:
    row = await superuser.fetchrow(
        "select halted, market_time from private.platform_reports where instance = $1", INSTANCE
    )
    return row["halted"], row["market_time"]


async def test_a_halt_is_told_at_the_next_look_and_so_is_its_end(
    supabase_stack: SupabaseStack, superuser: Any, workers: Workers
) -> None:
    service, time = await supabase_stack.service(), HandTime()

    async with reporting(service, workers.report, time.machine):
        first, _ = await told(superuser)
        workers.halt = Denial.KILL_SWITCH
        await time.look()
        stopped, _ = await told(superuser)
        workers.halt = None
        await time.look()
        ended, _ = await told(superuser)

    assert (first, stopped, ended) == (None, "kill_switch", None)


async def test_the_markets_time_is_told_every_fifteen_seconds(
    supabase_stack: SupabaseStack, superuser: Any, workers: Workers
) -> None:
    service, time = await supabase_stack.service(), HandTime()
    looks = int(REPORT_EVERY / LOOK_EVERY)

    async with reporting(service, workers.report, time.machine):
        workers.market_time = UtcNs(60 * NS_PER_SECOND)
        await time.look(looks - 1)
        _, early = await told(superuser)
        await time.look()
        _, due = await told(superuser)

    assert (early.timestamp(), due.timestamp()) == (0, 60)

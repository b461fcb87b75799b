"""The running order workers correct outcomes, and are killed between the row, its message and the
note.
"""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.topics import create_topics
from executors.orders.outcomes import execution_id
from schemas.codec import decode
from schemas.ids import OrderId
from schemas.messages import Execution, Outcome
from schemas.topics import EXECUTIONS
from tests.conftest import started_broker
from tests.database.fixtures import SupabaseStack, own_stack
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.crash_worker import CORRECTION_MOMENTS, MOMENTS, PLAN
from tests.executors.harness import World
from tests.executors.test_corrections import accepted_order, row_of
from tests.executors.test_crash import Mortal, whole

ORDERS = 3


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the sweep corrects the orders of every user it finds."""
    async with own_stack(postgres, f"corrections_crash_{uuid4().hex}") as stack:
        yield stack


@pytest_asyncio.fixture
async def connection(tmp_path: Path) -> AsyncIterator[KafkaConnection]:
    broker = await started_broker(tmp_path / "kafka")
    try:
        connection = KafkaConnection(broker.bootstrap_servers)
        await create_topics(connection, PLAN)
        yield connection
    finally:
        await broker.stop()


@pytest.mark.timeout(170)
async def test_killed_at_every_point_each_correction_is_one_row_and_one_message(
    scripted: World,
    dhan: ScriptedDhan,
    connection: KafkaConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROUND_EVERY", "1")  # seconds that a check begun by a dead process holds
    user = await scripted.user()
    intents = [await accepted_order(scripted, dhan, user, f"95{n}") for n in range(ORDERS)]
    rows = [row_of(intent, f"95{n}", "REJECTED") for n, intent in enumerate(intents)]
    dhan.on("GET", "/v2/orders", json_answer(rows))
    folder = tmp_path / "moments"
    folder.mkdir()
    for moment in MOMENTS:  # only while correcting is it to kill itself here
        (folder / moment).touch()
    stack = scripted.stack
    process = Mortal(
        folder, connection.bootstrap_servers, stack.url, scripted.broker_url, key=stack.secret_key
    )

    living = asyncio.create_task(asyncio.to_thread(process.keep_alive))
    try:
        async with asyncio.timeout(140):
            while not await published(scripted):  # noqa: ASYNC110  # a database has no event
                await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(process.end)
        await living

    told: dict[OrderId, set[bytes]] = defaultdict(set)
    for record in await whole(connection, EXECUTIONS):
        told[decode(Execution, record.value).order_id].add(record.value or b"")
    assert process.ends.count(-signal.SIGKILL) == len(CORRECTION_MOMENTS), process.log[-4000:]
    for intent in intents:
        (value,) = told[intent.id]
        message = decode(Execution, value)
        assert (message.outcome, message.corrects) == (Outcome.REJECTED, execution_id(intent.id))
    corrected = await scripted.sql("select order_id from private.order_corrections")
    assert sorted(row["order_id"] for row in corrected) == sorted(i.id for i in intents)


async def published(world: World) -> bool:
    """Whether every order is corrected, and nobody owes a message."""
    corrected = await world.sql("select from private.order_corrections")
    owed = await world.sql("select from private.unpublished_corrections")
    return len(corrected) == ORDERS and not owed

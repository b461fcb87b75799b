"""A connection to Postgres that dies amid a batch costs no order, and makes none twice."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg

from schemas.messages import Outcome
from tests.database.conftest import Connection
from tests.dhan.broker import ScriptedDhan
from tests.executors.harness import World, run
from tests.executors.test_worker import PLACED

WAITING = (
    "select pid from pg_locks where not granted and relation = 'private.order_claims'::regclass"
)


async def kill_the_batch_that_waits(superuser: Connection) -> None:
    """End the Postgres process that works on a batch of claims, once one does."""
    async with asyncio.timeout(30):
        while not (pid := await superuser.fetchval(WAITING)):  # noqa: ASYNC110  Postgres tells nobody
            await asyncio.sleep(0.01)
    await superuser.execute("select pg_terminate_backend($1)", pid)


async def claimed(superuser: Connection, users: list[UUID]) -> int:
    many = "select count(*) from private.order_claims where user_id = any ($1)"
    return int(await superuser.fetchval(many, users))


async def test_claims_whose_batch_dies_with_its_connection_are_made_anew_and_each_order_leaves_once(
    scripted: World, dhan: ScriptedDhan
) -> None:
    users = [await scripted.user() for _ in range(2)]
    intents = [await scripted.intent(user) for user in users]
    worker = scripted.worker(*users)
    dhan.on("POST", "/v2/orders", PLACED)
    superuser = await asyncpg.connect(scripted.stack.dsn)
    try:
        async with superuser.transaction():
            await superuser.execute("lock table private.order_claims in exclusive mode")
            orders = [asyncio.create_task(run(worker, intent)) for intent in intents]
            await kill_the_batch_that_waits(superuser)
            assert await claimed(superuser, list(users)) == 0

        executions = await asyncio.gather(*orders)

        assert await claimed(superuser, list(users)) == 2
    finally:
        await superuser.close()
    assert [execution.outcome for execution in executions] == 2 * [Outcome.ACCEPTED]
    assert len([seen for seen in dhan.seen if seen.method == "POST"]) == 2

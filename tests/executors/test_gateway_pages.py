"""A gateway before the database answers in its place: the order workers wait, and only the
database's own word ends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.database import CERTAIN_AFTER, StoreAway
from bus.reader import read_topics
from executors.store import Claimed, OrderKey, OrderOutcome, Store
from schemas.codec import decode
from schemas.errors import Misconfigured, Unreadable
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.topics import EXECUTIONS
from schemas.units import UtcNs
from simulator.config import SimulatedUser
from simulator.server import Simulator
from tests.database.fixtures import SupabaseStack, client, own_stack
from tests.database.pages import PAGES, a_page
from tests.executors.crash_worker import EVERY_MOMENT
from tests.executors.factories import TEN_O_CLOCK
from tests.executors.harness import FastMachine, World, run
from tests.executors.test_crash import MINUTES_OF_TICKS, Mortal, connection, publish
from tests.web.front import Answer, Front

__all__ = ["connection"]  # the fixture: a broker of our own

WRONG_KEY = Answer(401, '{"code": "PGRST301", "message": "No suitable key was found"}')


@pytest_asyncio.fixture
async def gateway(supabase_stack: SupabaseStack) -> AsyncIterator[Front]:
    async with Front(supabase_stack.url).serving() as front:
        yield front


class Clock:
    """Machine time that goes on when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def store_behind(gateway: Front, world: World, clock: Clock | None = None) -> Store:
    return Store(await client(gateway.url, world.stack.secret_key), clock or Clock())


async def a_batch(store: Store, intent: OrderIntent) -> None:
    """Two claims in one call, which answers both alike."""
    one, other = await asyncio.gather(
        store.claim(intent), store.claim(intent), return_exceptions=True
    )
    assert type(one) is type(other)
    if isinstance(one, BaseException):
        raise one


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_a_page_of_a_gateway_is_waited_out_by_every_call(
    scripted: World, gateway: Front, page: Answer
) -> None:
    user = await scripted.user()
    intent = await scripted.intent(user)
    clock = Clock()
    store = await store_behind(gateway, scripted, clock)
    key = OrderKey.of(intent)
    denied = OrderOutcome(Outcome.DENIED, "outside_session")
    gateway.instead["/rest/v1/"] = page

    for _ in range(3):  # however long it stays
        for call in (
            store.trading_keys(),
            store.keys_since(None),
            store.claim(intent),
            a_batch(store, intent),
            store.record_outcome(key, denied),
            store.halts_in_force(),
        ):
            with pytest.raises(StoreAway):
                await call
        clock.now += CERTAIN_AFTER
    gateway.instead.clear()

    assert isinstance(await store.claim(intent), Claimed)


async def test_a_setting_is_called_wrong_only_when_the_database_says_so_and_keeps_saying_it(
    scripted: World, gateway: Front
) -> None:
    intent = await scripted.intent(await scripted.user())
    clock = Clock()
    store = await store_behind(gateway, scripted, clock)
    gateway.instead["/rpc/claim_order"] = WRONG_KEY

    with pytest.raises(StoreAway):
        await store.claim(intent)
    clock.now += CERTAIN_AFTER / 2
    with pytest.raises(StoreAway):
        await store.claim(intent)
    clock.now += CERTAIN_AFTER / 2
    with pytest.raises(Misconfigured, match=r"claim_order: .*PGRST301.*SUPABASE_SERVICE_KEY"):
        await store.claim(intent)


async def test_one_good_answer_in_between_and_the_doubt_begins_anew(
    scripted: World, gateway: Front
) -> None:
    intent = await scripted.intent(await scripted.user())
    clock = Clock()
    store = await store_behind(gateway, scripted, clock)

    for _ in range(3):
        gateway.instead["/rpc/halts_in_force"] = WRONG_KEY
        with pytest.raises(StoreAway):
            await store.halts_in_force()
        gateway.instead.clear()
        await store.halts_in_force()
        clock.now += CERTAIN_AFTER

    assert isinstance(await store.claim(intent), Claimed)


async def test_a_form_nobody_knows_is_waited_out_too(scripted: World, gateway: Front) -> None:
    clock = Clock()
    store = await store_behind(gateway, scripted, clock)
    gateway.instead["/rpc/trading_keys"] = Answer(200, '{"status": "maintenance"}')

    with pytest.raises(StoreAway):
        await store.trading_keys()
    clock.now += CERTAIN_AFTER
    with pytest.raises(Misconfigured, match="trading_keys"):
        await store.trading_keys()


async def test_what_the_database_refuses_of_one_order_is_said_of_that_order_at_once(
    scripted: World, gateway: Front
) -> None:
    intent = await scripted.intent(await scripted.user())
    store = await store_behind(gateway, scripted)
    gateway.instead["/rpc/claim_order"] = Answer(
        400, '{"code": "22P05", "message": "untranslatable character"}'
    )

    with pytest.raises(Unreadable, match="22P05"):
        await store.claim(intent)


async def test_a_page_in_the_middle_of_an_order_costs_only_time(
    simulated: World, simulator: Simulator, gateway: Front
) -> None:
    user = await simulated.user(token="simulated-token-of-the-tests")
    intent = await simulated.intent(user)
    machine = FastMachine()
    store = await store_behind(gateway, simulated)
    gateway.instead["/rpc/"] = a_page(429)
    worker = simulated.worker(user, store=store, machine=machine.time())

    outcome = asyncio.create_task(run(worker, intent))
    async with asyncio.timeout(10):
        while len(machine.slept) < 3:  # noqa: ASYNC110  # it asks again and again
            await asyncio.sleep(0.01)
    gateway.instead.clear()

    assert (await outcome).outcome is Outcome.ACCEPTED
    assert len(simulator.exchange.book.all()) == 1


# The service whole


@pytest_asyncio.fixture
async def alone(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the service trades for every active user it finds."""
    async with own_stack(postgres, "pages") as stack:
        yield stack


@pytest.mark.timeout(120)
async def test_the_running_order_workers_outlive_every_page_of_a_gateway(
    connection: KafkaConnection,
    alone: SupabaseStack,
    simulated: World,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    world = World(alone, await alone.service(), simulated.http, simulated.broker_url)
    account = SimulatedUser("1100000101", "token-of-the-gateway-test")
    body = {"client_id": account.client_id, "token": account.token}
    (await world.http.post(f"{simulator.url}/control/users", json=body)).raise_for_status()
    await world.user(client_id=account.client_id, token=account.token)
    decisions = [
        await world.decision(valid_until=UtcNs(TEN_O_CLOCK + UtcNs.minutes(MINUTES_OF_TICKS)))
        for _ in PAGES
    ]
    folder = tmp_path / "moments"
    folder.mkdir()
    for moment in EVERY_MOMENT:  # it is not to kill itself here
        (folder / moment).touch()

    async with Front(alone.url).serving() as gateway:
        process = Mortal(
            folder,
            connection.bootstrap_servers,
            gateway.url,
            world.broker_url,
            key=alone.secret_key,
        )
        living = asyncio.create_task(asyncio.to_thread(process.keep_alive))
        try:
            async with (
                asyncio.timeout(90),
                aclosing(read_topics(connection, [EXECUTIONS], since="start")) as records,
            ):
                for page, decision in zip(PAGES.values(), decisions, strict=True):
                    before = gateway.given
                    gateway.instead["/rpc/"] = page
                    await publish(connection, [decision])
                    await given(gateway, before + 3)
                    gateway.instead.clear()
                    execution = decode(Execution, (await anext(records)).value)
                    assert (execution.decision_id, execution.outcome) == (
                        decision.id,
                        Outcome.ACCEPTED,
                    )
            assert process.ends == [], process.log[-4000:]
        finally:
            await asyncio.to_thread(process.end)
            await living

    assert len(simulator.exchange.book.all()) == len(PAGES)


async def given(gateway: Front, times: int) -> None:
    while gateway.given < times:  # noqa: ASYNC110  # a server counts, nothing to wait on
        await asyncio.sleep(0.05)

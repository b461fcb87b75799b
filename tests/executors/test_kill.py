"""`ats kill --flatten` on real Kafka, Postgres and the simulator, with guardians at work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest.mock import AsyncMock

import httpx
import pytest
import pytest_asyncio

from ats.commands.kill import Tally, Wish, kill, lift
from ats.embedded.kafka import EmbeddedKafka
from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.database import StoreAway
from bus.topics import create_topics
from executors.clock import MonotonicClock
from executors.halts import HaltBoard, HaltPoller
from executors.limits import LimitsBoard, LimitsPoller, LimitStore
from executors.orders.guardian import ExitGuardian
from executors.orders.guardians import ExitRecorder, Guardians
from executors.store import Store
from schemas.errors import Misconfigured, TryLater
from schemas.ids import UserId, derive
from schemas.messages import ExitAction, ExitOrder, ExitReason
from schemas.topics import PartitionPlan
from schemas.units import UtcNs
from tests.conftest import started_broker, unused_port
from tests.database.fixtures import SupabaseStack, own_stack, trading_user
from tests.executors.factories import LIMITS
from tests.executors.guarded import GuardedAccount, NoObserver, guarded_account
from tests.simulator.factories import DAY

NUMBERS = count(1)
PLAN = PartitionPlan(instrument=1, user=1)


@pytest_asyncio.fixture
async def stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    async with own_stack(postgres, f"kill_{next(NUMBERS)}") as stack:
        yield stack


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    broker = await started_broker(tmp_path / "kafka")
    await create_topics(KafkaConnection(broker.bootstrap_servers), PLAN)
    yield broker
    await broker.stop()


@pytest.fixture
def settings(stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine on which nobody answers as Kafka."""
    for name, value in {
        "ATS_ENV_FILE": "/dev/null",
        "SUPABASE_URL": stack.url,
        "SUPABASE_SERVICE_KEY": stack.secret_key,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port()}",
    }.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def guarded(
    account: GuardedAccount, user: UserId, stack: SupabaseStack, broker: EmbeddedKafka
) -> AsyncIterator[asyncio.Event]:
    """A process with guardians, which looks at the account again and again.

    Yields what is set once it has sent something.
    """
    begun = asyncio.Event()

    def record(message: ExitOrder) -> None:
        recorder(message)
        begun.set()

    client, board = await stack.service(), HaltBoard()
    connection = KafkaConnection(broker.bootstrap_servers)
    machine = MonotonicClock()
    recorder = ExitRecorder(connection, machine)
    deps = replace(account.deps, halts=board.of, record=record, machine=machine)
    halts = HaltPoller(Store(client), board, machine)
    limits = LimitsPoller(LimitStore(client), LimitsBoard(LIMITS, real_money=False), machine)
    guardians = Guardians(deps, connection, recorder, halts, limits, time.time_ns)
    opened = guardians.open(user, NoObserver())
    assert isinstance(opened, ExitGuardian)
    account.guardian = opened

    async def look_on() -> None:
        while True:
            await account.step()
            await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(guardians.run()), asyncio.create_task(look_on())]
    try:
        yield begun
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        await client.postgrest.aclose()


def wish(**changes: object) -> Wish:
    asked = Wish.of("", flatten=True, broker_kill=False, reason="a test")
    return replace(asked, **changes)  # type: ignore[arg-type]


@pytest.mark.usefixtures("settings")
async def test_kill_ends_flat_and_says_so_after_a_restart_in_the_middle(
    stack: SupabaseStack,
    broker: EmbeddedKafka,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    person, _ = await trading_user(stack)
    user = UserId(person.id)
    async with guarded_account(http) as account:
        await account.enter()
        await account.enter(price=149_000)
        killing = asyncio.create_task(kill(wish()))
        async with guarded(account, user, stack, broker) as begun:
            await begun.wait()
        async with guarded(account, user, stack, broker):
            await killing
        assert await account.net() == 0
        assert await account.live() == []
    printed = capsys.readouterr().out
    assert f"{user}: proved flat from the broker's book" in printed
    assert "all flat" in printed


@pytest.mark.usefixtures("settings")
async def test_kill_without_kafka_halts_and_calls_nobody_flat(
    stack: SupabaseStack, capsys: pytest.CaptureFixture[str]
) -> None:
    person, _ = await trading_user(stack)
    with pytest.raises(TryLater, match="the halt holds"):
        await kill(wish(wait=0.5))
    halts = await Store(await stack.service()).halts_in_force()
    await lift(wish())
    after = await Store(await stack.service()).halts_in_force()
    printed = capsys.readouterr().out
    assert f"{person.id}: NOT proved flat" in printed
    assert [halt.flatten for halt in halts.in_force] == [True]
    assert after.in_force == ()
    assert "lifted" in printed


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("error", [StoreAway("gone"), Misconfigured("another key")])
async def test_while_the_database_is_of_no_use_the_halts_known_last_hold(
    stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    person, _ = await trading_user(stack)
    store, board = Store(await stack.service()), HaltBoard()
    poller = HaltPoller(store, board, MonotonicClock())
    with pytest.raises(TryLater):
        await kill(wish(user=UserId(person.id), wait=0.0))
    await poller.poll()
    monkeypatch.setattr(store, "halts_in_force", AsyncMock(side_effect=error))
    await poller.poll()
    assert board.halted(UserId(person.id))


def told(action: ExitAction, user: UserId, outcome: str = "accepted") -> ExitOrder:
    return ExitOrder(
        id=derive("test", action, user),
        event_time=UtcNs(1),
        user_id=user,
        trading_date=DAY,
        action=action,
        reason_code=ExitReason.HALT,
        instrument=None,
        outcome=outcome,
    )


def test_what_was_told_before_the_halt_proves_nothing() -> None:
    user, since = UserId(derive("user", 1)), UtcNs.seconds(100)
    tally = Tally(since)
    tally.add(told(ExitAction.FLAT, user, "proved"), UtcNs.seconds(90))
    assert not tally.done([user], wish())
    tally.add(told(ExitAction.FLAT, user, "proved"), UtcNs.seconds(103))
    assert tally.done([user], wish())
    assert tally.flat[user] == 3.0


def test_with_dhans_kill_switch_flat_alone_is_not_enough() -> None:
    user = UserId(derive("user", 1))
    tally = Tally(UtcNs(0))
    asked = wish(broker_kill=True)
    tally.add(told(ExitAction.FLAT, user, "proved"), UtcNs(1))
    tally.add(told(ExitAction.BROKER_KILL, user, "unknown"), UtcNs(1))
    assert not tally.done([user], asked)
    tally.add(told(ExitAction.BROKER_KILL, user), UtcNs(1))
    assert tally.done([user], asked)


def test_a_user_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match="--user"):
        Wish.of("somebody", flatten=False, broker_kill=False, reason="")


@pytest.mark.usefixtures("settings")
async def test_the_halt_waits_for_no_list_of_users(
    stack: SupabaseStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "trading_keys", AsyncMock(side_effect=StoreAway("too slow")))

    with pytest.raises(TryLater, match="the halt holds"):
        await kill(wish(wait=0.5))

    service = Store(await stack.service())
    assert len((await service.halts_in_force()).in_force) == 1


async def test_kill_without_the_database_says_that_nothing_is_halted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ATS_ENV_FILE", "/dev/null")
    monkeypatch.setenv("SUPABASE_URL", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "key")

    with pytest.raises(TryLater, match="TAKE NOTHING FOR HALTED"):
        await kill(wish(wait=0.5))

"""`ats books` on real Kafka, Postgres and simulator: what it tells equals the broker's own books,
to the paisa, however badly it hears and however often it is killed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ats.embedded.kafka import EmbeddedKafka
from ats.embedded.postgres import EmbeddedPostgres
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.topics import create_topics
from executors.charges.book import estimated
from executors.charges.rates import shipped_rates
from schemas.codec import decode
from schemas.ids import UserId
from schemas.messages import ExitAction, ExitOrder, Message, ObservedBy, OrderEvent, Position, Trade
from schemas.topics import EXITS, ORDER_EVENTS, POSITIONS, TRADES, Topic
from schemas.units import UtcNs
from simulator.server import Simulator
from tests.conftest import started_broker
from tests.database.fixtures import SupabaseStack, own_stack
from tests.executors.books_worker import PLAN
from tests.executors.conftest import TOKEN
from tests.executors.factories import RELIANCE
from tests.executors.harness import CLIENT, World

ROOT = Path(__file__).parents[2]
CHEAP, DEAR = 1490.0, 1510.0  # the market stands at 1,500
_NUMBERS = count(1)
LEGS = {"targetPrice": 1550.0, "stopLossPrice": 1450.0, "trailingJump": 0}


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database of our own: the service observes everybody it finds connected."""
    async with own_stack(postgres, f"books_{next(_NUMBERS)}") as stack:
        yield stack


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    """A broker of our own: the service uses the catalogue's topic names."""
    broker = await started_broker(tmp_path / "kafka")
    yield broker
    await broker.stop()


@pytest_asyncio.fixture
async def connection(broker: EmbeddedKafka) -> KafkaConnection:
    connection = KafkaConnection(broker.bootstrap_servers)
    await create_topics(connection, PLAN)
    return connection


class Books:
    """The process."""

    def __init__(self, log: Path, *arguments: str, key: str) -> None:
        self._log = log
        self._command = [sys.executable, "-m", "tests.executors.books_worker", *arguments]
        self._environment = os.environ | {"SUPABASE_SERVICE_KEY": key}
        self._owned = str(log.with_suffix(".owned"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def guard(self) -> None:
        """From the next start on."""
        self._environment |= {"GUARD": "1", "OWNED": self._owned}

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """As `kill -9` does."""
        if self._process:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def books(
    tmp_path: Path, connection: KafkaConnection, simulated: World, simulator: Simulator
) -> Iterator[Books]:
    market = str(int(UtcNs.seconds(simulator.exchange.second)))
    stack = simulated.stack
    process = Books(
        tmp_path / "log",
        *(connection.bootstrap_servers, stack.url, simulator.url, market),
        key=stack.secret_key,
    )
    yield process
    process.kill()
    sys.stdout.write(process.log[-8_000:])


def print_at(simulator: Simulator, paise: int) -> None:
    simulator.exchange.book.on_price(RELIANCE.id, paise, simulator.exchange.second)


async def ask(world: World, simulator: Simulator, method: str, path: str, body: Any = None) -> Any:
    headers = {"access-token": TOKEN}
    reply = await world.http.request(method, simulator.url + path, json=body, headers=headers)
    reply.raise_for_status()
    return reply.json()


def an_order(side: str, quantity: int, price: float, **more: Any) -> dict[str, Any]:
    return {
        "dhanClientId": CLIENT,
        "transactionType": side,
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": str(RELIANCE.id.security_id),
        "quantity": quantity,
        "price": price,
    } | more


async def told(connection: KafkaConnection, topic: Topic, kind: type[Message]) -> list[Any]:
    records = read_topics(connection, [topic], since="start", until_end=True)
    return [decode(kind, record.value) async for record in records]


async def until(condition: Callable[[], Awaitable[bool]], within: float = 90) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110  # another process moves on
            await asyncio.sleep(0.1)


class Account:
    """One account's own books at the broker, and what the topics say of it."""

    def __init__(
        self, world: World, simulator: Simulator, connection: KafkaConnection, user: UserId
    ) -> None:
        self._world, self._simulator, self._connection = world, simulator, connection
        self.user = user

    async def truth(self) -> Any:
        return await ask(self._world, self._simulator, "GET", f"/control/books/{CLIENT}")

    async def events(self, by: ObservedBy | None = None) -> list[OrderEvent]:
        events = await told(self._connection, ORDER_EVENTS, OrderEvent)
        return [e for e in events if e.user_id == self.user and by in (None, e.observed_by)]

    async def readings(self) -> int:
        return sum(event.book is not None for event in await self.events())

    async def position(self) -> Position | None:
        positions = await told(self._connection, POSITIONS, Position)
        return positions[-1] if positions else None

    async def trades(self) -> dict[str, Trade]:
        return {t.fill.trade_id: t for t in await told(self._connection, TRADES, Trade)}

    async def agrees(self) -> bool:
        """Whether the newest position is the broker's own, and the broker was seen to say so."""
        (true,) = (await self.truth())["positions"] or [None]
        held = await self.position()
        return bool(held and true and held.agrees) and _counts(held) == _true_counts(true)

    async def is_shown(self) -> bool:
        rows = await self._world.sql(
            "select bought, bought_value_paise, sold, sold_value_paise, net, agrees from positions"
            " where user_id = $1",
            self.user,
        )
        (true,) = (await self.truth())["positions"]
        return [tuple(row) for row in rows] == [(*_true_counts(true), True)]


def _counts(held: Position | None) -> tuple[int, ...]:
    assert held
    return (held.bought, held.bought_value, held.sold, held.sold_value, held.net)


def _true_counts(true: Any) -> tuple[int, ...]:
    bought, sold = int(true["bought_paise"]), int(true["sold_paise"])
    return (true["bought"], bought, true["sold"], sold, true["net"])


async def test_what_is_told_is_the_brokers_own_whatever_is_lost_doubled_reordered_and_killed(
    connection: KafkaConnection, simulated: World, simulator: Simulator, books: Books
) -> None:
    account = Account(
        simulated, simulator, connection, await simulated.user(client_id=CLIENT, token=TOKEN)
    )
    await simulated.switch_off(account.user)  # what is held has to be watched all the same

    async def trade(path: str, order: dict[str, Any], price: int) -> None:
        await ask(simulated, simulator, "POST", path, order)
        print_at(simulator, price)

    for kind in ("lose", "duplicate", "out_of_order"):
        fault = {"kind": kind, "endpoint": "/orderupdate", "chance": 0.3, "times": 100}
        await ask(simulated, simulator, "POST", "/control/faults", fault)
    print_at(simulator, 150_000)
    books.start()
    await until(lambda: _at_least(account.readings, 1))
    await trade("/v2/orders", an_order("BUY", 10, DEAR), 150_010)
    await trade("/v2/super/orders", an_order("BUY", 7, DEAR) | LEGS, 150_035)
    await until(account.agrees)
    books.kill()
    await trade("/v2/orders", an_order("SELL", 4, CHEAP), 150_065)
    books.start()
    await trade("/v2/orders", an_order("SELL", 5, CHEAP), 149_985)
    await until(account.agrees)
    books.kill()
    print_at(simulator, 155_005)  # the target of the super order
    books.start()
    await until(account.agrees)
    await until(account.is_shown)

    truth, trades = await account.truth(), await account.trades()
    assert {
        (number, each.fill.dhan_order_id, each.fill.quantity, each.fill.quantity * each.fill.price)
        for number, each in trades.items()
    } == {
        (
            row["exchangeTradeId"],
            row["orderId"],
            row["tradedQuantity"],
            int(Decimal(row["value_paise"])),
        )
        for row in truth["trades"]
    }
    held = await account.position()
    assert held
    assert held.by_trades
    assert held.net == 17 - 4 - 5 - 7
    rows = await simulated.sql("select closed_by, symbol, charges_paise from positions")
    fills = [trade.fill for trade in trades.values()]
    cost = estimated(fills, held.trading_date, shipped_rates())
    assert cost
    assert [tuple(row) for row in rows] == [(None, "RELIANCE", cost)]
    shown = await simulated.sql("select count(*) from trades where user_id = $1", account.user)
    assert shown[0]["count"] == len(trades)
    assert TOKEN not in books.log
    parents = {event.order.super_order for event in await account.events() if event.order} - {""}
    assert parents == {truth["super_orders"][0]["orderId"]}


async def _at_least(count: Callable[[], Awaitable[int]], number: int) -> bool:
    return await count() >= number


async def test_a_stop_is_placed_while_kafka_is_away_also_by_a_process_that_starts_then(
    broker: EmbeddedKafka,
    connection: KafkaConnection,
    simulated: World,
    simulator: Simulator,
    books: Books,
) -> None:
    """And is recorded when Kafka is back."""
    account = Account(
        simulated, simulator, connection, await simulated.user(client_id=CLIENT, token=TOKEN)
    )
    print_at(simulator, 150_000)
    books.guard()
    books.start()
    await until(lambda: _at_least(account.readings, 1))
    await broker.stop()
    books.kill()
    books.start()
    entry = an_order("BUY", 10, DEAR, correlationId="AT" + 23 * "0")
    await ask(simulated, simulator, "POST", "/v2/orders", entry)
    print_at(simulator, 150_010)

    async def protected() -> bool:
        exposures = (await account.truth())["protection"]["exposures"]
        return bool(exposures) and exposures[-1]["net"] == exposures[-1]["resting_stop"] == 10

    await until(protected)
    await broker.start()
    await until(account.agrees)
    exits = await told(connection, EXITS, ExitOrder)
    assert [(each.action, each.quantity) for each in exits] == [(ExitAction.PLACE_STOP, 10)]

"""Live paper from end to end: a feed that knows nothing of orders, ticks over Kafka, and orders
that `ats paper` fills by them. Every process of ours is killed on the way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ats.runtime.child import Child
from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.topics import create_topics
from dhan.orders import Found, NewOrder, NotFound, OrderClient
from dhan.outcomes import Accepted
from dhan.transport import Credentials, OrderUrl, open_client
from schemas import ticks
from schemas.ids import CorrelationId, DhanClientId, InstrumentId, Segment
from schemas.market import Side
from schemas.topics import TICKS, PartitionPlan
from schemas.units import IST, NS_PER_SECOND, Paise, Price, Quantity
from tests.conftest import started_broker

ROOT = Path(__file__).parents[2]
DAY = "2026-11-20"
SPEED = "20"  # market seconds a second
WITHIN = 60.0  # seconds; a limit for a broken machine, not a measurement
USERS = ("1100000001", "1100000002")
PLAN = PartitionPlan(2, 1)


@dataclass
class Place:
    """Dhan's data side, our gateway, and `ats paper`, each a process of its own."""

    connection: KafkaConnection
    children: dict[str, Child]
    dhan: str
    paper: str
    http: httpx.AsyncClient
    accepted: dict[str, str] = field(default_factory=dict)
    unknown: list[tuple[str, CorrelationId]] = field(default_factory=list)

    def client(self, user: str) -> OrderClient:
        token = SecretStr(f"a-real-token-of-{user}")
        url = OrderUrl.parse(f"{self.paper}/v2")
        return OrderClient(self.http, url, Credentials(DhanClientId(user), token))

    async def listens(self, url: str, name: str) -> None:
        async with asyncio.timeout(WITHIN):
            while True:
                assert self.children[name].running, self.children[name].tail()
                try:
                    await self.http.get(url)
                    return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async def watched(self) -> None:
        """Our gateway has subscribed to everything."""
        await self.holds(lambda state: state["subscriptions"] > 0)

    async def market(self, seconds: int) -> None:
        """Let the market go on so long."""
        before = (await self.http.get(f"{self.dhan}/control/state")).json()
        end = before["market_time_ns"] + seconds * NS_PER_SECOND
        await self.holds(lambda state: state["market_time_ns"] >= end)

    async def holds(self, condition: Callable[[Any], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition((await self.http.get(f"{self.dhan}/control/state")).json()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def kill(self, name: str) -> None:
        self.children[name].signal(signal.SIGKILL)
        assert await self.children[name].ended(10.0)

    async def start(self, name: str) -> None:
        self.children[name].start()
        if name == "paper":
            await self.listens(f"{self.paper}/v2/orders", name)

    async def order(self, user: str, share: InstrumentId, side: Side, price: Price) -> None:
        """Place one; what became of it is remembered, as an executor would."""
        number = len(self.accepted) + len(self.unknown)
        order = NewOrder(share, side, Quantity(40), price, CorrelationId(f"AT{number:08d}"))
        match await self.client(user).place(order):
            case Accepted(order_id=order_id):
                self.accepted[order_id] = user
            case _:
                self.unknown.append((user, order.correlation_id))

    async def asked(self, user: str, path: str) -> Any:
        headers = {"access-token": "any", "client-id": user}
        return (await self.http.get(f"{self.paper}/v2/{path}", headers=headers)).json()

    async def trades(self) -> list[Any]:
        return [trade for user in USERS for trade in await self.asked(user, "trades")]

    async def filled(self, count: int) -> None:
        """So many fills are there."""
        async with asyncio.timeout(WITHIN):
            while len(await self.trades()) < count:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.1)

    async def tape(self) -> list[Any]:
        return [
            row
            async for record in read_topics(self.connection, [TICKS], since="start", until_end=True)
            for row in ticks.decode(record.value or b"").rows
        ]


@asynccontextmanager
async def a_place(home: Path, port: Callable[[], int]) -> AsyncIterator[Place]:
    broker = await started_broker(home / "kafka")
    dhan, paper = (f"http://127.0.0.1:{port()}" for _ in range(2))
    connection = KafkaConnection(broker.bootstrap_servers)
    ours = ("ATS_", "KAFKA_", "DHAN_", "ADMIN_DHAN_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        "ATS_ENV_FILE": "",
        "ATS_CLOCK": "market",
        "ATS_TRADING_DATE": DAY,
        "ATS_CALENDAR": "every-day",
        "ATS_STATE_DIR": str(home / "state"),
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "ATS_INSTRUMENT_PARTITIONS": str(PLAN.instrument),
        "ATS_USER_PARTITIONS": str(PLAN.user),
        "ADMIN_DHAN_CLIENT_ID": "1000000001",
        "ADMIN_DHAN_ACCESS_TOKEN": "simulated-token",
        "DHAN_FEED_URL": f"{dhan.replace('http', 'ws')}/feed",
        "DHAN_INSTRUMENTS_URL": f"{dhan}/instruments/api-scrip-master-detailed.csv",
        "DHAN_ORDER_URL": f"{paper}/v2",
    }

    def child(name: str, *words: str) -> Child:
        command = [sys.executable, "-m", "ats", *words]
        return Child(name, command, log=home / f"{name}.log", env=env, cwd=ROOT)

    number = dhan.rpartition(":")[2]
    market = ("--instruments", "5", "--options", "none", "--day", DAY, "--speed", SPEED, "--wait")
    children = {
        "dhan": child("dhan", "simulator", "--port", number, *market),
        "feed": child("feed", "feed"),
        "paper": child("paper", "paper"),
    }
    try:
        await create_topics(connection, PLAN)
        async with open_client(leaves_machine=False) as http:
            place = Place(connection, children, dhan, paper, http)
            children["dhan"].start()
            await place.listens(f"{dhan}/control/state", "dhan")
            yield place
    finally:
        for one in children.values():
            one.signal(signal.SIGKILL)
            await one.ended(10.0)
        await broker.stop()


def shares_of(tape: list[Any]) -> dict[InstrumentId, int]:
    """The last price of each share (paise)."""
    return {
        InstrumentId(Segment.NSE_EQ, int(row["security_id"])): int(row["price"])
        for row in tape
        if row["segment"] == Segment.NSE_EQ.code
    }


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp())


@pytest.mark.timeout(300)
async def test_paper_orders_are_filled_by_what_trades_on_the_topic_whoever_is_killed(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with a_place(tmp_path, free_port) as place:
        await asyncio.gather(place.start("feed"), place.start("paper"))
        await place.watched()
        await place.http.post(f"{place.dhan}/control/start")
        await place.market(30)
        last = shares_of(await place.tape())

        async def orders(count: int) -> None:
            for at, (share, price) in enumerate(list(last.items()) * count):
                side, away = ((Side.BUY, 3), (Side.SELL, -3))[at % 2]
                limit = Price(Paise(price * (100 + away) // 100 // 100 * 100))
                await place.order(USERS[at % 3 % 2], share, side, limit)

        await orders(2)
        await place.filled(4)
        before = await place.trades()
        await orders(1)
        await place.kill("paper")  # with orders on their way, and others that rest
        await orders(1)  # to nobody
        await place.market(20)  # the market goes on
        await place.kill("feed")
        await asyncio.gather(place.start("paper"), place.start("feed"))
        await orders(1)
        await place.filled(len(before) + 8)
        await place.kill("paper")
        await place.kill("feed")
        await asyncio.gather(place.start("paper"), place.start("feed"))
        await orders(1)
        await place.market(20)

        trades = await place.trades()
        books = {user: await place.asked(user, "orders") for user in USERS}
        lost = [await place.client(user).find(name) for user, name in place.unknown]
        tape = await place.tape()

    # nothing that was answered is lost, and nothing is there that nobody placed
    there = {row["orderId"]: user for user, rows in books.items() for row in rows}
    found = {one.order.order_id for one in lost if isinstance(one, Found)}
    assert place.accepted.items() <= there.items()
    assert there.keys() == place.accepted.keys() | found
    assert all(isinstance(one, Found | NotFound) for one in lost)
    assert len(place.unknown) == len(last)

    # what was told of fills before a death is told after it, and each fill is on the tape
    assert [trade for trade in before if trade not in trades] == []
    assert len(trades) > len(before) + 8
    traded: dict[tuple[int, int, int], int] = defaultdict(int)
    for row in {tuple(row.tolist()): row for row in tape}.values():
        key = (int(row["security_id"]), int(row["price"]), int(row["exchange_time"]))
        traded[key] += int(row["last_quantity"])
    taken: dict[tuple[Any, ...], int] = defaultdict(int)
    prices = {row["orderId"]: (row["transactionType"], row["price"]) for row in _all(books)}
    for trade in trades:
        second = second_of(trade["exchangeTime"])
        price = int(Paise.from_rupees(str(trade["tradedPrice"])))
        key = (int(trade["securityId"]), price, second * NS_PER_SECOND)
        side, limit = prices[trade["orderId"]]
        assert key in traded
        assert second > second_of(trade["createTime"])
        assert trade["tradedPrice"] <= limit if side == "BUY" else trade["tradedPrice"] >= limit
        taken[side, *key] += trade["tradedQuantity"]
    assert all(quantity <= traded[key[1], key[2], key[3]] for key, quantity in taken.items())

    # no token of anybody's is on the disk of the paper exchange
    written = b"".join(path.read_bytes() for path in (tmp_path / "state" / "paper").iterdir())
    assert b"a-real-token-of" not in written


def _all(books: dict[str, Any]) -> list[Any]:
    return [row for rows in books.values() for row in rows]

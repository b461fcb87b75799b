"""Paper trading with a clock and a tape in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from aiohttp import web

from schemas import ticks
from schemas.calendar import EVERY_DAY
from schemas.ids import InstrumentId
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.config import SimulatorConfig
from simulator.matching.order import Order
from simulator.paper.config import LATENCY, PaperConfig
from simulator.paper.day import PaperDay
from simulator.paper.requests import PaperRequest
from simulator.paper.server import PaperServer
from tests.simulator.factories import DAY, RELIANCE, THE_SHARE

ONE, TWO = "1100000001", "1100000002"
PARTITION = 0
NEVER = UtcNs(0)


@dataclass
class Paper:
    """One server, its clock and its tape. The market's clock and ours agree to the millisecond."""

    folder: Path
    now: UtcNs = NEVER
    volume: dict[InstrumentId, int] = field(default_factory=dict)
    offset: int = 0
    tape: list[tuple[int, ticks.Batch]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.session,) = EVERY_DAY.sessions(DAY, RELIANCE)
        self.now = self.now or UtcNs(self.session.open + 600 * NS_PER_SECOND)

    def server(self, **changes: Any) -> PaperServer:
        usual: dict[str, Any] = {
            "instruments": {RELIANCE: THE_SHARE},
            "calendar": EVERY_DAY,
            "day": DAY,
            "limits": SimulatorConfig(order_rate_limit=None),
        }
        config = PaperConfig(**usual | changes)
        return PaperServer(config, self.folder, port=0, now=lambda: self.now)

    @asynccontextmanager
    async def life(self, **changes: Any) -> AsyncIterator[PaperServer]:
        """A server without its port, that has shown again what it had not taken in."""
        server = self.server(**changes)
        begin = await server.recover({PARTITION: self.offset})
        for offset, batch in self.tape:
            if offset >= begin[PARTITION]:
                await server.show(PARTITION, offset, batch)
        server.caught_up()
        await server.day.let_time_pass()
        try:
            yield server
        finally:
            await server.stop()

    def later(self, seconds: float = 1.0) -> None:
        self.now = UtcNs(self.now + int(seconds * NS_PER_SECOND))

    async def trades(
        self,
        server: PaperServer,
        price: int,
        quantity: int,
        *,
        seconds_ago: int = 0,
        received: UtcNs | None = None,
        instrument: InstrumentId = RELIANCE,
    ) -> None:
        """The market trades `quantity` at `price` now, and the tape says so."""
        self.volume[instrument] = self.volume.get(instrument, 0) + quantity
        await self.shows(
            server,
            a_batch(
                self,
                price,
                quantity,
                seconds_ago=seconds_ago,
                received=received,
                instrument=instrument,
            ),
        )

    async def shows(self, server: PaperServer, batch: ticks.Batch) -> None:
        self.tape.append((self.offset, batch))
        self.offset += 1
        await server.day.let_time_pass()
        await server.show(PARTITION, self.offset - 1, batch)

    async def arrives(self, server: PaperServer) -> None:
        """What was placed reaches the exchange."""
        self.now = UtcNs(self.now + LATENCY)
        await server.day.let_time_pass()


def a_batch(
    paper: Paper,
    price: int,
    quantity: int,
    *,
    seconds_ago: int = 0,
    received: UtcNs | None = None,
    instrument: InstrumentId = RELIANCE,
) -> ticks.Batch:
    rows = np.zeros(1, ticks.TICK)
    traded = (paper.now // NS_PER_SECOND - seconds_ago) * NS_PER_SECOND
    rows["exchange_time"], rows["received_at"] = traded, received or paper.now
    rows["clock"], rows["price"] = traded, price
    rows["volume"] = paper.volume.get(instrument, 0)
    rows["segment"], rows["security_id"] = instrument.segment.code, instrument.security_id
    rows["mode"], rows["last_quantity"] = 4, quantity
    return ticks.Batch(UtcNs(traded), paper.now, 0, rows)


def a_body(**changes: Any) -> dict[str, Any]:
    usual = {
        "dhanClientId": ONE,
        "correlationId": "",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": "2885",
        "quantity": 10,
        "price": 1500.0,
        "disclosedQuantity": 0,
        "triggerPrice": 0,
        "afterMarketOrder": False,
    }
    return usual | changes


async def asked(server: PaperServer, method: str, path: str, body: Any = None) -> Any:
    """The JSON of the reply to a request of the account that `body` names, else of `ONE`."""
    found = server.day.routes.find(method, path)
    assert found is not None, path
    route, parts = found
    who = body.get("dhanClientId", ONE) if body else ONE
    sent = orjson.dumps(body) if body is not None else b""
    reply = await server.day.ask(PaperRequest(who, route.name, parts, body=sent))
    server.day.settle()
    assert isinstance(reply, web.Response)
    assert isinstance(reply.body, bytes)
    return orjson.loads(reply.body)


async def placed(server: PaperServer, **changes: Any) -> Order:
    body = a_body(**changes)
    reply = await asked(server, "POST", "/v2/orders", body)
    order = server.day.book.by_id(body["dhanClientId"], reply["orderId"])
    assert order is not None
    return order


def book_of(day: PaperDay) -> list[tuple[Any, ...]]:
    """Everything about the day's orders that a client can see."""
    return [
        (
            order.order_id,
            order.request,
            order.status,
            order.created_at,
            order.updated_at,
            order.reason,
            [tuple(trade.__getattribute__(name) for name in TRADE) for trade in order.trades],
        )
        for order in day.book.all()
    ]


TRADE = ("trade_id", "price", "quantity", "second")

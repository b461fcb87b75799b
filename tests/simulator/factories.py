"""Valid wholes for tests of the simulator: a running simulator, a feed client, bars, orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import aiohttp

from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, PriceBand, Side
from schemas.units import Paise, Quantity
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.market.tape import Listing, Market
from simulator.matching.order_manager import OrderRequest, OrderType, Product, Validity
from simulator.matching.rules import Rules
from simulator.server import Simulator

DAY = date(2026, 11, 23)
USER = SimulatedUser("1100000001", "token-of-one")
OTHER = SimulatedUser("1100000002", "token-of-two")
RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)
NIFTY = InstrumentId(Segment.IDX_I, 13)
THE_SHARE = Instrument(RELIANCE, "RELIANCE", "Reliance Industries", "EQUITY", Quantity(1), Paise(5))
HEADER = "symbol,timestamp,open,high,low,close,volume"


def as_listed(market: Market) -> dict[InstrumentId, Instrument]:
    """The instruments with what the exchange allows in them today, as the master names them."""
    listings = market.listings
    on = {each.id: each.instrument.symbol.partition("-")[0] for each in listings if each.contract}
    return {each.id: _as_listed(each, on.get(each.id, ""), set(on.values())) for each in listings}


def _as_listed(listing: Listing, underlying: str, with_contracts: set[str]) -> Instrument:
    plain, (lower, upper) = listing.instrument, (listing.lower_circuit, listing.upper_circuit)
    return replace(
        plain,
        band=PriceBand(lower, upper) if lower else None,
        freeze_quantity=Quantity(Rules().freeze(plain)),
        underlying=underlying,
        has_derivatives=plain.tradable and plain.symbol in with_contracts,
    )


def _wall_clock() -> datetime:
    return datetime.now(UTC)


async def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds; what is waited for happens in another thread or behind a
    socket.
    """
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    *,
    monotonic: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _wall_clock,
    **settings: Any,
) -> AsyncIterator[Simulator]:
    """A simulator with two users and one generated share, unless told otherwise.

    Orders reach its exchange at once, so that a test reads the book without waiting.
    """
    usual: dict[str, Any] = {"users": (USER, OTHER), "shares": 1, "transit": 0.0}
    simulator = Simulator(SimulatorConfig(**usual | settings), now=now, monotonic=monotonic)
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


class FeedClient:
    """A plain reader of the feed."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def subscribe(
        self, code: int, instruments: Iterable[InstrumentId], count: int | None = None
    ) -> None:
        listed = [
            {"ExchangeSegment": one.segment.value, "SecurityId": str(one.security_id)}
            for one in instruments
        ]
        await self.socket.send_json(
            {
                "RequestCode": code,
                "InstrumentCount": len(listed) if count is None else count,
                "InstrumentList": listed,
            }
        )

    async def frame(self) -> bytes:
        message = await self.socket.receive(timeout=5.0)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return bytes(message.data)

    async def packets(self, count: int) -> list[bytes]:
        """The next `count` packets, whatever frames they came in."""
        found: list[bytes] = []
        while len(found) < count:
            found.extend(split(await self.frame()))
        assert len(found) == count
        return found

    async def until_status(self) -> list[bytes]:
        """All packets up to the market status that ends the session (the opening's two statuses
        left out).
        """
        found: list[bytes] = []
        while True:
            for packet in split(await self.frame()):
                if packet[0] != 7:
                    found.append(packet)
                elif found:
                    return found

    async def end(self) -> aiohttp.WSMessage:
        """How the connection ended; packets before it are passed over."""
        while True:
            message = await self.socket.receive(timeout=5.0)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return message


@asynccontextmanager
async def feed_client(
    simulator: Simulator, user: SimulatedUser = USER, **changed: str
) -> AsyncIterator[FeedClient]:
    query = {
        "version": "2",
        "token": user.token,
        "clientId": user.client_id,
        "authType": "2",
    } | changed
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{simulator.url}/feed", params=query, max_msg_size=0) as socket,
    ):
        yield FeedClient(socket)


async def call(
    simulator: Simulator,
    method: str,
    path: str,
    *,
    json: Any = None,
    user: SimulatedUser | None = USER,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Status and body (parsed when it is JSON) of one request."""
    sent = ({"access-token": user.token} if user else {}) | (headers or {})
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, simulator.url + path, json=json, headers=sent, allow_redirects=False
        ) as reply,
    ):
        is_json = reply.content_type == "application/json"
        return reply.status, await reply.json() if is_json else await reply.text()


def split(frame: bytes) -> list[bytes]:
    """The packets of a frame, by the length each header states."""
    packets = []
    while frame:
        length = int.from_bytes(frame[1:3], "little")
        assert 0 < length <= len(frame)
        packets.append(frame[:length])
        frame = frame[length:]
    return packets


def an_order(**changed: Any) -> dict[str, Any]:
    """The body of a valid limit order."""
    return {
        "dhanClientId": USER.client_id,
        "correlationId": "AT0001",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": "2885",
        "quantity": 10,
        "price": 1500.05,
    } | changed


def a_request(**changed: Any) -> OrderRequest:
    """A limit order to buy ten at 1,000.00."""
    usual: dict[str, Any] = {
        "client_id": USER.client_id,
        "correlation_id": "AT0001",
        "side": Side.BUY,
        "instrument": RELIANCE,
        "product": Product.INTRADAY,
        "order_type": OrderType.LIMIT,
        "validity": Validity.DAY,
        "quantity": Quantity(10),
        "price": Paise(100_000),
    }
    return OrderRequest(**usual | changed)


def csv_of(rows: Sequence[str]) -> list[str]:
    return [line + "\n" for line in (HEADER, *rows)]

"""Where the token of a connection to the feed goes, and what is said when it cannot go there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import InvalidStatus, InvalidURI

from schemas.calendar import EVERY_DAY
from schemas.errors import Misconfigured
from streams.feed.config import GatewayConfig
from streams.feed.handshake import Disconnect, open_feed
from tests.simulator.factories import THE_SHARE

TOKEN = "a-token-that-nobody-else-reads"  # of no account


class Answering:
    """A server that answers the first lines of each connection with `answer`, and ends it."""

    def __init__(self, answer: str) -> None:
        self.answer, self.heard, self.port = answer, list[str](), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append((await reader.readline()).decode())
        writer.write(self.answer.encode())
        writer.close()


@asynccontextmanager
async def answering(answer: str) -> AsyncIterator[Answering]:
    server = Answering(answer)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


def at(url: str) -> GatewayConfig:
    return GatewayConfig(url, "1100000001", (THE_SHARE,), partitions=1, calendar=EVERY_DAY)


def of(server: Answering) -> GatewayConfig:
    return at(f"ws://127.0.0.1:{server.port}/feed")


async def test_a_redirect_gets_no_token() -> None:
    async with answering("") as other:
        moved = f"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:{other.port}/x\r\n\r\n"
        async with answering(moved) as dhan:
            with pytest.raises(InvalidStatus) as refused:
                await open_feed(of(dhan), TOKEN)

    assert len(dhan.heard) == 1
    assert other.heard == []
    assert Disconnect.from_error(refused.value).reason == "Dhan answered 302 to the connection"


async def test_a_proxy_of_the_environment_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        answering("HTTP/1.1 502 Bad Gateway\r\n\r\n") as proxy,
        answering("HTTP/1.1 429 Too Many\r\n\r\n") as dhan,
    ):
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(InvalidStatus):
            await open_feed(of(dhan), TOKEN)

    assert len(dhan.heard) == 1
    assert proxy.heard == []


async def test_an_address_that_is_none_is_told_without_the_token() -> None:
    with pytest.raises(InvalidURI) as broken:
        await open_feed(at("http://127.0.0.1/feed"), TOKEN)
    with pytest.raises(Misconfigured) as told:
        Disconnect.from_error(broken.value)

    assert TOKEN not in str(told.value)
    assert told.value.__suppress_context__

"""A real HTTP server that publishes, well or badly, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

from agents.feeds.config import Feed

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(
    body: str | bytes, status: int = 200, kind: str = "application/rss+xml", **headers: str
) -> Answer:
    """The same every time; header names with `_` for `-`."""

    async def respond(_request: web.Request) -> web.StreamResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=content, headers={"content-type": kind, **sent})

    return respond


async def silence(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"<rss>" * 20_000)


class Publisher:
    """Answers at `/` and the paths of `routes`; `asked` are the requests it got."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer] = {}
        self.asked: list[web.Request] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    def feed(self, path: str = "rss", *, host: str = "news.example", **changes: object) -> Feed:
        return Feed.model_validate(
            {"url": f"http://{host}:{self.port}/{path}", "internal": True, **changes}
        )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.routes[request.path.strip("/")](request)


async def at_home(_host: str, _port: int) -> list[str]:
    """A resolver to which every name is this machine."""
    return ["127.0.0.1"]

"""A scripted Dhan for tests: it records what arrived and answers, or fails to answer, as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def json_answer(body: Any, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")

    return answer


def text_answer(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type="text/html")

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def half_a_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Length": "100", "Content-Type": "application/json"}
    )
    await response.prepare(request)
    await response.write(b'{"orderId": "1')
    return await hang_up(request)


def trading_error(code: str, message: str = "no", status: int = 400) -> Answer:
    return json_answer(
        {"errorType": "Order_Error", "errorCode": code, "errorMessage": message}, status
    )


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedDhan:
    """Answers every request of a (method, path prefix) with the script set for it."""

    url: str = ""
    scripts: dict[tuple[str, str], Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def on(self, method: str, prefix: str, answer: Answer) -> None:
        self.scripts[method, prefix] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.path_qs, headers, await request.read()))
        matching = self._matching(request.method, request.path)
        if not matching and request.path == "/v2/super/orders":
            # what a test says of entries holds for those with exits too
            matching = self._matching(request.method, "/v2/orders")
        if not matching:
            return web.Response(status=599)
        return await self.scripts[max(matching, key=lambda key: len(key[1]))](request)

    def _matching(self, method: str, path: str) -> list[tuple[str, str]]:
        return [key for key in self.scripts if key[0] == method and path.startswith(key[1])]


@asynccontextmanager
async def scripted_dhan() -> AsyncIterator[ScriptedDhan]:
    dhan = ScriptedDhan()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", dhan.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    dhan.url = f"http://{host}:{port}/v2"
    try:
        yield dhan
    finally:
        await runner.cleanup()

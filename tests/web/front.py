"""A relay in front of an HTTP server: it remembers every answer that passes, and can be told to
answer otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "content-encoding",
    "upgrade",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, to send or that was sent."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    path: str = ""


class Front:
    """The relay. `url` is known once it serves.

    Attributes:
        heard: Every answer of the server behind.
        instead: Answers to give in its place: one for all requests whose method and path hold the
            key.
        given: How many of those were given.
        away: Cuts every connection without an answer.
        silent: Takes requests and never answers.
        dripping: Sends a page tag by tag, as it comes over a bad line or to a busy machine.
    """

    A_DRIP = 0.03  # seconds: longer than a browser waits between two pictures

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self.url = ""
        self.heard: list[Answer] = []
        self.instead: dict[str, Answer] = {}
        self.given = 0
        self.away = False
        self.silent = False
        self.dripping = False
        self._http: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.silent:
            await asyncio.sleep(60)
        for part, answer in self.instead.items():
            if part in f"{request.method} {request.path_qs}":
                self.given += 1
                return web.Response(
                    status=answer.status, text=answer.body, headers=dict(answer.headers)
                )
        return await self._relayed(request)

    async def _relayed(self, request: web.Request) -> web.StreamResponse:
        assert self._http is not None
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP
        ]
        wanted = [(name, value) for name, value in headers if name.lower() != "accept-encoding"]
        body = await request.read()
        async with self._http.request(
            request.method,
            f"{self.target}{request.path_qs}",
            headers=[*wanted, ("Accept-Encoding", "identity")],
            data=body or None,
            allow_redirects=False,
        ) as answer:
            if answer.content_type == "text/event-stream":
                return await self._streamed(request, answer)
            content = await answer.read()
            kept = [
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in HOP_BY_HOP
            ]
            self.heard.append(
                Answer(
                    answer.status, content.decode(errors="replace"), tuple(kept), request.path_qs
                )
            )
            if self.dripping and answer.content_type == "text/html":
                return await self._dripped(request, answer.status, kept, content)
            relayed = web.Response(status=answer.status, body=content)
            relayed.headers.clear()
            relayed.headers.extend(kept)
            return relayed

    async def _streamed(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        """As it comes, until either side ends it."""
        kept = [each for each in answer.headers.items() if each[0].lower() not in HOP_BY_HOP]
        streamed = web.StreamResponse(status=answer.status, headers=CIMultiDict(kept))
        await streamed.prepare(request)
        with contextlib.suppress(ConnectionError):  # the browser left
            async for part in answer.content.iter_any():
                if self.away:
                    break
                body = part.decode(errors="replace")
                self.heard.append(Answer(answer.status, body, tuple(kept), request.path_qs))
                await streamed.write(part)
        return streamed

    async def _dripped(
        self, request: web.Request, status: int, headers: list[tuple[str, str]], page: bytes
    ) -> web.StreamResponse:
        dripped = web.StreamResponse(status=status, headers=CIMultiDict(headers))
        await dripped.prepare(request)
        for tag in re.findall(rb"[^>]*>?", page):
            await dripped.write(tag)
            await asyncio.sleep(self.A_DRIP)
        return dripped

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Front]:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
            await self._http.close()


def everything_in(front: Front) -> str:
    """All that was heard, as one text to search."""
    return "\n".join(f"{one.path} {one.status} {one.headers} {one.body}" for one in front.heard)

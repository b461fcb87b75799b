"""Keep-alive connections to one broker, from one address of this machine.

httpcore's own pool looks at every connection for every request that begins or ends: with hundreds
at once that is most of the CPU of an order. This one takes the connection that was used last, so
the work of a request does not grow with their number, and connections that nobody needs expire.
Everything about one connection is httpcore's.

Promise: a request is sent on one connection, once. Only where the connection says that it cannot
take the request, before a byte was written, another one does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

KEEP_ALIVE: Final = 20.0  # seconds; Dhan closes idle connections after a minute or so


class KeepAlivePool:
    """Connections by origin, `most` at once; who finds none free waits its turn."""

    def __init__(
        self, ssl_context: ssl.SSLContext, most: int, local_address: str | None = None
    ) -> None:
        self._ssl_context = ssl_context
        self._local_address = local_address
        self._room = asyncio.Semaphore(most)  # fair: first come, first served
        self._idle: defaultdict[str, deque[httpcore.AsyncHTTPConnection]] = defaultdict(deque)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send `request` on a free connection, or a new one.

        Raises:
            httpcore.PoolTimeout: no connection became free in time; nothing left.
            httpcore.ConnectError, httpcore.ConnectTimeout: nothing left.
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError: it may have.
        """
        await self._take_room(request)
        try:
            while True:
                connection = await self._free(request.url.origin)
                try:
                    response = await connection.handle_async_request(request)
                    break
                except httpcore.ConnectionNotAvailable:
                    continue  # not a byte was written
        except BaseException:
            self._room.release()
            raise
        stream = _Stream(response, request.url.origin, connection, self)
        return httpcore.Response(
            response.status,
            headers=response.headers,
            content=stream,
            extensions=response.extensions,
        )

    async def _take_room(self, request: httpcore.Request) -> None:
        timeout = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(timeout):
                await self._room.acquire()
        except TimeoutError:
            raise httpcore.PoolTimeout from None

    async def _free(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        idle = self._idle[str(origin)]
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=KEEP_ALIVE,
            local_address=self._local_address,
        )

    async def give_back(
        self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection
    ) -> None:
        """The answer on `connection` was read, or given up, which closed it."""
        self._room.release()
        idle = self._idle[str(origin)]
        if connection.is_idle():
            idle.append(connection)
        if idle and idle[0].has_expired():  # one a request, so that none stays for ever
            await idle.popleft().aclose()

    async def aclose(self) -> None:
        """Close what is idle; the rest closes when its answer is read."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()


class KeepAliveTransport(httpx.AsyncHTTPTransport):
    """httpx over such a pool: no proxy, no retry. Private names of httpx stand here alone."""

    def __init__(
        self, ssl_context: ssl.SSLContext, most: int, local_address: str | None = None
    ) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        self._pool = KeepAlivePool(ssl_context, most, local_address)  # type: ignore[assignment]


class _Stream:
    """The answer's body; its end gives the connection back."""

    def __init__(
        self,
        response: httpcore.Response,
        origin: httpcore.Origin,
        connection: httpcore.AsyncHTTPConnection,
        pool: KeepAlivePool,
    ) -> None:
        self._response = response
        self._origin = origin
        self._connection = connection
        self._pool = pool
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.aiter_stream()

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._response.aclose()
        finally:
            await self._pool.give_back(self._origin, self._connection)

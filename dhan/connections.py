"""Keep-alive connections to one broker, from one address of this machine.

httpx's own (httpcore, anyio, h11) cost most of an order's CPU. Here a connection is aiohttp's,
whose parser is compiled, and the pool is ours: it takes the connection that was used last, so the
work of a request does not grow with their number, and connections that nobody needs expire. To its
callers it is a transport of httpx, with httpx's errors, and with the one event of httpx's `trace`
that says when a request begins to leave.

Promise: a request is sent on one connection, once. Nothing here sends it again, whatever comes
back. aiohttp's own client would: it repeats a GET, PUT or DELETE whose connection broke.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, NamedTuple, TypeAlias

import httpx
from aiohttp import (
    ClientError,
    ClientPayloadError,
    ServerDisconnectedError,
    SocketTimeoutError,
    StreamReader,
)
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from dhan.bodies import ACCEPTED

KEEP_ALIVE: Final = 20.0  # seconds; Dhan closes idle connections after a minute or so
MAX_FIELD: Final = 32 * 1024  # bytes of one header; what stands before a broker may add long ones
_PORTS: Final = {"http": 80, "https": 443}
_SWITCHING: Final = 101  # to another protocol, which nobody here asks for
_FIRST_FINAL: Final = 200  # a status below it announces another one

# The event of httpx's `trace`: from here on the other side may have the request.
LEAVES: Final = "http11.send_request_headers.started"

Origin: TypeAlias = tuple[str, str, int]


class _Idle(NamedTuple):
    """A connection that waits for a request, until when (monotonic seconds)."""

    connection: ResponseHandler
    until: float

    def usable(self) -> bool:
        """Neither too old nor closed, and the other side has said nothing unasked."""
        handler = self.connection
        return (
            time.monotonic() < self.until
            and handler.is_connected()
            and not handler.should_close
            and not _has_unread(handler)
        )


class KeepAliveTransport(httpx.AsyncBaseTransport):
    """Connections by origin, `most` at once; who finds none free waits its turn.

    No proxy, no redirect, no retry. With `keep_alive` 0 (seconds) each request has a connection of
    its own.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        most: int,
        local_address: str | None = None,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._ssl_context = ssl_context
        self._local_address = local_address
        self._keep_alive = keep_alive
        self._room = asyncio.Semaphore(most)  # fair: first come, first served
        self._idle: defaultdict[Origin, deque[_Idle]] = defaultdict(deque)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on a free connection, or a new one.

        Raises:
            httpx.PoolTimeout: no connection became free in time; nothing left.
            httpx.ConnectError, httpx.ConnectTimeout: nothing left.
            httpx.UnsupportedProtocol, httpx.LocalProtocolError: no such request can be sent.
            httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError: it may have arrived.
        """
        origin, sent = _origin(request.url), _bytes_of(request, await request.aread())
        timeouts = request.extensions.get("timeout", {})
        await self._take_room(timeouts.get("pool"))
        connection = None
        try:
            connection = self._free(origin)
            if connection is None:
                connection = await self._connect(origin, timeouts.get("connect"))
            return await self._exchange(connection, origin, request, sent, timeouts.get("read"))
        except BaseException:
            self._room.release()
            if connection is not None:  # one without unread answers is false
                connection.abort()
            raise

    async def _exchange(
        self,
        connection: ResponseHandler,
        origin: Origin,
        request: httpx.Request,
        sent: bytes,
        read_within: float | None,
    ) -> httpx.Response:
        wire = connection.transport
        if wire is None:  # the other side ended it at once
            raise httpx.ConnectError("ended before a byte was sent")
        connection.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,  # `dhan.bodies` does, no more than may be read
            read_timeout=read_within,
            max_line_size=MAX_FIELD,
            max_field_size=MAX_FIELD,
        )
        if (trace := request.extensions.get("trace")) is not None:
            await trace(LEAVES, {})
        wire.write(sent)
        connection.start_timeout()
        try:
            head, body = await connection.read()
            while head.code < _FIRST_FINAL and head.code != _SWITCHING:
                head, body = await connection.read()
        except (ClientError, HttpProcessingError, OSError) as error:
            raise _meaning(error) from None
        if head.code == _SWITCHING:
            raise httpx.RemoteProtocolError("another protocol was not asked for")
        return httpx.Response(
            head.code,
            headers=list(head.raw_headers),
            stream=_Body(body, connection, origin, self),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": head.reason.encode(errors="surrogateescape"),  # as it came
            },
        )

    async def _take_room(self, within: float | None) -> None:
        if not self._room.locked():
            await self._room.acquire()  # at once
            return
        try:
            async with asyncio.timeout(within):
                await self._room.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection became free") from None

    def _free(self, origin: Origin) -> ResponseHandler | None:
        idle = self._idle[origin]
        while idle:
            last = idle.pop()
            if last.usable():
                return last.connection
            last.connection.close()
        return None

    async def _connect(self, origin: Origin, within: float | None) -> ResponseHandler:
        scheme, host, port = origin
        loop, local = asyncio.get_running_loop(), self._local_address
        try:
            async with asyncio.timeout(within):
                _, connection = await loop.create_connection(
                    lambda: ResponseHandler(loop),
                    host,
                    port,
                    ssl=self._ssl_context if scheme == "https" else None,
                    local_addr=(local, 0) if local else None,
                    happy_eyeballs_delay=0.25,  # seconds; of a name with several addresses
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, ValueError) as error:  # a name that no resolver takes is a ValueError
            raise httpx.ConnectError(type(error).__name__) from None
        return connection

    def give_back(self, origin: Origin, connection: ResponseHandler, *, whole: bool) -> None:
        """The answer on `connection` was read to its end, or, if not `whole`, given up."""
        self._room.release()
        idle = self._idle[origin]
        if not whole:
            connection.abort()
        elif self._closed or connection.should_close or not connection.is_connected():
            connection.close()
        else:
            idle.append(_Idle(connection, time.monotonic() + self._keep_alive))
        if idle and not idle[0].usable():  # one a request, so that none stays for ever
            idle.popleft().connection.close()

    async def aclose(self) -> None:
        """Close what is idle; the rest closes when its answer is read."""
        self._closed = True
        idle = [each.connection for waiting in self._idle.values() for each in waiting]
        self._idle.clear()
        for connection in idle:
            connection.close()
        await asyncio.sleep(0)  # the event loop closes them in its next turn


class PlainClient(httpx.AsyncClient):
    """A client of httpx that sends a request as it is.

    Many accounts share it, so it has no cookies: what the broker sets for one must not come with
    the request of another.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, timeout: httpx.Timeout) -> None:
        super().__init__(
            headers=ACCEPTED,
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            transport=transport,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._plain = transport

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """As httpx's; a stream of one plain request goes to the transport directly."""
        plain = stream and not follow_redirects and auth is httpx.USE_CLIENT_DEFAULT
        if not plain or self.is_closed:
            return await super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
        response = await self._plain.handle_async_request(request)
        response.request = request
        return response


class _Body(httpx.AsyncByteStream):
    """The answer's body; its end gives the connection back."""

    def __init__(
        self,
        body: StreamReader,
        connection: ResponseHandler,
        origin: Origin,
        pool: KeepAliveTransport,
    ) -> None:
        self._body = body
        self._connection = connection
        self._origin = origin
        self._pool = pool
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._body.readany():
                yield chunk
        except (ClientError, HttpProcessingError, OSError) as error:
            raise _meaning(error) from None

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        whole = self._body.is_eof() and self._body.exception() is None
        self._pool.give_back(self._origin, self._connection, whole=whole)


def _origin(url: httpx.URL) -> Origin:
    port = url.port or _PORTS.get(url.scheme)
    if port is None or not url.host:
        raise httpx.UnsupportedProtocol(f"neither http nor https: {url.scheme!r}")
    return url.scheme, url.raw_host.decode("ascii"), port


def _bytes_of(request: httpx.Request, body: bytes) -> bytes:
    """The request as it travels.

    Raises:
        httpx.LocalProtocolError: a header that would be read as two, or a body of unknown length.
    """
    fields = request.headers.raw
    if "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("a body is sent whole, with its length")
    lines = [
        b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path),
        *(b"%s: %s" % field for field in fields),
        b"\r\n",
    ]
    head = b"\r\n".join(lines)
    ends = len(fields) + 2
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise httpx.LocalProtocolError("a header holds the end of a line")
    return head + body


def _has_unread(connection: ResponseHandler) -> bool:
    """Whether the other side sent or closed something that the event loop has not read yet."""
    assert connection.transport
    socket = connection.transport.get_extra_info("socket")
    look = select.poll()
    look.register(socket.fileno(), select.POLLIN)
    return bool(look.poll(0))


def _meaning(error: Exception) -> httpx.TransportError:
    # only the class: texts of aiohttp may quote what came
    name = type(error).__name__
    if isinstance(error, SocketTimeoutError):
        return httpx.ReadTimeout(name)
    if isinstance(error, ClientPayloadError | ServerDisconnectedError | HttpProcessingError):
        return httpx.RemoteProtocolError(name)
    return httpx.ReadError(name)

"""The wire to a model provider.

Of each question one request leaves, verbatim, and what comes back is bounded. It stands below Agno,
so neither a loop of Agno nor a redirect can ask twice, and only the text of a whole answer reaches
it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.request import getproxies

import httpx
import orjson
from pydantic import JsonValue

from agents.replies import Completion, completion_of
from dhan.connections import LEAVES, KeepAliveTransport, PlainClient
from schemas.messages import CallOutcome

# packed and unpacked; sixteen times the longest text we take
MAX_BODY_BYTES: Final = 1 << 20

COMPLAINT_WITHIN: Final = 2.0  # seconds
# 64 signals with two analysts each, and room for the Commander
MAX_CONNECTIONS: Final = 256

Messages = list[tuple[str, object]]  # role and content


def open_model_client() -> httpx.AsyncClient:
    """The HTTP client of all models, without limits of time: a question has its deadline.

    Our own connections, which cost little; httpx's where a proxy of the environment leads out.
    """
    if {"http", "https", "all"} & getproxies().keys():
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        return httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(None))
    certificates = httpx.create_ssl_context()
    pool = KeepAliveTransport(certificates, MAX_CONNECTIONS, keep_alive=0)
    return PlainClient(pool, httpx.Timeout(None))


@dataclass(frozen=True, slots=True)
class Wire:
    """The way to one provider.

    Attributes:
        http: Shared; of the event loop that asks.
        url: Of chat completions.
        headers: Of every request; the key stands in them.
    """

    http: httpx.AsyncClient
    url: httpx.URL
    headers: httpx.Headers

    @classmethod
    def to(cls, http: httpx.AsyncClient, base_url: str, api_key: str) -> Wire:
        """The way to chat completions under `base_url`."""
        headers = {
            "authorization": f"Bearer {api_key}",
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": "ats",
            "accept-encoding": "identity",
            # Of a kept connection whatever came too much would be taken for the answer to the next
            # question. A new one costs two round trips, of a call that takes seconds.
            "connection": "close",
        }
        url = httpx.URL(f"{base_url}/chat/completions")
        return cls(http, url, httpx.Headers(headers))

    async def carried(self, content: bytes, model: str, on_sent: Callable[[], None]) -> Completion:
        """Send `content` once and judge what comes, whatever it is.

        `on_sent` is called when it begins to leave this machine.
        """
        request = httpx.Request(
            "POST",
            self.url,
            content=content,
            headers=self.headers,
            extensions={"trace": partial(_tell_when_it_leaves, on_sent)},
        )
        try:
            response = await self.http.send(request, stream=True, follow_redirects=False)
            try:
                body = (
                    await _body_of(response)
                    if response.is_success
                    else await _complaint_of(response)
                )
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            return Completion(CallOutcome.TRANSPORT, detail=type(error).__name__, model=model)
        return completion_of(
            response.status_code, response.headers, body, asked_bytes=len(content), model=model
        )


@dataclass(slots=True)
class Exchange:
    """One question on its way.

    Attributes:
        asked: The messages that may leave, and no others.
        body: What else stands in the request.
        model: What to call the model when it does not say its name.
        on_sent: Called when its request begins to leave.
        asked_once: Whether a request was made, whatever became of it.
        sent: Whether it left.
        completion: What came of it; None while nothing did.
    """

    wire: Wire
    asked: Messages
    body: Mapping[str, JsonValue]
    model: str
    on_sent: Callable[[], None]
    asked_once: bool = False
    sent: bool = False
    completion: Completion | None = None

    async def ask(self, messages: Messages) -> Completion:
        """Send the one request of this question, unless it has left or `messages` are others."""
        if self.asked_once:
            self.completion = self._held_back("a second request was held back")
        elif messages != self.asked:
            self.completion = self._held_back("the prompt was altered: not sent")
        else:
            self.asked_once = True
            said = [{"role": role, "content": content} for role, content in messages]
            content = orjson.dumps({**self.body, "messages": said})
            carried = await self.wire.carried(content, self.model, self._leaves)
            self.completion = replace(carried, sent=self.sent)
        return self.completion

    def _leaves(self) -> None:
        self.sent = True
        self.on_sent()

    def _held_back(self, why: str) -> Completion:
        return Completion(CallOutcome.UNCLEAN, detail=why, model=self.model, sent=self.sent)


EXCHANGE: Final[ContextVar[Exchange]] = ContextVar("exchange")


async def _tell_when_it_leaves(
    on_sent: Callable[[], None], event: str, _: Mapping[str, object]
) -> None:
    if event == LEAVES:
        on_sent()


async def _body_of(response: httpx.Response) -> bytes | None:
    """The body, unpacked; None when it is too long or packed in a way nobody asked for."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    packed = response.headers.get("content-encoding", "identity").strip().lower()
    if packed in ("", "identity"):
        return bytes(body)
    return _unzipped(bytes(body)) if packed == "gzip" else None


async def _complaint_of(response: httpx.Response) -> bytes | None:
    """The body of an error: its status says the most, so nobody waits long for the rest."""
    try:
        async with asyncio.timeout(COMPLAINT_WITHIN):
            return await _body_of(response)
    except (TimeoutError, httpx.TransportError):
        return None


def _unzipped(packed: bytes) -> bytes | None:
    try:
        # 31: the gzip format alone
        unpacked = zlib.decompressobj(wbits=31).decompress(packed, MAX_BODY_BYTES + 1)
    except zlib.error:
        return None
    return unpacked if len(unpacked) <= MAX_BODY_BYTES else None

"""The wire to a model provider.

Of each question one request leaves, verbatim, and what comes back is bounded. It stands below Agno
and the provider's client, so neither their loops nor their retries nor a redirect can ask twice,
and only an answer that is whole reaches them: they get its text and counts in a body of our own.
"""

from __future__ import annotations

import asyncio
import zlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import httpx
import orjson

from agents.replies import Completion, completion_of
from schemas.messages import CallOutcome

# packed and unpacked; sixteen times the longest text we take
MAX_BODY_BYTES: Final = 1 << 20

COMPLAINT_WITHIN: Final = 2.0  # seconds

Messages = list[tuple[str, str]]  # role and content


@dataclass(slots=True)
class Exchange:
    """One question on its way.

    Attributes:
        asked: The messages that may leave, and no others.
        model: What to call the model when it does not say its name.
        completion: What came of it; None while nothing did.
    """

    asked: Messages
    model: str
    sent: bool = False
    completion: Completion | None = None


EXCHANGE: Final[ContextVar[Exchange]] = ContextVar("exchange")


class NoAnswer(httpx.TransportError):
    """There is nothing that Agno may use. Next: the exchange's completion says why."""


class Wire(httpx.AsyncBaseTransport):
    """A transport over a shared client, for the question in `EXCHANGE`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry the exchange's one request. Raises NoAnswer unless a whole answer came."""
        exchange = EXCHANGE.get()
        exchange.completion = completion = await self._carried(request, exchange)
        if completion.outcome is not CallOutcome.OK:
            raise NoAnswer(completion.outcome.value)
        return httpx.Response(200, json=_body(completion), request=request)

    async def _carried(self, request: httpx.Request, exchange: Exchange) -> Completion:
        model = exchange.model
        if exchange.sent:
            return Completion(
                CallOutcome.UNCLEAN, detail="a second request was held back", model=model
            )
        content = await request.aread()
        if _messages(content) != exchange.asked:
            return Completion(
                CallOutcome.UNCLEAN,
                detail="the prompt was altered: not sent",
                model=model,
                sent=False,
            )
        request.headers["accept-encoding"] = "identity"
        # Of a kept connection whatever came too much would be taken for the answer to the next
        # question. A new one costs two round trips, of a call that takes seconds.
        request.headers["connection"] = "close"
        exchange.sent = True
        try:
            response = await self._http.send(request, stream=True, follow_redirects=False)
            try:
                body = (
                    await _body_of(response)
                    if response.is_success
                    else await _complaint_of(response)
                )
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            return Completion(CallOutcome.TIMEOUT, detail=type(error).__name__, model=model)
        except httpx.TransportError as error:
            return Completion(CallOutcome.TRANSPORT, detail=type(error).__name__, model=model)
        return completion_of(
            response.status_code, response.headers, body, asked_bytes=len(content), model=model
        )


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


def _messages(content: bytes) -> object:
    try:
        return [
            (message["role"], message["content"]) for message in orjson.loads(content)["messages"]
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _body(completion: Completion) -> dict[str, object]:
    """What Agno gets to read: the judged answer in OpenAI's shape."""
    tokens = completion.input_tokens, completion.output_tokens
    return {
        "id": "answer",
        "object": "chat.completion",
        "created": 0,
        "model": completion.model,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": completion.text},
            }
        ],
        "usage": {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        },
    }

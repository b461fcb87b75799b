"""A model endpoint of raw bytes: whatever a provider, a proxy or an attacker may send, and a count
of what it was asked.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Self

from tests.agents.provider import completion, good_answer

# writes the answer; gets a good body
Answer = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


class RawEndpoint:
    """Listens on a port of its own. `answers` maps a symbol to what all its questions get; others
    are answered well.

    Attributes:
        asked: How often each user message came over the wire.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.base_url = ""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(writer, await reader.readexactly(_length(head)))
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        message = json.loads(body)["messages"][-1]["content"]
        self.asked[message] += 1
        told = json.loads(message)
        good = json.dumps(completion(json.dumps(good_answer(told)))).encode()
        await self.answers.get(told["symbol"], well)(writer, good)
        await writer.drain()


def _length(head: bytes) -> int:
    lines = head.decode("latin-1").lower().splitlines()
    return next(
        (int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")), 0
    )


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def well(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(http("200 OK", good, "Content-Type: application/json"))


def sends(data: bytes) -> Answer:
    """These bytes, and the end of the connection."""

    async def answer(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


def page(status: str, *headers: str) -> Answer:
    return sends(
        http(status, b"<html><body>Gateway</body></html>", "Content-Type: text/html", *headers)
    )


def turns(change: Callable[[bytes], bytes], *headers: str) -> Answer:
    """A good body, changed."""

    async def answer(writer: asyncio.StreamWriter, good: bytes) -> None:
        writer.write(http("200 OK", change(good), "Content-Type: application/json", *headers))

    return answer


def envelope(**fields: Any) -> Answer:
    """A good completion with other fields at its top."""
    return turns(lambda good: json.dumps(json.loads(good) | fields).encode())


def message(**fields: Any) -> Answer:
    """A good completion with other fields in its message."""

    def change(good: bytes) -> bytes:
        whole = json.loads(good)
        whole["choices"][0]["message"] |= fields
        return json.dumps(whole).encode()

    return turns(change)


def choice(**fields: Any) -> Answer:
    def change(good: bytes) -> bytes:
        whole = json.loads(good)
        whole["choices"][0] |= fields
        return json.dumps(whole).encode()

    return turns(change)


def words(escaped: str) -> Answer:
    """A good answer whose summary or reasoning is `escaped`, as it stands in the inner JSON."""

    def change(good: bytes) -> bytes:
        whole = json.loads(good)
        inner = json.loads(whole["choices"][0]["message"]["content"])
        name = "reasoning" if "reasoning" in inner else "summary"
        text = json.dumps(inner | {name: "WORDS"}).replace("WORDS", escaped)
        whole["choices"][0]["message"]["content"] = text
        return json.dumps(whole).encode()

    return turns(change)

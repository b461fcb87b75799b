"""A model endpoint of raw bytes: whatever a provider, a proxy or an attacker may send, and a count
of what it was asked.
"""

from __future__ import annotations

import asyncio
import gzip
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
        except (asyncio.IncompleteReadError, ConnectionError):
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


CALL = {"id": "c1", "type": "function", "function": {"name": "place_order", "arguments": "{}"}}
MIB = 1 << 20


async def chunks_without_end(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


async def complains_without_end(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


async def twice(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(http("200 OK", good, "Content-Type: application/json") * 2)


async def in_pieces(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(good), 7):
        piece = good[at : at + 7]
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    writer.write(b"0\r\n\r\n")


# Name -> the answer to all three agents, and the reason code of the decision it must come to.
ODD: dict[str, tuple[Answer, str]] = {
    "well": (well, "decided"),
    "well, in pieces": (in_pieces, "decided"),
    "well, packed": (turns(gzip.compress, "Content-Encoding: gzip"), "decided"),
    "429 page": (page("429 Too Many Requests"), "transport"),
    "429 page with Retry-After": (page("429 Too Many Requests", "Retry-After: 1"), "transport"),
    "429 with an hour's Retry-After": (
        page("429 Too Many Requests", "Retry-After: 3600"),
        "transport",
    ),
    "429 with a senseless Retry-After": (
        page("429 Too Many Requests", "Retry-After: -1e999"),
        "transport",
    ),
    "429 page that drips": (complains_without_end, "transport"),
    "429 without quota": (
        sends(http("429 Too Many", b'{"error": {"code": "insufficient_quota"}}')),
        "rejected",
    ),
    "401 page": (page("401 Unauthorized"), "rejected"),
    "403 page": (page("403 Forbidden"), "rejected"),
    "404 page": (page("404 Not Found"), "rejected"),
    "500 page": (page("500 Internal Server Error"), "transport"),
    "503 with an error of odd types": (
        sends(http("503 Busy", b'{"error": {"code": [], "type": 7}}')),
        "transport",
    ),
    "redirect to itself": (
        page("307 Temporary Redirect", "Location: /v1/chat/completions"),
        "rejected",
    ),
    "redirect to a file": (page("302 Found", "Location: file:///etc/passwd"), "rejected"),
    "200 page": (page("200 OK"), "unclean"),
    "204": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "unclean"),
    "nothing at all": (sends(b""), "transport"),
    "no HTTP": (sends(b"220 mail.example ESMTP\r\n"), "transport"),
    "half a body": (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"), "transport"),
    "a header of a megabyte": (
        sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MIB + b"\r\n\r\n{}"),
        "transport",
    ),
    "NUL in the text": (message(content="\x00"), "unclean"),
    "NUL in the reasoning": (words("\\u0000"), "schema"),
    "reasoning of blanks": (words(" \\t\\n "), "schema"),
    "reasoning that turns the writing round": (words("BUY \\u202eLLES"), "schema"),
    "an escape sequence": (words("\\u001b[2J"), "schema"),
    "half a character in the text": (
        turns(lambda good: good.replace(b'"content": "', b'"content": "\\ud800')),
        "unclean",
    ),
    "half a character in the reasoning": (words("\\udfff"), "schema"),
    "half a character in a refusal": (
        turns(lambda good: good.replace(b"null", b'"\\ud83d"')),
        "unclean",
    ),
    "no UTF-8": (
        turns(lambda good: good.replace(b'"content": "', b'"content": "\xff\xfe')),
        "unclean",
    ),
    "a text of 1 MiB": (message(content="x" * MIB), "unclean"),
    "a text of 65 KiB": (message(content="x" * 66_560), "unclean"),
    "a refusal of 100 KiB": (message(refusal="no " * 33_000), "refusal"),
    "a body without end": (chunks_without_end, "unclean"),
    "a bomb": (
        turns(lambda _: gzip.compress(b" " * 64 * MIB), "Content-Encoding: gzip"),
        "unclean",
    ),
    "a packing nobody knows": (turns(lambda good: good, "Content-Encoding: zstd"), "unclean"),
    "bottomless JSON": (turns(lambda _: b"[" * 500_000), "unclean"),
    "counts above 64 bits": (
        envelope(usage={"prompt_tokens": 2**64, "completion_tokens": 2**200}),
        "decided",
    ),
    "counts of odd types": (
        envelope(usage={"prompt_tokens": "9", "completion_tokens": -5}),
        "decided",
    ),
    "usage of an odd type": (envelope(usage=[1]), "decided"),
    "a name of odd characters": (envelope(model="\x00\u202em" * 500), "decided"),
    "a tool call": (message(tool_calls=[CALL]), "unclean"),
    "a tool call instead of text": (message(content=None, tool_calls=[CALL]), "unclean"),
    "a tool call as finish": (choice(finish_reason="tool_calls"), "unclean"),
    "a thousand tool calls": (message(content=None, tool_calls=[CALL] * 1_000), "unclean"),
    "a tool call of an odd shape": (message(tool_calls={"a": [None]}), "unclean"),
    "a function call": (
        message(content=None, function_call={"name": "f", "arguments": "{}"}),
        "unclean",
    ),
    "events": (
        sends(
            http(
                "200 OK",
                b'data: {"choices": []}\n\ndata: [DONE]\n\n',
                "Content-Type: text/event-stream",
            )
        ),
        "unclean",
    ),
    "content in parts": (message(content=[{"type": "text", "text": "{}"}]), "unclean"),
    "two choices": (envelope(choices=[{"index": 0}, {"index": 1}]), "unclean"),
    "choices of an odd type": (envelope(choices=["a"]), "unclean"),
    "cut": (choice(finish_reason="length"), "unclean"),
    "Gemini's SAFETY": (choice(finish_reason="SAFETY"), "refusal"),
    "an error within a 200": (turns(lambda _: b'{"error": {"message": "overloaded"}}'), "unclean"),
    "two answers at once": (twice, "decided"),
}

"""What providers, proxies and attackers send: a corpus of answers, and the reason code of each.

    python -m tests.agents.quirks

sends all of it over HTTP to a running `ats agents` and prints what came of each.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

from tests.agents.raw_endpoint import (
    Answer,
    choice,
    envelope,
    http,
    message,
    page,
    sends,
    turns,
    well,
    words,
)

CALL = {"id": "c1", "type": "function", "function": {"name": "place_order", "arguments": "{}"}}
MIB = 1 << 20
JSON = "Content-Type: application/json"


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


async def a_hundred_megabytes(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _piece in range(1_600):
        if writer.is_closing():
            return
        writer.write(b" " * 65_536)
        await writer.drain()


async def resets(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.transport.abort()


async def says_nothing(_: asyncio.StreamWriter, __: bytes) -> None:
    await asyncio.Event().wait()


async def stops_after_the_headers(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    await writer.drain()
    await asyncio.Event().wait()


async def drips_headers(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        if writer.is_closing():
            return
        writer.write(b"X-%d: y\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.2)


async def drips_its_body(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


async def keeps_an_event_stream_open(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while not writer.is_closing():
        writer.write(b": PROCESSING\n\n")
        await writer.drain()
        await asyncio.sleep(0.2)


async def events(writer: asyncio.StreamWriter, good: bytes) -> None:
    """The good answer as a stream that nobody asked for."""
    text = json.loads(good)["choices"][0]["message"]["content"]
    pieces = [text[at : at + 20] for at in range(0, len(text), 20)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    lines = [": OPENROUTER PROCESSING", *(f"data: {json.dumps(each)}" for each in chunks)]
    stream = "\n\n".join([*lines, "data: [DONE]", ""]).encode()
    writer.write(http("200 OK", stream, "Content-Type: text/event-stream"))


async def after_hints(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await well(writer, good)


async def of_an_old_protocol(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + good)
    await writer.drain()
    writer.close()


async def shorter_than_it_is(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(good) - 9}\r\n\r\n".encode() + good)


async def of_two_lengths(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(http("200 OK", good, "Content-Length: 3"))


async def cut_within_a_chunk(writer: asyncio.StreamWriter, good: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + good[:40])
    await writer.drain()
    writer.close()


def typed(*headers: str) -> Answer:
    """A good body under other headers."""

    async def answer(writer: asyncio.StreamWriter, good: bytes) -> None:
        writer.write(http("200 OK", good, *headers))

    return answer


def fails(status: str, error: object, *headers: str) -> Answer:
    """An error of JSON."""
    return sends(http(status, json.dumps(error).encode(), JSON, *headers))


def text(change: Callable[[str], str | None]) -> Answer:
    """The assistant's text, changed."""

    def whole(good: bytes) -> bytes:
        told = json.loads(good)
        said = told["choices"][0]["message"]
        said["content"] = change(said["content"])
        return json.dumps(told).encode()

    return turns(whole)


def fields(**changes: Any) -> Answer:
    """The answer's object with other fields."""
    return text(lambda good: json.dumps(json.loads(good) | changes))


def raw_field(name: str, value: str) -> Answer:
    """The answer's object with a field of exactly these characters."""
    return text(lambda good: json.dumps(json.loads(good) | {name: "RAW"}).replace('"RAW"', value))


def padded(size: int) -> Answer:
    """A good body with blanks before it, of `size` bytes together."""
    return turns(lambda good: good.rjust(size))


def packed(change: Callable[[bytes], bytes], name: str = "gzip") -> Answer:
    return turns(change, f"Content-Encoding: {name}")


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
    # shapes of providers
    "OpenAI's": (
        envelope(
            service_tier="default",
            system_fingerprint="fp_1",
            usage={
                "prompt_tokens": 400,
                "completion_tokens": 60,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        ),
        "decided",
    ),
    "OpenAI's with annotations": (message(annotations=[], audio=None), "decided"),
    "OpenRouter's": (
        envelope(id="gen-1", provider="Together", object="chat.completion"),
        "decided",
    ),
    "OpenRouter's native finish": (
        choice(native_finish_reason="completed", logprobs=None),
        "decided",
    ),
    "OpenRouter's blank lines while it waits": (
        turns(lambda good: b"\n \n" * 400 + good),
        "decided",
    ),
    "OpenRouter's error within a 200": (
        turns(lambda _: b'{"error": {"code": 502, "message": "Provider returned error"}}'),
        "unclean",
    ),
    "OpenRouter's error within a choice": (
        choice(finish_reason="error", error={"code": 502, "message": "upstream"}),
        "unclean",
    ),
    "OpenRouter's moderation": (
        fails("403 Forbidden", {"error": {"code": 403, "metadata": {"reasons": ["violence"]}}}),
        "rejected",
    ),
    "OpenRouter's empty account": (
        fails("402 Payment Required", {"error": {"code": 402, "message": "Insufficient credits"}}),
        "rejected",
    ),
    "Groq's": (
        envelope(
            x_groq={"id": "req_1"},
            usage={
                "prompt_tokens": 400,
                "completion_tokens": 60,
                "queue_time": 0.01,
                "total_time": 0.2,
            },
            usage_breakdown=None,
        ),
        "decided",
    ),
    "Groq's failed generation": (
        fails(
            "400 Bad Request",
            {"error": {"code": "json_validate_failed", "failed_generation": "{"}},
        ),
        "rejected",
    ),
    "Groq's tokens of the day": (
        fails(
            "429 Too Many Requests",
            {"error": {"code": "rate_limit_exceeded", "type": "tokens"}},
            "Retry-After: 5400",
        ),
        "transport",
    ),
    "Groq's flex tier": (fails("498 Capacity", {"error": {"type": "capacity"}}), "rejected"),
    "Gemini's": (
        envelope(object="chat.completion", usage={"prompt_tokens": 400, "total_tokens": 400}),
        "decided",
    ),
    "Gemini's error in a list": (
        fails("429 Too Many", [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]),
        "transport",
    ),
    "Gemini's wrong key": (
        fails("400 Bad Request", [{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}]),
        "rejected",
    ),
    "Gemini's blocked prompt": (
        turns(lambda _: b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}'),
        "refusal",
    ),
    "Gemini's own shape": (
        turns(lambda _: b'{"candidates": [{"content": {"parts": [{"text": "{}"}]}}]}'),
        "unclean",
    ),
    "Gemini's RECITATION": (choice(finish_reason="RECITATION"), "refusal"),
    "Gemini's filter with its reason": (
        choice(finish_reason="content_filter: PROHIBITED_CONTENT"),
        "refusal",
    ),
    "Gemini's MAX_TOKENS": (choice(finish_reason="MAX_TOKENS"), "unclean"),
    "Gemini's MALFORMED_FUNCTION_CALL": (
        choice(finish_reason="MALFORMED_FUNCTION_CALL"),
        "unclean",
    ),
    "Gemini's OTHER": (choice(finish_reason="OTHER"), "unclean"),
    "Gemini's choice without a message": (
        envelope(choices=[{"index": 0, "finish_reason": "stop"}]),
        "unclean",
    ),
    "DeepSeek's": (message(reasoning_content="RSI is high, so ..."), "decided"),
    "DeepSeek's blank lines while it waits": (turns(lambda good: b"\n" * 2_000 + good), "decided"),
    "DeepSeek's blank lines and nothing more": (turns(lambda _: b"\n" * 900), "unclean"),
    "DeepSeek's empty text": (text(lambda _: ""), "unclean"),
    "DeepSeek's overload": (choice(finish_reason="insufficient_system_resource"), "unclean"),
    "DeepSeek's empty account": (
        fails("402 Payment Required", {"error": {"message": "Insufficient Balance"}}),
        "rejected",
    ),
    "Azure's filter results": (
        choice(content_filter_results={"hate": {"filtered": False}}),
        "decided",
    ),
    "Azure's content filter": (
        fails("400 Bad Request", {"error": {"code": "content_filter"}}),
        "refusal",
    ),
    "llama.cpp's": (envelope(timings={"predicted_ms": 1.5}), "decided"),
    "vLLM's empty tool calls": (message(tool_calls=[], reasoning=None), "decided"),
    # errors
    "401 of a wrong key": (
        fails("401 Unauthorized", {"error": {"code": "invalid_api_key", "message": "sk-wire"}}),
        "rejected",
    ),
    "403 of a country": (
        fails("403 Forbidden", {"error": {"code": "unsupported_country_region_territory"}}),
        "rejected",
    ),
    "404 of a model": (fails("404 Not Found", {"error": {"code": "model_not_found"}}), "rejected"),
    "400 of a parameter": (
        fails("400 Bad Request", {"error": {"code": "unsupported_parameter"}}),
        "rejected",
    ),
    "400 of a policy": (
        fails("400 Bad Request", {"error": {"code": "content_policy_violation"}}),
        "refusal",
    ),
    "408 page": (page("408 Request Timeout"), "transport"),
    "409 page": (page("409 Conflict"), "transport"),
    "413 page": (page("413 Content Too Large"), "rejected"),
    "422 page": (page("422 Unprocessable Content"), "rejected"),
    "425 page": (page("425 Too Early"), "transport"),
    "429 with a date to wait for": (
        page(
            "429 Too Many Requests",
            "Date: Sun, 29 Nov 2026 03:00:00 GMT",
            "Retry-After: Sun, 29 Nov 2026 03:00:01 GMT",
        ),
        "transport",
    ),
    "429 with milliseconds to wait": (
        page("429 Too Many Requests", "retry-after-ms: 40"),
        "transport",
    ),
    "429 at a hard limit": (
        fails("429 Too Many", {"error": {"type": "billing_hard_limit_reached"}}, "Retry-After: 1"),
        "rejected",
    ),
    "502 page": (page("502 Bad Gateway"), "transport"),
    "503 page": (page("503 Service Unavailable"), "transport"),
    "504 page": (page("504 Gateway Timeout"), "transport"),
    "520 page": (page("520 Unknown"), "transport"),
    "524 page": (page("524 A Timeout Occurred"), "transport"),
    "529 overloaded": (fails("529 Overloaded", {"type": "error"}), "transport"),
    "300 page": (page("300 Multiple Choices"), "rejected"),
    "304": (sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "rejected"),
    "redirect to another host": (
        page("308 Permanent Redirect", "Location: http://192.0.2.1/v1/chat/completions"),
        "rejected",
    ),
    # the envelope
    "an empty body": (turns(lambda _: b""), "unclean"),
    "null": (turns(lambda _: b"null"), "unclean"),
    "a list": (turns(lambda good: b"[" + good + b"]"), "unclean"),
    "a text": (turns(lambda good: json.dumps(good.decode()).encode()), "unclean"),
    "a byte order mark": (turns(lambda good: b"\xef\xbb\xbf" + good), "unclean"),
    "UTF-16": (turns(lambda good: good.decode().encode("utf-16")), "unclean"),
    "a line's end after it": (turns(lambda good: good + b"\r\n"), "decided"),
    "something after it": (turns(lambda good: good + b" true"), "unclean"),
    "two bodies in one": (turns(lambda good: good + b"\n" + good), "unclean"),
    "a comma too much": (turns(lambda good: good[:-1] + b",}"), "unclean"),
    "NaN in it": (turns(lambda good: good.replace(b'"created": 1', b'"created": NaN')), "unclean"),
    "half a character in the name": (
        turns(lambda good: good.replace(b'"fake-1"', b'"m\\udc00"')),
        "unclean",
    ),
    "a created of 200 bits": (envelope(created=2**200), "decided"),
    "no usage": (envelope(usage=None), "decided"),
    "counts of fractions": (
        envelope(usage={"prompt_tokens": 400.5, "completion_tokens": 1e300}),
        "decided",
    ),
    "no name": (envelope(model=None), "decided"),
    "no choices": (envelope(choices=[]), "unclean"),
    "choices as an object": (envelope(choices={"0": {}}), "unclean"),
    "a message of an odd type": (choice(message="BUY"), "unclean"),
    "another role": (message(role="user"), "decided"),
    "no finish": (choice(finish_reason=None), "unclean"),
    "a finish in capitals": (choice(finish_reason="STOP"), "unclean"),
    "a finish of an odd type": (choice(finish_reason=0), "unclean"),
    "a finish with NUL": (choice(finish_reason="stop\x00"), "unclean"),
    "a refusal beside a text": (message(refusal="I cannot advise."), "refusal"),
    "a refusal of an odd type": (message(refusal={"why": 1}), "refusal"),
    "a function call as finish": (choice(finish_reason="function_call"), "unclean"),
    # the text
    "a fence": (text(lambda good: f"```json\n{good}\n```"), "schema"),
    "thoughts before it": (text(lambda good: f"<think>up</think>{good}"), "schema"),
    "prose": (text(lambda _: "I would buy."), "schema"),
    "blanks": (text(lambda _: "  "), "schema"),
    "a draft and its revision": (text(lambda good: good + good), "schema"),
    "an answer in a list": (text(lambda good: f"[{good}]"), "schema"),
    "an answer in an answer": (text(lambda good: f'{{"answer": {good}}}'), "schema"),
    "an answer as a text": (text(json.dumps), "schema"),
    "a byte order mark in the text": (text(lambda good: "\ufeff" + good), "schema"),
    "bottomless JSON in the text": (text(lambda _: "[" * 60_000), "schema"),
    "a key twice": (text(lambda good: good[:-1] + ', "confidence": 99}'), "schema"),
    "a field too much": (fields(quantity=10_000), "schema"),
    "a number as a text": (fields(confidence="70"), "schema"),
    "a number with a fraction": (fields(confidence=70.5), "schema"),
    "a number above 64 bits": (fields(confidence=2**64), "schema"),
    "a number of 5,000 digits": (raw_field("confidence", "9" * 5_000), "schema"),
    "a number without end": (raw_field("confidence", "1e999"), "schema"),
    "no number": (raw_field("confidence", "NaN"), "schema"),
    "a negative confidence": (fields(confidence=-1), "schema"),
    "nothing for a number": (fields(confidence=None), "schema"),
    "another symbol": (fields(symbol="OTHER"), "wrong_symbol"),
    "the symbol in small letters": (text(lambda good: good.replace("ODD", "odd")), "wrong_symbol"),
    "the symbol with a blank": (text(lambda good: good.replace("ODD", " ODD")), "wrong_symbol"),
    "the symbol with a look-alike": (
        text(lambda good: good.replace("ODD", "\u041eDD")),
        "wrong_symbol",
    ),
    "words of 2,000 characters": (words("x" * 2_000), "schema"),
    "words of another alphabet": (words("\\u0938\\u094d\\u0924\\u0930 ok"), "decided"),
    # the transfer
    "a wrong content type": (typed("Content-Type: text/html"), "decided"),
    "a content type that lies": (
        typed("Content-Type: application/json; charset=utf-16"),
        "decided",
    ),
    "no content type": (typed(), "decided"),
    "cookies": (typed(JSON, "Set-Cookie: id=1; Domain=example.com"), "decided"),
    "GZIP in capitals": (packed(gzip.compress, "GZIP"), "decided"),
    "half a gzip": (packed(lambda good: gzip.compress(good)[:-30]), "unclean"),
    "a gzip that is none": (packed(lambda good: good), "unclean"),
    "a gzip in a gzip": (packed(lambda good: gzip.compress(gzip.compress(good))), "unclean"),
    "deflate": (packed(lambda good: good, "deflate"), "unclean"),
    "brotli": (packed(lambda good: good, "br"), "unclean"),
    "an answer of 1 MiB": (padded(MIB), "decided"),
    "an answer of one byte more": (padded(MIB + 1), "unclean"),
    "an answer of 100 MiB": (a_hundred_megabytes, "unclean"),
    "events with an answer": (events, "unclean"),
    "after early hints": (after_hints, "decided"),
    "HTTP/1.0": (of_an_old_protocol, "decided"),
    "a length too short": (shorter_than_it_is, "transport"),
    "two lengths": (of_two_lengths, "transport"),
    "a negative length": (sends(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), "transport"),
    "a chunk of an odd size": (
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        "transport",
    ),
    "cut within a chunk": (cut_within_a_chunk, "transport"),
    "cut within the headers": (sends(b"HTTP/1.1 200 OK\r\nContent-Ty"), "transport"),
    "a reset": (resets, "transport"),
    "a header without a name": (sends(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n{}"), "transport"),
    "NUL in a header": (sends(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n{}"), "transport"),
    "another protocol": (sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "transport"),
}

# These take as long as the decision has.
SLOW: dict[str, tuple[Answer, str]] = {
    "silence": (says_nothing, "timeout"),
    "silence after the headers": (stops_after_the_headers, "timeout"),
    "headers that drip": (drips_headers, "timeout"),
    "a body that drips": (drips_its_body, "timeout"),
    "an event stream that stays open": (keeps_an_event_stream_open, "timeout"),
}


def main() -> None:
    """Run the corpus and print what came of each quirk."""
    from tests.agents.quirk_report import report  # noqa: PLC0415 - starts Kafka and Postgres

    raise SystemExit(asyncio.run(report(ODD | SLOW)))


if __name__ == "__main__":
    main()

"""A real HTTP server of OpenAI's shape that behaves well, or in one of the ways providers
misbehave.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

Misbehaviour = Callable[[web.Request, str], Awaitable[web.StreamResponse]]


def good_answer(message: dict[str, Any]) -> dict[str, Any]:
    """What a model that understood answers: a function of the message alone."""
    symbol, task = message["symbol"], message["task"]
    if task == "scout":
        # not the rules' order, so that one sees who ranked
        candidates = message["data"]["candidates"][::-1]
        return {
            "ranked": [
                {"symbol": c["symbol"], "direction": "BULLISH", "score": 60, "reason": "strong"}
                for c in candidates
            ]
        }
    if task == "commander":
        signal = message["data"]["signal"]
        side = 1 if signal["direction"] == "BULLISH" else -1
        return {
            "symbol": symbol,
            "action": "BUY" if side > 0 else "SELL",
            "confidence": 70,
            "stop": signal["price"] - side * 1_000,
            "target": signal["price"] + side * 2_000,
            "horizon_minutes": 30,
            "citations": [{"name": "signal.price", "value": signal["price"]}],
            "reasoning": "Both agree.",
        }
    opinion = {"symbol": symbol, "confidence": 65, "summary": f"{task} is fine"}
    if task == "technical":
        own = {"setup": "fair", "key_levels": ["ema_9"], "invalidation": "none"}
        return opinion | own | {"score": 40}
    items = message["headlines"]["items"]
    return opinion | {"score": 20 + len(items), "counted": [item["n"] for item in items]}


def completion(
    text: str | None, *, finish: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
        "usage": {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460},
    }


class Provider:
    """Answers `/v1/chat/completions`. `misbehave` maps a task to what happens instead."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.misbehave: dict[str, Misbehaviour] = {}
        self.delay = 0.0
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    def tasks(self) -> list[str]:
        return [json.loads(request["messages"][-1]["content"])["task"] for request in self.requests]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        message = json.loads(body["messages"][-1]["content"])
        good = json.dumps(good_answer(message))
        if self.delay:
            await asyncio.sleep(self.delay)
        if misbehaviour := self.misbehave.get(message["task"]):
            return await misbehaviour(request, good)
        return web.json_response(completion(good))


def says(text: str | None, **how: Any) -> Misbehaviour:
    async def reply(_: web.Request, __: str) -> web.StreamResponse:
        return web.json_response(completion(text, **how))

    return reply


def says_of(change: Callable[[str], str], **how: Any) -> Misbehaviour:
    async def reply(_: web.Request, good: str) -> web.StreamResponse:
        return web.json_response(completion(change(good), **how))

    return reply


def with_field(**fields: Any) -> Misbehaviour:
    return says_of(lambda good: json.dumps(json.loads(good) | fields))


def without_field(name: str) -> Misbehaviour:
    return says_of(
        lambda good: json.dumps({k: v for k, v in json.loads(good).items() if k != name})
    )


def status(
    code: int, body: str = '{"error": {"message": "no, sk-secret"}}', **headers: str
) -> Misbehaviour:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def reply(_: web.Request, __: str) -> web.StreamResponse:
        return web.Response(status=code, text=body, content_type="application/json", headers=named)

    return reply


def wholly(change: Callable[[dict[str, Any]], object]) -> Misbehaviour:
    """A good answer, changed anywhere in its envelope."""

    async def reply(_: web.Request, good: str) -> web.StreamResponse:
        whole = completion(good)
        change(whole)
        return web.json_response(whole)

    return reply


def raw(change: Callable[[bytes], bytes]) -> Misbehaviour:
    """A good answer, changed in its bytes."""

    async def reply(_: web.Request, good: str) -> web.StreamResponse:
        return web.Response(
            body=change(json.dumps(completion(good)).encode()), content_type="application/json"
        )

    return reply


def encoded(name: str, change: Callable[[bytes], bytes]) -> Misbehaviour:
    """A good answer in a content encoding, which `change` makes."""

    async def reply(_: web.Request, good: str) -> web.StreamResponse:
        packed = change(json.dumps(completion(good)).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": name}
        return web.Response(body=packed, headers=headers)

    return reply


def body(text: str, content_type: str = "application/json") -> Misbehaviour:
    async def reply(_: web.Request, __: str) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type)

    return reply


async def hangs(_: web.Request, __: str) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def drops(request: web.Request, _: str) -> web.StreamResponse:
    assert request.transport
    request.transport.close()
    return web.Response()


def first_time(misbehaviour: Misbehaviour) -> Misbehaviour:
    """Misbehave once, then answer well."""
    seen: set[str] = set()

    async def reply(request: web.Request, good: str) -> web.StreamResponse:
        if not seen:
            seen.add("once")
            return await misbehaviour(request, good)
        return web.json_response(completion(good))

    return reply

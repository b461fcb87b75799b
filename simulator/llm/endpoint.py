"""An OpenAI-compatible chat endpoint whose answers are a function of the prompt's data alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from simulator.llm.answers import answer

# whatever was asked for: a record must not claim that another model thought
MODEL: Final = "simulated"
CREATED: Final = 1_700_000_000  # a fixed moment: answers must not depend on the clock
CHARACTERS_PER_TOKEN: Final = 4  # the usual rule of thumb for English and JSON


class ChatApi:
    """The handlers under `/v1`. Any non-empty key will do."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self.calls = 0

    def routes(self) -> list[web.RouteDef]:
        """The paths of the simulated model, as OpenAI names them."""
        return [web.post("/v1/chat/completions", self.complete), web.get("/v1/models", self.models)]

    async def models(self, request: web.Request) -> web.Response:
        """Answer `GET /v1/models`: the one that there is."""
        if not _has_key(request):
            return _no_key()
        listed = [{"id": MODEL, "object": "model", "created": CREATED, "owned_by": "simulator"}]
        return web.json_response({"object": "list", "data": listed})

    async def complete(self, request: web.Request) -> web.Response:
        """Answer `POST /v1/chat/completions`; the same prompt always gets the same answer."""
        if not _has_key(request):
            return _no_key()
        self.calls += 1
        raw = await request.read()
        try:
            body = orjson.loads(raw)
            prompt = orjson.loads(_last_user_text(body["messages"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            return _error(
                400,
                f"the last user message must be a JSON object: {error}",
                "invalid_request_error",
            )
        if not isinstance(prompt, dict) or body.get("stream"):
            return _error(
                400,
                "the last user message must be a JSON object, and stream false",
                "invalid_request_error",
            )
        if self._latency:
            await asyncio.sleep(self._latency)
        content = orjson.dumps(answer(prompt, _schema(body)), option=orjson.OPT_SORT_KEYS).decode()
        return web.json_response(_completion(raw, content))


def _completion(raw: bytes, content: str) -> dict[str, Any]:
    asked, said = len(raw) // CHARACTERS_PER_TOKEN + 1, len(content) // CHARACTERS_PER_TOKEN + 1
    return {
        "id": f"chatcmpl-{hashlib.sha256(raw).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
        "system_fingerprint": None,
    }


def _last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Raises ValueError when nobody asked anything."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "".join(str(part.get("text", "")) for part in content)
            return str(content)
    raise ValueError("no user message")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = body.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, dict) else None


def _has_key(request: web.Request) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return scheme == "Bearer" and bool(key.strip())


def _no_key() -> web.Response:
    return _error(401, "You didn't provide an API key.", "invalid_request_error", "invalid_api_key")


def _error(status: int, message: str, kind: str, code: str | None = None) -> web.Response:
    return web.json_response(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status
    )

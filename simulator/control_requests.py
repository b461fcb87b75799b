"""Reads the bodies of requests under `/control`, and says what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web


async def json_object(request: web.Request, *fields: str) -> dict[str, Any]:
    """The JSON object of a body, which has no other fields than these.

    Raises:
        ValueError: it is something else, or has one more; the text names it.
    """
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(body.keys() - set(fields)):
        raise ValueError(
            f"{unknown[0]}: unknown; there are {', '.join(fields) or 'no fields here'}"
        )
    return body


def text(body: Mapping[str, Any], name: str) -> str:
    """A field that is a text and not empty.

    Raises:
        ValueError: it is not; names it and shows no value.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: {'missing' if name not in body else 'a text that is not empty'}")
    return value


async def refuse_body(request: web.Request) -> web.Response | None:
    """What to say to a body where none is looked at; an empty object is none."""
    try:
        if request.can_read_body:
            await json_object(request)
    except ValueError as error:
        return refuse(str(error))
    return None


def refuse(reason: str) -> web.Response:
    """400 and one sentence."""
    return web.json_response({"error": reason}, status=400)

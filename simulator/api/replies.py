"""HTTP replies in the shapes that Dhan gives its refusals."""

from __future__ import annotations

import time

from aiohttp import web

from simulator.refusals import Refusal


def refuse(refusal: Refusal, status: int | None = None) -> web.Response:
    """The reply to a refused request; `status` in the place of the code's own."""
    error_code, error_type, usual = refusal.code.value
    body = {"errorType": error_type, "errorCode": error_code, "errorMessage": refusal.message}
    return web.json_response(body, status=status or usual)


async def unknown_path(request: web.Request) -> web.Response:
    """What Dhan's gateway says to a path it does not have."""
    now = round(time.time() * 1_000)
    body = {"timestamp": now, "status": 404, "error": "Not Found", "path": request.path}
    return web.json_response(body, status=404)

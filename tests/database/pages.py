"""What gateways before a database answer of their own accord: none of it is the database's word."""

from __future__ import annotations

from typing import Final

from tests.web.front import Answer

HTML: Final = (("Content-Type", "text/html"),)


def a_page(status: int) -> Answer:
    return Answer(status, f"<!doctype html><title>{status}</title><h1>{status}</h1>", HTML)


PAGES: Final = {
    **{f"{status} page": a_page(status) for status in (200, 400, 401, 403, 404, 429, 502, 503)},
    "401 of the gateway": Answer(401, '{"message": "Invalid API key", "hint": "Double check"}'),
    "429 in JSON": Answer(429, '{"code": 429, "message": "too many requests"}'),
    "404 in JSON": Answer(404, '{"code": "404", "message": "no Route matched with those values"}'),
    "half an answer": Answer(500, '{"code": "42'),
    "no body": Answer(403, ""),
}

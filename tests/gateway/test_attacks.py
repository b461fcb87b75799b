"""Strangers who send what no browser sends."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest

from tests.gateway.gate import ASHA, Gate, gate, token_of

TOKEN = token_of(ASHA)  # not to be let in with: it may have expired when its test runs
BEARER = f"Authorization: Bearer {TOKEN}"


async def said_to(made: Gate, *lines: str) -> bytes:
    """All that the gateway says until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(made.url.rpartition(":")[2]))
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(30):
        said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /v1/today HTTP/1.1", "Host: x", f"{BEARER}\x00"),
        ("GET /v1/today HTTP/1.1", "Host: x", f"X: {TOKEN * 100}"),
        ("GET /v1/today HTTP/1.1", "Host: x", f"{BEARER}", f"{TOKEN}\x01: y"),
        (f"{TOKEN} /v1/today HTTP/1.1", "Host: x"),
    ],
    ids=["broken value", "too long", "broken name", "broken method"],
)
async def test_what_is_no_http_is_refused_and_no_log_quotes_it(
    lines: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with gate() as made:
            said = await said_to(made, *lines)

    assert b" 400 " in said.partition(b"\r\n")[0]
    assert TOKEN.partition(".")[0] not in caplog.text


async def test_who_is_refused_holds_no_connection() -> None:
    async with gate() as made:
        stranger = await said_to(made, "GET /v1/today HTTP/1.1", "Host: x")
        made.deps.ready.clear()
        living = f"Authorization: Bearer {token_of(ASHA)}"
        early = await said_to(made, "GET /v1/today HTTP/1.1", "Host: x", living)

    assert b" 401 " in stranger.partition(b"\r\n")[0]
    assert b" 503 " in early.partition(b"\r\n")[0]


async def test_two_hundred_strangers_at_once_leave_a_viewer_their_stream() -> None:
    async with gate() as made, made.stream() as opened:
        await opened.until("snapshot")
        refused = await asyncio.gather(
            *(said_to(made, "GET /v1/stream HTTP/1.1", "Host: x") for _ in range(200))
        )
        await made.server.stop()
        await opened.until("end")

    assert {each.partition(b"\r\n")[0] for each in refused} == {b"HTTP/1.1 401 Unauthorized"}


async def test_a_viewer_who_leaves_is_forgotten_though_nothing_happens() -> None:
    async with gate() as made:
        async with made.stream() as opened:
            await opened.until("snapshot")
            assert made.deps.metrics.viewers == 1
        async with asyncio.timeout(10):
            while made.deps.metrics.viewers:  # noqa: ASYNC110  (a counter has no event)
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 5_000,
        b'{"a":' * 1_200,
        b'{"alg":["HS256"]}',
        b'{"alg":{}}',
        b'{"alg":"HS256","kid":"\\ud800"}',
        b'{"alg":"HS256","crit":["x"]}',
    ],
)
async def test_a_token_that_is_made_to_break_its_reader_is_refused(header: bytes) -> None:
    made_up = base64.urlsafe_b64encode(header).decode().rstrip("=") + ".e30.x"
    async with gate() as made:
        status, _, _ = await made.get("/v1/today", None, {"Authorization": f"Bearer {made_up}"})

    assert status == 401

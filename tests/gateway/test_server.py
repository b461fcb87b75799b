"""The gateway over HTTP, by people with tokens and by strangers."""

from __future__ import annotations

import asyncio
from uuid import UUID

import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ats.gateway import stream
from ats.gateway.access import VerifyingKey
from ats.gateway.board import PUBLIC_BYTES
from ats.gateway.budget import BURST, STREAMS, RequestBudget
from ats.gateway.keys import SharedSecret
from ats.gateway.market import BARS
from ats.gateway.openapi import EVENTS, document
from ats.gateway.routes import MOST_WANTED, ROUTES
from schemas.errors import TryLater
from schemas.ids import UserId
from schemas.messages import Candle, Decision, Position
from tests.executors.factories import a_decision
from tests.gateway.filled import INSTRUMENT, Marks, filled
from tests.gateway.gate import ASHA, BIMAL, EPOCH, SECRET, bearer, gate, token_of
from tests.schemas.factories import a_candle

PATHS = {
    "today": "/v1/today",
    "candles": f"/v1/candles/{INSTRUMENT}",
    "decision": f"/v1/decisions/{UUID(int=7)}",
    "decisions": "/v1/decisions",
    "chart": f"/v1/chart/{INSTRUMENT}",
    "why": f"/v1/why/{UUID(int=7)}",
    "stream": "/v1/stream",
    "console": "/v1/operator/console",
    "operated": f"/v1/operator/users/{UUID(int=7)}",
    "actions": "/v1/operator/actions",
    "scores": "/v1/operator/scorecard",
}


def test_the_document_is_one_of_openapi_and_describes_every_route_and_event() -> None:
    made = orjson.loads(orjson.dumps(document()))

    OpenAPIV31SpecValidator(made).validate()
    assert set(made["paths"]) == {route.path for route in ROUTES}
    told = made["paths"]["/v1/stream"]["get"]["responses"]["200"]["content"]
    assert set(told["text/event-stream"]["x-ats-events"]) == set(EVENTS)


async def test_strangers_get_the_document_and_nothing_else() -> None:
    assert set(PATHS) == {route.name for route in ROUTES if not route.open}
    async with gate() as made:
        assert orjson.loads((await made.get("/v1/openapi.json", None))[1]) == orjson.loads(
            orjson.dumps(document())
        )
        for path in PATHS.values():
            status, body, headers = await made.get(path, None)

            assert (status, orjson.loads(body)["error"]) == (401, "no_token")
            assert headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/today?user_id=1",
        "/v1/today?instrument=TCS",
        "/v1/today?" + "&".join(f"instrument=NSE_EQ:{n}" for n in range(MOST_WANTED + 1)),
        f"/v1/candles/{INSTRUMENT}?bars={BARS + 1}",
        f"/v1/candles/{INSTRUMENT}?bars=1&bars=2",
        f"/v1/candles/{INSTRUMENT}?timeframe=2m",
        "/v1/decisions/7",
        "/v1/decisions?most=51",
        "/v1/decisions?before=7",
        f"/v1/chart/{INSTRUMENT}?day=20260714",
        f"/v1/chart/{INSTRUMENT}?day=2026-02-30",
        f"/v1/why/{UUID(int=7).hex}",
        "/v1/stream?access_token=secret",
    ],
)
async def test_what_no_route_takes_is_refused_before_anything_is_looked_up(path: str) -> None:
    async with gate() as made:
        status, body, _ = await made.get(path)

    assert (status, orjson.loads(body)["error"]) == (400, "parameter")
    assert b"secret" not in body


async def test_pages_of_other_origins_are_refused_and_named_ones_may_ask() -> None:
    page, other = "https://ats.example", "https://evil.example"
    async with gate(origins=frozenset({page})) as made:
        status, _, headers = await made.get("/v1/today", headers={"Origin": other})
        assert (status, "Access-Control-Allow-Origin" in headers) == (403, False)

        status, _, headers = await made.get("/v1/today", headers={"Origin": page})
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, page)

        async with made.http.options(f"{made.url}/v1/stream", headers={"Origin": page}) as asked:
            assert asked.status == 204
            assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    async with gate() as made:
        status, _, _ = await made.get("/v1/today", headers={"Origin": page})
        assert status == 403


async def test_nothing_but_reading_is_served() -> None:
    async with gate() as made:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            async with made.http.request(
                method, f"{made.url}/v1/today", headers=bearer(token_of(ASHA))
            ) as answer:
                assert answer.status == 405


async def test_one_user_who_asks_too_often_waits_and_others_do_not() -> None:
    async with gate() as made:
        statuses = [(await made.get("/v1/today"))[0] for _ in range(int(BURST) + 5)]

        assert statuses[0] == 200
        assert statuses[-1] == 429
        assert (await made.get("/v1/today", BIMAL))[0] == 200


def test_a_budget_fills_again_and_remembers_a_bounded_number_of_users() -> None:
    budget = RequestBudget()
    taken = [budget.take(ASHA, 0.0) for _ in range(int(BURST) + 1)]
    for number in range(20_000):
        budget.take(UserId(UUID(int=number)), 0.0)

    assert taken == [True] * int(BURST) + [False]
    assert budget.take(ASHA, 1.0)
    assert len(budget._left) == 10_000


async def test_streams_of_one_user_and_of_all_are_bounded() -> None:
    async with gate(most_viewers=STREAMS + 1) as made:
        streams = [made.stream(ASHA) for _ in range(STREAMS)]
        for each in streams:
            await each.__aenter__()
        assert (await made.get("/v1/stream"))[0] == 429
        async with made.stream(BIMAL):
            status, body, headers = await made.get(
                "/v1/stream", UserId(UUID(int=9)), {"Accept": "text/event-stream"}
            )
            assert (status, orjson.loads(body)["error"]) == (503, "full")
            assert "Retry-After" in headers
        for each in streams:
            await each.__aexit__(None, None, None)


async def test_before_the_day_is_read_up_nobody_is_shown_half_of_it() -> None:
    async with gate() as made:
        made.deps.ready.clear()
        status, body, _ = await made.get("/v1/today")

    assert (status, orjson.loads(body)["error"]) == (503, "starting")


async def test_where_keys_are_away_nobody_is_told_to_sign_in() -> None:
    class Away(SharedSecret):
        async def find(self, key_id: str) -> VerifyingKey:  # noqa: ARG002
            raise TryLater("away")

    async with gate(keys=Away(SECRET)) as made:
        status, body, _ = await made.get("/v1/today")

    assert (status, orjson.loads(body)["error"]) == (503, "keys_away")


async def test_a_stream_ends_when_its_token_does() -> None:
    async with gate() as made, made.stream() as opened:
        await opened.until("snapshot")
        made.clock.ahead = 601.0
        made.tell(filled(Decision, Marks("late", 1)))
        end = await opened.next()
        assert await opened.next() is None

    assert end
    assert (end.name, end.data) == ("end", {"reason": "token_expired"})


async def test_a_stream_is_told_when_the_gateway_stops() -> None:
    async with gate() as made, made.stream() as opened:
        await opened.until("snapshot")

        await made.server.stop()

        assert (await opened.until("end")).data == {"reason": "stopping"}


async def test_a_viewer_goes_on_where_they_left() -> None:
    first, second = (filled(Decision, Marks(name, 1)) for name in ("first", "second"))
    async with gate() as made:
        made.tell(first)
        async with made.stream() as opened:
            heard = await opened.until("snapshot")
        made.tell(second)
        async with made.stream(headers={"Last-Event-ID": heard.id}) as again:
            event = await again.next()

    assert event
    assert (event.name, event.data["id"]) == ("decision", str(second.id))


@pytest.mark.parametrize("last", [f"{EPOCH[::-1]}.0.0", f"{EPOCH}.99.0", "nonsense", "1"])
async def test_an_id_that_says_nothing_here_begins_with_a_snapshot(last: str) -> None:
    async with gate() as made, made.stream(headers={"Last-Event-ID": last}) as opened:
        event = await opened.next()

    assert event
    assert event.name == "snapshot"


async def test_bars_and_prices_are_told_of_what_is_asked_for_or_held_and_of_nothing_else() -> None:
    asked, held, other = "NSE_EQ:1", "NSE_EQ:2", "NSE_EQ:3"
    candle = a_candle()
    position = filled(Position, Marks("x", 1), user_id=str(ASHA), net=5)
    async with gate() as made:
        made.tell(position.model_copy(update={"instrument": held}))
        async with made.stream(path=f"/v1/stream?instrument={asked}") as opened:
            await opened.until("snapshot")
            for instrument in (other, asked, held):
                made.tell(Candle.model_validate(candle.model_dump() | {"instrument": instrument}))
            prices = (await opened.until("prices")).data["prices"]

    assert {each["instrument"] for each in prices} == {asked, held}
    assert other.encode() not in opened.raw


async def test_a_viewer_who_takes_nothing_in_is_let_go_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "TAKEN_WITHIN", 0.05)
    monkeypatch.setattr(stream, "PULSE", 0.001)
    reasons = "because " * 450
    async with gate() as made:
        port = int(made.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        lines = "GET /v1/stream HTTP/1.1", "Host: x", f"Authorization: Bearer {token_of(ASHA)}"
        writer.write("\r\n".join([*lines, "", ""]).encode())
        number = 0
        async with asyncio.timeout(120):
            while not made.deps.metrics.slow:
                for _ in range(100):
                    number += 1
                    made.tell(a_decision(signal=UUID(int=number), reasoning=reasons))
                await asyncio.sleep(0.002)  # the stream writes meanwhile
        writer.close()

    assert made.board.ring.size <= PUBLIC_BYTES

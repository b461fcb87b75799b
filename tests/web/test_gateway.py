"""What a browser gets of the read gateway, at the page's own origin."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import orjson

from schemas.errors import TryLater
from schemas.ids import UserId
from schemas.messages import Decision, OrderIntent, Position
from tests.gateway.filled import Marks, filled
from tests.web.conftest import Site
from tests.web.people import Person, somebody
from tests.web.test_sessions import session_of

STREAM = "/api/gateway/stream"


def user_of(person: Person) -> UserId:
    return UserId(UUID(session_of(person)["user"]["id"]))


async def events_of(answer: httpx.Response, most: int) -> list[tuple[str, str]]:
    """The names and data of the first events, and the id that stood before each."""
    found, lines = list[tuple[str, str]](), dict[str, str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        lines[name] = value
        if not line and "data" in lines:
            found.append((lines["id"], f"{lines['event']} {lines['data']}"))
            lines.pop("data")
            if len(found) == most:
                break
    return found


async def test_a_stream_goes_on_where_the_browser_left_and_shows_each_their_own(
    site: Site,
) -> None:
    marks = Marks("m", 10**9)
    async with somebody(site) as asha, somebody(site) as bimal:
        for person in (asha, bimal):
            site.gate.tell(filled(Position, marks, user_id=str(user_of(person)), net=0))
        async with asha.http.stream("GET", STREAM) as answer:
            ((place, snapshot),) = await events_of(answer, 1)
            headers = answer.headers
        decision = filled(Decision, marks)
        site.gate.tell(decision)
        async with asha.http.stream("GET", STREAM, headers={"Last-Event-ID": place}) as answer:
            ((_, missed),) = await events_of(answer, 1)
        token = session_of(asha)["access_token"]

    assert headers["Content-Type"] == "text/event-stream"
    assert {"private", "no-store", "no-transform"} <= set(headers["Cache-Control"].split(", "))
    own = orjson.loads(snapshot.removeprefix("snapshot "))["own"]
    assert [each["user_id"] for each in own["positions"]] == [str(user_of(asha))]
    assert str(user_of(bimal)) not in snapshot
    assert missed.startswith("decision ")
    assert str(decision.id) in missed
    assert token not in f"{snapshot}{missed}{headers}"


async def test_a_browser_that_leaves_leaves_no_stream_behind(site: Site) -> None:
    marks = Marks("m", 10**9)
    async with somebody(site) as person:
        async with person.http.stream("GET", STREAM) as answer:
            await events_of(answer, 1)
            assert site.gate.deps.metrics.viewers == 1
        async with asyncio.timeout(30):
            while site.gate.deps.metrics.viewers:  # it notices when it next has something to tell
                site.gate.tell(filled(Decision, marks))
                await asyncio.sleep(0.01)


async def test_only_the_gateways_own_routes_are_asked_and_only_for_somebody(site: Site) -> None:
    async with somebody(site) as person:
        strange = [
            await person.get(f"/api/gateway/{path}")
            for path in ("openapi.json", "../health", "decisions/1", "today/x", "%2e%2e/health")
        ]
        token = await person.get("/api/gateway/today?token=1")
        person.http.cookies.clear()
        nobody = await person.get("/api/gateway/today")

    assert {answer.status_code for answer in strange} == {404}
    assert (token.status_code, token.json()) == (400, {"problem": "not_known"})
    assert (nobody.status_code, nobody.json()) == (401, {"problem": "session_ended"})


async def test_an_orders_story_is_its_owners_and_a_record_that_is_away_is_said(site: Site) -> None:
    intent = filled(OrderIntent, Marks("m", 10**9))
    async with somebody(site) as asha, somebody(site) as bimal:
        site.gate.tell(intent.model_copy(update={"user_id": user_of(asha)}))
        hers, his = [await each.get(f"/api/gateway/why/{intent.id}") for each in (asha, bimal)]
        site.gate.record.away = TryLater("no broker answers")
        site.gate.tell(filled(Position, Marks("m", 1), user_id=str(user_of(asha))))
        away = await asha.get(f"/api/gateway/why/{intent.id}")

    assert hers.status_code == 200
    assert hers.json()["order"] == str(intent.id)
    assert (his.status_code, his.json()) == (404, {"problem": "not_known"})
    assert (away.status_code, away.json()) == (503, {"problem": "record_away"})


async def test_what_the_gateway_cannot_answer_is_said_as_a_code(site: Site) -> None:
    async with somebody(site) as person:
        site.gate.deps.ready.clear()
        starting = await person.get("/api/gateway/today")
        await site.gate.server.stop()
        away = await person.get("/api/gateway/today")

    assert (starting.status_code, starting.json()) == (503, {"problem": "gateway_starting"})
    assert (away.status_code, away.json()) == (503, {"problem": "gateway_away"})

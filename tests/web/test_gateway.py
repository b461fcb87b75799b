"""What a browser gets of the read gateway, at the page's own origin."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import httpx
import orjson

from schemas.errors import TryLater
from schemas.ids import UserId
from schemas.messages import Decision, OrderIntent, Position
from tests.database.fixtures import SupabaseStack
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


async def test_a_person_stops_and_flattens_their_own_account_and_the_database_keeps_it(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as asha, somebody(site) as bimal:
        stopped = await asha.post("/api/account/stop", json={"stop": True})
        (halt,) = (await asha.account())["halts"]
        foreign = await asha.post("/api/account/stop", "http://evil.test", json={"stop": False})
        others = (await bimal.account())["halts"]
        allowed = await asha.post("/api/account/stop", json={"stop": False})
        after = (await asha.account())["halts"]
        user = user_of(asha)
    connection = await asyncpg.connect(supabase_stack.dsn)
    query = "select halted_by, flatten, lifted_by from trading_halts where user_id = $1"
    kept = [tuple(row) for row in await connection.fetch(query, user)]
    await connection.close()

    assert (stopped.json(), allowed.json()) == ({"stopped": True}, {"stopped": False})
    assert (halt["own"], halt["flatten"], halt["everybody"]) == (True, True, False)
    assert foreign.status_code == 403
    assert (others, after) == ([], [])
    assert kept == [("user", True, "user")]


async def test_a_file_of_fills_holds_the_users_own_and_no_formula(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as asha, somebody(site) as bimal:
        connection = await asyncpg.connect(supabase_stack.dsn)
        for person, symbol in ((asha, "=HYPERLINK(1)"), (bimal, "TCS")):
            await connection.execute(
                "insert into trades (user_id, dhan_order_id, trade_id, trading_date, instrument, "
                "symbol, side, product, quantity, price_paise, version) values "
                "($1, '7', '1', '2026-11-20', 'NSE_EQ:2885', $2, 'BUY', 'INTRADAY', 10, 150005, 1)",
                *(user_of(person), symbol),
            )
        await connection.close()
        answer = await asha.get("/history/trades.csv")
    _, *rows = answer.text.split("\r\n")

    assert answer.headers["Content-Disposition"] == 'attachment; filename="ats-trades.csv"'
    assert rows == [
        "2026-11-20,,'=HYPERLINK(1),NSE_EQ:2885,BUY,INTRADAY,10,1500.05,,7,1",
        "",
    ]

"""After the first answer that proves a token dead, nothing is sent with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web

from bus.records import Output
from executors.sessions import ActiveUsers, SessionPoller
from executors.store import Store, TokenVersion
from executors.tokens import RefusedTokens
from schemas.codec import decode
from schemas.ids import UserId
from schemas.messages import Execution, Outcome, UserSession
from schemas.topics import SESSIONS
from tests.dhan.broker import (
    Answer,
    ScriptedDhan,
    hang_up,
    json_answer,
    text_answer,
    trading_error,
)
from tests.executors.harness import FastMachine, World, run

DEAD = trading_error("DH-901", "Client ID or user generated access token is invalid", 401)
PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def posts(dhan: ScriptedDhan) -> int:
    return sum(request.method == "POST" for request in dhan.seen)


async def an_order(world: World, user: UserId) -> Execution:
    """Of a worker that has just started: it knows what the database knows."""
    return await run(world.worker(user), await world.intent(user))


async def session_of(world: World, user: UserId) -> UserSession:
    told: list[UserSession] = []

    async def publish(output: Output) -> None:
        if output.topic is SESSIONS:
            told.append(decode(UserSession, output.value))

    machine = FastMachine().time()
    poller = SessionPoller(
        Store(world.client), ActiveUsers(machine), publish, lambda: datetime.now(UTC), machine
    )
    await poller.poll()
    await poller.tell()
    (session,) = [session for session in told if session.user_id == user]
    return session


async def test_a_dead_token_is_posted_once_and_its_user_is_inactive_until_they_connect_again(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/orders", DEAD)

    first, second = await an_order(scripted, user), await an_order(scripted, user)

    assert (first.outcome, first.reason_code) == (Outcome.REJECTED, "DH-901")
    assert (second.outcome, second.reason_code) == (Outcome.DENIED, "token_refused")
    assert "Connect again" in second.reason
    assert posts(dhan) == 1
    session = await session_of(scripted, user)
    assert (session.active, session.reason) == (False, "token_refused")

    await connected_again(scripted, user)
    dhan.on("POST", "/v2/orders", PLACED)

    assert (await an_order(scripted, user)).outcome is Outcome.ACCEPTED
    assert (await session_of(scripted, user)).active


async def test_a_lookup_that_is_refused_in_words_proves_the_token_dead_too(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/orders", hang_up)
    dhan.on("GET", "/v2/orders", DEAD)

    lost, next_one = await an_order(scripted, user), await an_order(scripted, user)

    assert (lost.outcome, lost.reason_code) == (Outcome.NOT_FOUND, "unverifiable")
    assert next_one.reason_code == "token_refused"
    assert posts(dhan) == 1


@pytest.mark.parametrize(
    "answer",
    [
        text_answer("<html>401 Authorization Required</html>", 401),
        trading_error("DH-902", status=403),
        trading_error("DH-906", status=400),
    ],
    ids=["a gateway's 401", "no access", "another refusal"],
)
async def test_an_answer_that_proves_nothing_about_the_token_stops_nobody(
    scripted: World, dhan: ScriptedDhan, answer: Answer
) -> None:
    user = await scripted.user()
    dhan.on("POST", "/v2/orders", answer)
    dhan.on("GET", "/v2/orders", answer)
    await an_order(scripted, user)
    dhan.on("POST", "/v2/orders", PLACED)

    assert (await an_order(scripted, user)).outcome is Outcome.ACCEPTED


async def test_a_user_who_connects_again_while_the_old_token_is_refused_goes_on_with_the_new_one(
    scripted: World, dhan: ScriptedDhan
) -> None:
    user = await scripted.user()

    async def refused_meanwhile(request: web.Request) -> web.StreamResponse:
        await connected_again(scripted, user)
        return await DEAD(request)

    dhan.on("POST", "/v2/orders", refused_meanwhile)
    await an_order(scripted, user)
    dhan.on("POST", "/v2/orders", PLACED)

    assert (await an_order(scripted, user)).outcome is Outcome.ACCEPTED


async def test_a_refusal_that_did_not_reach_the_database_is_written_by_the_next_one(
    scripted: World,
) -> None:
    user = await scripted.user()
    version = await scripted.sql(
        "select version from private.stored_tokens where user_id = $1", user
    )
    tokens = RefusedTokens(Away(scripted.client), FastMachine().time())
    with pytest.raises(asyncio.CancelledError):
        await tokens.add(user, TokenVersion(version[0]["version"]), "DH-901")

    tokens._store = Store(scripted.client)
    await tokens.add(user, TokenVersion(version[0]["version"]), "DH-901")

    assert (await session_of(scripted, user)).reason == "token_refused"


class Away(Store):
    """Cancels whoever writes a refusal."""

    async def refuse_token(self, *_: object) -> bool:
        raise asyncio.CancelledError


async def connected_again(world: World, user: UserId) -> None:
    await world.sql(
        "update public.user_trading_keys set dhan_access_token = 'a-new-token' where user_id = $1",
        user,
    )

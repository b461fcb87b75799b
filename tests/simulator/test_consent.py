from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from yarl import URL

from schemas.units import IST
from simulator.config import RegisteredApp, SimulatedUser
from simulator.server import Simulator
from tests.simulator.factories import USER, call, running

APP = RegisteredApp("key", "secret", "http://127.0.0.1:9/back?state=7")
HEADERS = {"app_id": "key", "app_secret": "secret"}


async def consent_of(simulator: Simulator, user: SimulatedUser = USER) -> str:
    path = f"/auth/app/generate-consent?client_id={user.client_id}"
    _, body = await call(simulator, "POST", path, user=None, headers=HEADERS)
    return str(body["consentAppId"])


async def log_in(simulator: Simulator, consent: str) -> URL:
    """Where the browser is sent after the user agreed."""
    path = f"{simulator.url}/auth/login/consentApp-login?consentAppId={consent}"
    async with aiohttp.ClientSession() as session, session.post(path, allow_redirects=False) as reply:
        return URL(reply.headers["Location"])


async def consume(simulator: Simulator, token_id: str, method: str = "POST", **changed: str) -> tuple[int, Any]:
    path = f"/auth/app/consumeApp-consent?tokenId={token_id}"
    return await call(simulator, method, path, user=None, headers=HEADERS | changed)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_consent_login_and_consumption_give_a_token_of_a_day_and_kill_the_old_one(method: str) -> None:
    async with running(apps=(APP,)) as simulator:
        back = await log_in(simulator, await consent_of(simulator))
        status, body = await consume(simulator, back.query["tokenId"], method)
        fresh = SimulatedUser(USER.client_id, body["accessToken"])
        new, _ = await call(simulator, "GET", "/v2/profile", user=fresh)
        old, _ = await call(simulator, "GET", "/v2/profile")

    assert (str(back.with_query(None)), back.query["state"]) == ("http://127.0.0.1:9/back", "7")
    assert (status, body["dhanClientId"]) == (200, USER.client_id)
    life = datetime.fromisoformat(body["expiryTime"]).replace(tzinfo=IST) - datetime.now(IST)
    assert timedelta(hours=23, minutes=59) < life <= timedelta(hours=24)
    assert (new, old) == (200, 401)


async def test_a_token_id_works_once_and_only_for_its_key() -> None:
    async with running(apps=(APP, RegisteredApp("other", "s"))) as simulator:
        token_id = (await log_in(simulator, await consent_of(simulator))).query["tokenId"]
        stolen, _ = await consume(simulator, token_id, app_id="other", app_secret="s")
        guessed, _ = await consume(simulator, token_id, app_secret="guess")
        first, _ = await consume(simulator, token_id)
        second, _ = await consume(simulator, token_id)
        empty, _ = await consume(simulator, "")

    assert (stolen, guessed, first, second, empty) == (401, 401, 200, 401, 401)


async def test_a_consent_needs_a_registered_key_and_a_known_user() -> None:
    async with running(apps=(APP,)) as simulator:
        path = "/auth/app/generate-consent?client_id="
        no_key, _ = await call(simulator, "POST", path + USER.client_id, user=None)
        no_user, _ = await call(simulator, "POST", path + "1", user=None, headers=HEADERS)
        no_consent, _ = await call(simulator, "GET", "/auth/login/consentApp-login?consentAppId=1", user=None)

    assert (no_key, no_user, no_consent) == (401, 401, 400)


async def test_the_twenty_sixth_consent_of_a_day_is_refused() -> None:
    async with running(apps=(APP,)) as simulator:
        for _ in range(25):
            await consent_of(simulator)
        path = f"/auth/app/generate-consent?client_id={USER.client_id}"
        status, _ = await call(simulator, "POST", path, user=None, headers=HEADERS)

    assert status == 429

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from yarl import URL

from schemas.units import IST
from simulator.config import RegisteredApp, RegisteredPartner, SimulatedUser, SimulatorConfig
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
    async with (
        aiohttp.ClientSession() as session,
        session.post(path, allow_redirects=False) as reply,
    ):
        return URL(reply.headers["Location"])


async def consume(
    simulator: Simulator, token_id: str, method: str = "POST", **changed: str
) -> tuple[int, Any]:
    path = f"/auth/app/consumeApp-consent?tokenId={token_id}"
    return await call(simulator, method, path, user=None, headers=HEADERS | changed)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_consent_login_and_consumption_give_a_token_of_a_day_and_kill_the_old_one(
    method: str,
) -> None:
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
        no_consent, _ = await call(
            simulator, "GET", "/auth/login/consentApp-login?consentAppId=1", user=None
        )

    assert (no_key, no_user, no_consent) == (401, 401, 400)


async def test_the_twenty_sixth_consent_of_a_day_is_refused() -> None:
    async with running(apps=(APP,)) as simulator:
        for _ in range(25):
            await consent_of(simulator)
        path = f"/auth/app/generate-consent?client_id={USER.client_id}"
        status, _ = await call(simulator, "POST", path, user=None, headers=HEADERS)

    assert status == 429


async def test_a_new_indian_day_brings_new_consents() -> None:
    now = [datetime(2026, 11, 23, 23, 0, tzinfo=IST)]
    config = SimulatorConfig(users=(USER,), apps=(APP,), shares=1, consents_a_day=1)
    simulator = Simulator(config, now=lambda: now[0])
    await simulator.start()
    try:
        path = f"/auth/app/generate-consent?client_id={USER.client_id}"
        statuses = []
        for hours in (0, 0, 1):
            now[0] += timedelta(hours=hours)
            statuses.append((await call(simulator, "POST", path, user=None, headers=HEADERS))[0])
    finally:
        await simulator.stop()

    assert statuses == [200, 429, 200]


async def test_a_consented_token_cannot_be_renewed() -> None:
    async with running(apps=(APP,)) as simulator:
        back = await log_in(simulator, await consent_of(simulator))
        _, body = await consume(simulator, back.query["tokenId"])
        fresh = SimulatedUser(USER.client_id, body["accessToken"])
        headers = {"dhanClientId": USER.client_id}
        refused, _ = await call(simulator, "GET", "/v2/RenewToken", user=fresh, headers=headers)
        still, _ = await call(simulator, "GET", "/v2/profile", user=fresh)

    assert (refused, still) == (400, 200)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_partner_gets_the_token_of_whoever_logs_in(method: str) -> None:
    partner = {"partner_id": "p", "partner_secret": "s"}
    registered = RegisteredPartner("p", "s", "http://127.0.0.1:9/partner")
    async with running(partners=(registered,)) as simulator, aiohttp.ClientSession() as browser:
        _, asked = await call(
            simulator, method, "/auth/partner/generate-consent", user=None, headers=partner
        )
        login = f"{simulator.url}/auth/consent-login?consentId={asked['consentId']}"
        async with browser.get(login) as reply:
            page = await reply.text()
        async with browser.post(
            login, data={"client_id": "nobody"}, allow_redirects=False
        ) as reply:
            nobody = reply.status
        async with browser.post(
            login, data={"client_id": USER.client_id}, allow_redirects=False
        ) as reply:
            back = URL(reply.headers["Location"])
        path = f"/auth/partner/consume-consent?tokenId={back.query['tokenId']}"
        stolen, _ = await call(simulator, method, path, user=None, headers=HEADERS)
        status, body = await call(simulator, method, path, user=None, headers=partner)
        works, _ = await call(
            simulator, "GET", "/v2/profile", user=SimulatedUser(USER.client_id, body["accessToken"])
        )

    assert asked["consentStatus"] == "GENERATED"
    assert 'name="client_id"' in page
    assert (nobody, stolen, status, works) == (400, 401, 200, 200)
    assert (back.path, body["dhanClientId"]) == ("/partner", USER.client_id)


async def test_a_partner_needs_its_secret() -> None:
    async with running() as simulator:
        headers = {"partner_id": "simulated-partner", "partner_secret": "guess"}
        status, _ = await call(
            simulator, "POST", "/auth/partner/generate-consent", user=None, headers=headers
        )

    assert status == 401

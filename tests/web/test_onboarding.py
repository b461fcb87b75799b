from __future__ import annotations

import re

import httpx
import pytest

from ats.web import WEB
from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import OTHER, USER
from tests.web.conftest import APP_SECRET, Site
from tests.web.people import STATE, age_consents, cookies, somebody, stored_token, where


async def test_a_person_connects_switches_on_and_off_and_no_answer_holds_a_secret(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        never = await person.account()
        early = await person.post("/api/account/switch", json={"on": True})
        back = await person.callback_address()
        connecting = await person.account()
        states = {name: value for name, value in person.http.cookies.items() if name.startswith(STATE)}
        arrived = await person.get(back)
        connected = await person.account()
        on = await person.post("/api/account/switch", json={"on": True})
        page = await person.get("/account?notice=connected")
        token = await stored_token(supabase_stack, person)
        replayed = await person.get(back, headers={"Cookie": cookies(person, states)})
        off = await person.post("/api/account/switch", json={"on": False})
        gone = await person.post("/api/dhan/disconnect")
        after = await person.account()
        out = await person.post("/auth/sign-out")
        signed_out = await person.get("/api/account")
        again = await person.submit("/sign-in")

    assert (never["connection"], never["orders"], never["connecting"]) == (None, [], False)
    assert (early.status_code, early.json()) == (409, {"problem": "not_connected"})
    assert (connecting["connecting"], len(states)) == (True, 1)
    assert where(arrived) == "/account?notice=connected"
    assert connected["connection"]["client_id"] == USER.client_id
    assert connected["connection"]["is_trading_enabled"] is False
    assert on.json() == {"is_trading_enabled": True}
    assert "Connected as" in page.text
    assert " IST" in page.text
    assert where(replayed) == "/account?notice=consent_used"
    assert off.json() == {"is_trading_enabled": False}
    assert (gone.status_code, after["connection"]["token_expiry"]) == (200, None)
    assert (where(out), signed_out.status_code, where(again)) == ("/sign-in?notice=signed_out", 401, "/account")
    assert token
    assert await stored_token(supabase_stack, person) is None
    built = [file.read_text() for file in (WEB / ".next" / "static").rglob("*.js")]
    everything = [*person.seen, site.log.read_text(), *built]
    assert built
    assert not [text for text in everything if token in text or APP_SECRET in text]


async def test_a_callback_counts_only_in_the_session_that_asked_and_in_time(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person, somebody(site) as stranger:
        back = await person.callback_address()
        states = {name: value for name, value in person.http.cookies.items() if name.startswith(STATE)}
        (name,) = states
        tampered = await person.get(back, headers={"Cookie": cookies(person, {name: "0" * 64})})
        unbound = await person.get(back, headers={"Cookie": cookies(person, {})})
        stolen = await stranger.get(back, headers={"Cookie": cookies(stranger, states)})
        async with httpx.AsyncClient(base_url=site.url) as nobody:
            unknown = await nobody.get(back, headers={"Cookie": f"{name}={states[name]}"})
        await person.post("/auth/sign-out")
        await person.submit("/sign-in")
        later_session = await person.get(back, headers={"Cookie": cookies(person, states)})
        expiring = await person.callback_address()
        await age_consents(supabase_stack)
        late = {held: value for held, value in person.http.cookies.items() if held.startswith(STATE) and held != name}
        expired = await person.get(expiring, headers={"Cookie": cookies(person, late)})

    assert where(tampered) == where(unbound) == "/account?notice=consent_unknown"
    assert where(stolen) == "/account?notice=consent_other_user"
    assert where(unknown) == "/sign-in?notice=no_session"
    assert where(later_session) == "/account?notice=consent_other_session"
    assert where(expired) == "/account?notice=consent_expired"
    assert await stored_token(supabase_stack, person) is None
    assert await stored_token(supabase_stack, stranger) is None


async def test_another_account_a_refusal_and_a_foreign_origin_store_nothing(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        foreign = await person.post("/api/dhan/auth", "https://elsewhere.example", json={"clientId": USER.client_id})
        misshapen = await person.post("/api/dhan/auth", json={"clientId": "12ab"})
        unknown = await person.post("/api/dhan/auth", json={"clientId": "9999999999"})
        async with somebody(site) as other:
            of_other = await other.callback_address(OTHER.client_id)
        asked = await person.callback_address()
        mismatch = await person.get(of_other)
        await person.callback_address()
        refused = await person.get(asked.split("?")[0])
        for _ in range(7):
            last = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
        too_many = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})

    assert foreign.status_code == 403
    assert misshapen.json() == {"problem": "bad_client_id"}
    assert (unknown.status_code, unknown.json()) == (502, {"problem": "dhan_refused"})
    assert where(mismatch) == "/account?notice=client_mismatch"
    assert where(refused) == "/account?notice=consent_refused"
    assert (last.status_code, too_many.json()) == (200, {"problem": "too_often"})
    assert await stored_token(supabase_stack, person) is None


@pytest.mark.parametrize("page", ["/sign-in", "/sign-up"])
async def test_every_script_of_a_page_carries_the_nonce_of_its_policy(site: Site, page: str) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await http.get(page)

    policy = answer.headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    scripts = re.findall(r"<script\b[^>]*>", answer.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)

from __future__ import annotations

import re

import httpx
import pytest

from ats.commands.web import WEB
from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import USER
from tests.web.conftest import APP_SECRET, Site
from tests.web.people import somebody, states_of, stored_token, where


async def test_a_person_connects_switches_on_and_off_and_no_answer_holds_a_secret(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        never = await person.account()
        early = await person.switch(on=True)
        back = await person.callback_address()
        connecting = await person.account()
        states = states_of(person)
        arrived = await person.get(back)
        connected = await person.account()
        on = await person.switch(on=True)
        page = await person.get("/account?notice=connected")
        token = await stored_token(supabase_stack, person)
        off = await person.switch(on=False)
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
    assert off.json() == {"is_trading_enabled": False}
    assert (gone.status_code, after["connection"]["token_expiry"]) == (200, None)
    assert (where(out), signed_out.status_code, where(again)) == (
        "/sign-in?notice=signed_out",
        401,
        "/today",
    )
    assert token
    assert await stored_token(supabase_stack, person) is None
    built = [file.read_text() for file in (WEB / ".next" / "static").rglob("*.js")]
    everything = [*person.seen, site.log.read_text(), *built]
    assert built
    assert not [text for text in everything if token in text or APP_SECRET in text]


@pytest.mark.parametrize("page", ["/sign-in", "/sign-up"])
async def test_every_script_of_a_page_carries_the_nonce_of_its_policy(
    site: Site, page: str
) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await http.get(page)

    policy = answer.headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    scripts = re.findall(r"<script\b[^>]*>", answer.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert "unsafe" not in policy
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)

from __future__ import annotations

import httpx

from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import OTHER, USER
from tests.web.conftest import Site
from tests.web.front import everything_in
from tests.web.people import Person, age_consents, cookies, somebody, states_of, stored_token, where

SAID = {
    "tampered": "does not belong to a connection you started in this browser",
    "unbound": "does not belong to a connection you started in this browser",
    "odd": "does not belong to a connection you started in this browser",
    "stolen": "started by another ATS account",
    "not signed in": "You were not signed in when Dhan sent you back, so nothing was stored",
    "a later session": "started before you signed in again",
    "too late": "More than ten minutes passed",
    "refused at Dhan": "Dhan sent you back without an approval",
    "another Dhan account": "You logged in to another Dhan account than the one you named",
}


async def test_a_callback_that_answers_no_own_fresh_attempt_stores_nothing_and_says_why(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    told: dict[str, str] = {}
    async with somebody(site) as person, somebody(site) as stranger:

        async def comes_back(
            case: str, back: str, states: dict[str, str], who: Person = person
        ) -> None:
            answer = await who.get(back, headers={"Cookie": cookies(who, states)})
            told[case] = await who.told(answer)
            assert await stored_token(supabase_stack, person) is None, case
            assert await stored_token(supabase_stack, stranger) is None, case

        back = await person.callback_address()
        (name,) = held = states_of(person)
        await comes_back("tampered", back, {name: "0" * 64})
        await comes_back("unbound", back, {})
        await comes_back("odd", back, {name: "not a state"})
        await comes_back("stolen", back, held, stranger)
        async with httpx.AsyncClient(base_url=site.url) as http:
            nobody = Person(site, http)
            answer = await nobody.get(back, headers={"Cookie": f"{name}={held[name]}"})
            told["not signed in"] = await nobody.told(answer)
        await person.post("/auth/sign-out")
        await person.submit("/sign-in")
        await comes_back("a later session", back, held)

        late = await person.callback_address()
        await age_consents(supabase_stack)
        await comes_back("too late", late, states_of(person))
        refused = (await person.callback_address()).split("?")[0]
        await comes_back("refused at Dhan", refused, states_of(person))
        async with somebody(site) as other:
            of_other = await other.callback_address(OTHER.client_id)
        await person.callback_address()
        await comes_back("another Dhan account", of_other, states_of(person))

    assert told.keys() == SAID.keys()
    assert [case for case, words in SAID.items() if words not in told[case]] == []
    assert all("othing was stored" in words for words in told.values())


async def test_dhan_is_not_asked_for_a_callback_that_is_refused(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        await person.get(back, headers={"Cookie": cookies(person, {})})
        await age_consents(supabase_stack)
        await person.get(back)

    assert "consumeApp-consent" not in everything_in(site.dhan)


async def test_a_replayed_callback_leaves_the_first_connection_and_says_that_it_was_used(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        first = await person.told(await person.get(back))
        token = await stored_token(supabase_stack, person)
        replayed = await person.told(await person.get(back))
        kept = await stored_token(supabase_stack, person)
        await person.post("/api/dhan/disconnect")
        again = await person.told(await person.get(back))
        after = await stored_token(supabase_stack, person)

    assert first == "Your Dhan account is connected."
    assert replayed.startswith(again)
    assert "This login was already used" in again
    assert token
    assert (kept, after) == (token, None)


async def test_a_twenty_first_callback_in_ten_minutes_is_refused_even_when_it_is_genuine(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person, somebody(site) as calm:
        guesses = [await person.get("/api/dhan/callback?tokenId=a-guess") for _ in range(20)]
        back = await person.callback_address()
        refused = await person.told(await person.get(back))
        stored = await stored_token(supabase_stack, person)
        others = where(await calm.get(await calm.callback_address(OTHER.client_id)))
        await age_consents(supabase_stack)
        later = where(await person.get(await person.callback_address()))

    assert {where(guess) for guess in guesses} == {"/account?notice=consent_unknown"}
    assert "Too many attempts" in refused
    assert stored is None
    assert others == later == "/account?notice=connected"


async def test_an_eleventh_connect_in_ten_minutes_does_not_reach_dhan(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        asked = [
            await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
            for _ in range(11)
        ]
        await age_consents(supabase_stack)
        later = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})

    assert [answer.status_code for answer in asked] == [200] * 10 + [429]
    assert asked[-1].json() == {"problem": "too_often"}
    assert later.status_code == 200
    assert everything_in(site.dhan).count("generate-consent") == 11


async def test_a_client_id_that_is_none_or_unknown_to_dhan_begins_nothing(site: Site) -> None:
    async with somebody(site) as person:
        bodies: list[object] = [
            {"clientId": "12ab"},
            {"clientId": "123"},
            {"clientId": 1100000001},
            {},
            [],
            None,
        ]
        misshapen = [await person.post("/api/dhan/auth", json=body) for body in bodies]
        unknown = await person.post("/api/dhan/auth", json={"clientId": "9999999999"})
        account = await person.account()

    assert {(one.status_code, one.json()["problem"]) for one in misshapen} == {
        (400, "bad_client_id")
    }
    assert (unknown.status_code, unknown.json()) == (502, {"problem": "dhan_refused"})
    assert account["connecting"] is False


POSTS = (
    *("/api/dhan/auth", "/api/dhan/disconnect", "/api/account/switch"),
    *("/auth/sign-in", "/auth/sign-up", "/auth/link", "/auth/sign-out"),
)


async def test_no_request_that_changes_state_is_taken_from_a_foreign_origin(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        await person.get(await person.callback_address())
        token = await stored_token(supabase_stack, person)
        await person.switch(on=True)
        foreign: tuple[dict[str, str], ...] = (
            {},
            {"Origin": "null"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": f"{site.url}.elsewhere.example"},
            {"Origin": site.url.replace("http://", "https://")},
        )
        body = {"clientId": USER.client_id, "on": False}
        answers = [
            await person.http.post(path, headers=origin, json=body)
            for path in POSTS
            for origin in foreign
        ]
        after = await person.account()

    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].text.startswith(f"This request did not come from {site.url}.")
    assert after["connection"]["is_trading_enabled"] is True
    assert await stored_token(supabase_stack, person) == token


async def test_a_second_user_of_a_dhan_account_is_turned_away_and_the_first_is_told(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as first, somebody(site) as second:
        await first.get(await first.callback_address())
        turned_away = where(await second.get(await second.callback_address()))
        stored = await stored_token(supabase_stack, second)
        shown = (await second.get(turned_away)).text
        told = (await first.get("/account")).text

    assert turned_away == "/account?notice=account_taken"
    assert stored is None
    assert "connected to another user here" in shown
    assert "Somebody else tried to connect your Dhan account" in told

from __future__ import annotations

from typing import Any

import httpx

from tests.database.fixtures import SupabaseStack
from tests.web.conftest import Site
from tests.web.people import Person, somebody, where


async def mails(stack: SupabaseStack, person: Person) -> list[str]:
    """The links mailed to a person, oldest first."""
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.secret_key}) as http:
        sent: list[dict[str, Any]] = (
            (await http.get("/auth/v1/admin/mails")).raise_for_status().json()
        )
    return [str(mail["link"]) for mail in sent if mail["to"] == person.email]


async def confirm_address(link: str) -> str:
    """Where Auth sends a browser that follows the link."""
    async with httpx.AsyncClient() as http:
        return str((await http.get(link)).headers["Location"])


async def test_a_mailed_link_signs_in_the_browser_that_asked_for_it_once(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person, httpx.AsyncClient(base_url=site.url) as elsewhere:
        await person.post("/auth/sign-out")
        asked = await person.told(await person.post("/auth/link", data={"email": person.email}))
        (link,) = await mails(supabase_stack, person)
        back = await confirm_address(link)
        thief = Person(site, elsewhere)
        stolen = await thief.told(await thief.get(back))
        thief_in = await thief.get("/api/account")
        arrived = await person.get(back)
        account = await person.get("/account")
        again = await person.told(await person.get(back))

    assert "a link is on its way" in asked
    assert back.startswith(f"{site.url}/auth/confirm?code=")
    assert "opened in another browser" in stolen
    assert thief_in.status_code == 401
    assert where(arrived) == "/today"
    assert person.email in account.text
    assert "This link was used" in again


async def test_a_stranger_gets_the_same_words_and_no_mail(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        known = await person.told(await person.post("/auth/link", data={"email": person.email}))
        person.email = "nobody-has-this@example.test"
        unknown = await person.told(await person.post("/auth/link", data={"email": person.email}))
        odd = await person.told(await person.post("/auth/link", data={"email": "no address"}))

    assert unknown == known
    assert await mails(supabase_stack, person) == []
    assert odd == "This is not an email address."


async def test_a_confirmation_without_a_code_or_with_a_made_up_one_signs_nobody_in(
    site: Site,
) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        person = Person(site, http)
        told = [
            await person.told(await person.get(f"/auth/confirm{query}"))
            for query in (
                "",
                "?code=",
                "?code=made-up",
                "?error=access_denied&error_code=otp_expired",
            )
        ]
        account = await person.get("/api/account")

    assert len(set(told)) == 1
    assert "Ask for a new one, or use your password" in told[0]
    assert account.status_code == 401


async def test_a_silent_auth_server_is_named_at_every_door_and_signing_out_still_works(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        await person.post("/auth/link", data={"email": person.email})
        back = await confirm_address((await mails(supabase_stack, person))[-1])
        site.database.away = True
        told = {
            "sign in": await person.told(await person.submit("/sign-in")),
            "sign up": await person.told(await person.submit("/sign-up")),
            "link": await person.told(
                await person.post("/auth/link", data={"email": person.email})
            ),
            "confirm": await person.told(await person.get(back)),
        }
        left = await person.told(await person.post("/auth/sign-out"))
        site.database.away = False
        after = await person.get("/api/account")

    assert {
        case for case, words in told.items() if "database does not answer" not in words
    } == set()
    assert left == "You are signed out."
    assert after.status_code == 401


async def test_what_is_wrong_with_a_sign_in_or_sign_up_is_said(site: Site) -> None:
    async with somebody(site) as person:
        taken = await person.told(await person.submit("/sign-up"))
        wrong = {"email": person.email, "password": "not the password"}
        refused = await person.told(await person.post("/auth/sign-in", data=wrong))
        weak = {"email": f"x{person.email}", "password": "abc"}
        too_weak = await person.told(await person.post("/auth/sign-up", data=weak))

    assert taken == "This address has an account. Sign in instead."
    assert refused == "Email or password is not right."
    assert "too easy to guess" in too_weak

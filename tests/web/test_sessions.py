from __future__ import annotations

import base64
import json
import time
from typing import Any

from tests.web.conftest import Site
from tests.web.people import Person, somebody

MARK = "base64-"
PATHS = ["/api/account", "/account"]  # without the proxy before it, and with it
NO_SESSIONS = ["", "nonsense", "base64-", "base64-bm8", "base64-e30", "base64-bnVsbA"]


def session_of(person: Person) -> Any:
    (held,) = [value for name, value in person.http.cookies.items() if name.endswith("-auth-token")]
    encoded = held.removeprefix(MARK)
    return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))


def with_cookie(person: Person, value: str) -> dict[str, str]:
    (name,) = [name for name in person.http.cookies if name.endswith("-auth-token")]
    person.http.cookies.clear()
    return {"Cookie": f"{name}={value}"}


def encoded(session: Any) -> str:
    return MARK + base64.urlsafe_b64encode(json.dumps(session).encode()).decode().rstrip("=")


async def test_a_session_about_to_end_is_renewed_on_the_way(site: Site) -> None:
    for path in PATHS:
        async with somebody(site) as person:
            before = session_of(person)
            ending = with_cookie(person, encoded(before | {"expires_at": int(time.time()) + 60}))

            answer = await person.get(path, headers=ending)
            after = session_of(person)
            again = await person.get("/api/account")

        assert answer.status_code == 200, path
        assert after["refresh_token"] != before["refresh_token"], path
        assert after["expires_at"] > time.time() + 3_000
        assert (again.status_code, again.headers.get("Set-Cookie")) == (200, None)


async def test_a_session_in_several_cookies_is_one_session(site: Site) -> None:
    async with somebody(site) as person:
        whole = encoded(session_of(person))
        name = with_cookie(person, "")["Cookie"].rstrip("=")
        parts = {"Cookie": f"{name}.0={whole[:500]}; {name}.1={whole[500:]}"}
        answer = await person.get("/api/account", headers=parts)

    assert (answer.status_code, answer.json()["orders"]) == (200, [])


async def test_a_token_that_nobody_signed_reads_nothing(site: Site) -> None:
    async with somebody(site) as person:
        session = session_of(person)
        head, claims, signature = session["access_token"].split(".")
        forged = session | {"access_token": f"{head}.{claims}.{signature[::-1]}"}
        answer = await person.get("/api/account", headers=with_cookie(person, encoded(forged)))

    assert (answer.status_code, answer.json()) == (401, {"problem": "session_ended"})


async def test_a_cookie_that_is_no_session_is_nobody(site: Site) -> None:
    async with somebody(site) as person:
        name = with_cookie(person, "")["Cookie"].rstrip("=")
        answers = [
            await person.get("/api/account", headers={"Cookie": f"{name}={value}"})
            for value in NO_SESSIONS
        ]

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (401, {"problem": "session_ended"})
    ] * len(NO_SESSIONS)


async def test_what_the_database_says_of_an_account_is_kept_nowhere_on_the_way(site: Site) -> None:
    async with somebody(site) as person:
        answer = await person.get("/api/account")

    assert {"private", "no-store"} <= set(answer.headers["Cache-Control"].split(", "))
    assert answer.headers["Content-Type"] == "application/json"

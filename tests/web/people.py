"""People with a browser of few words: forms, cookies and redirects, without scripts."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import asyncpg
import httpx

from tests.database.fixtures import PASSWORD, SupabaseStack
from tests.simulator.factories import USER
from tests.web.conftest import Site

STATE = "ats-dhan-"  # the cookies of attempts to connect


class Person:
    """Somebody with a browser: keeps cookies, names their origin, and remembers every answer of
    ours.
    """

    def __init__(self, site: Site, http: httpx.AsyncClient) -> None:
        self.site, self.http, self.seen = site, http, list[str]()
        self.email = f"{uuid4().hex}@example.test"

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return self._remembered(await self.http.get(path, **options))

    async def post(self, path: str, origin: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Origin": origin or self.site.url}
        return self._remembered(await self.http.post(path, headers=headers, **options))

    def _remembered(self, answer: httpx.Response) -> httpx.Response:
        self.seen.append(f"{answer.headers.multi_items()} {answer.text}")
        return answer

    async def sign_up(self) -> None:
        assert where(await self.submit("/sign-up")) == "/account"

    async def submit(self, page: str) -> httpx.Response:
        shown = (await self.get(page)).text
        action = re.findall(r'<form[^>]* action="([^"]+)"', shown)[0]
        return await self.post(action, data={"email": self.email, "password": PASSWORD})

    async def callback_address(self, client_id: str = USER.client_id) -> str:
        """Ask to connect, follow Dhan's login, and stop where Dhan sends the browser back to."""
        asked = await self.post("/api/dhan/auth", json={"clientId": client_id})
        assert asked.status_code == 200, asked.text
        async with httpx.AsyncClient() as dhan:
            login = str(asked.json()["loginUrl"])
            page = await dhan.get(login)
            form = re.search(r'<form method="post"(?: action="([^"]*)")?>', page.text)
            assert form is not None
            back = await dhan.post(urljoin(login, html.unescape(form[1])) if form[1] else login)
        return str(back.headers["Location"])

    async def switch(self, *, on: bool) -> httpx.Response:
        """As the page does it: turning on sends the mode and limits that it showed."""
        terms = (await self.account())["platform"] if on else None
        return await self.post("/api/account/switch", json={"on": on, "terms": terms})

    async def told(self, answer: httpx.Response) -> str:
        """What a person reads on the page that `answer` leads to."""
        page = await self.get(where(answer))
        notice = re.search(r'class="notice (?:bad|good|plain)">([^<]+)<', page.text)
        assert notice is not None, where(answer)
        return html.unescape(notice[1])

    async def account(self) -> Any:
        answer = await self.get("/api/account")
        return answer.json()


@asynccontextmanager
async def somebody(site: Site) -> AsyncIterator[Person]:
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as http:
        person = Person(site, http)
        await person.sign_up()
        yield person


def where(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].removeprefix(
        str(answer.url.copy_with(path="/", query=None)).rstrip("/")
    )


async def stored_token(stack: SupabaseStack, person: Person) -> str | None:
    connection = await asyncpg.connect(stack.dsn)
    query = (
        "select dhan_access_token from user_trading_keys k join auth.users u on u.id = "
        "k.user_id where lower(u.email) = $1"
    )
    token: str | None = await connection.fetchval(query, person.email)
    await connection.close()
    return token


def states_of(person: Person) -> dict[str, str]:
    """What the attempts to connect left in the browser."""
    return {name: value for name, value in person.http.cookies.items() if name.startswith(STATE)}


def cookies(person: Person, more: dict[str, str]) -> str:
    held = {
        name: value for name, value in person.http.cookies.items() if not name.startswith(STATE)
    } | more
    return "; ".join(f"{name}={value}" for name, value in held.items())


async def age_consents(stack: SupabaseStack) -> None:
    """Ten minutes pass."""
    connection = await asyncpg.connect(stack.dsn)
    await connection.execute(
        "update private.dhan_consents set asked_at = asked_at - interval '10 minutes'"
    )
    await connection.execute("update private.dhan_callbacks set at = at - interval '10 minutes'")
    await connection.close()

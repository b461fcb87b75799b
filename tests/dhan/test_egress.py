"""No request of an account leaves from another's address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx
import pytest
from aiohttp import WSMsgType, web
from hypothesis import given, settings
from hypothesis import strategies as st

from dhan.egress import Egress
from dhan.order_updates import OrderUpdates, UpdatesUrl
from dhan.orders import OrderClient
from dhan.outcomes import NotSent, Unknown
from dhan.profile import account_of
from dhan.static_ip import seen_address
from dhan.transport import BaseUrl, Credentials, OrderUrl, open_client
from executors.modes import AccountOrders
from executors.orders.reading import AccountClients
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId
from tests.dhan.factories import an_order, credentials

MEMBERS: Final = {DhanClientId(f"110000000{n}"): f"127.0.0.{n + 1}" for n in (1, 2, 3)}
FAMILY: Final = Egress(MEMBERS, named_only=True)
STRANGER: Final = DhanClientId("1100000009")
ORDER: Final = an_order()


@dataclass
class Wire:
    """A server that notes from where each account was heard; None: it named none."""

    port: int = 0
    heard: list[tuple[str | None, str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        account = request.headers.get("client-id")
        self.heard.append((account, str(request.remote), f"{request.method} {request.path}"))
        return web.json_response({"errorCode": "DH-905", "errorMessage": "no"}, status=400)

    async def updates(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        login = json.loads((await socket.receive()).data)["LoginReq"]
        self.heard.append((login["ClientId"], str(request.remote), "updates"))
        async for message in socket:
            if message.type is not WSMsgType.PING:
                break
        return socket


@asynccontextmanager
async def a_wire() -> AsyncIterator[Wire]:
    wire = Wire()
    app = web.Application()
    app.router.add_get("/orderupdate", wire.updates)
    app.router.add_route("*", "/{path:.*}", wire.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    wire.port = runner.addresses[0][1]
    try:
        yield wire
    finally:
        await runner.cleanup()


def of(account: DhanClientId) -> Credentials:
    return Credentials(account, credentials().access_token)


Call = Callable[[httpx.AsyncClient, OrderUrl, Credentials], Awaitable[object]]


async def an_update(http: httpx.AsyncClient, url: OrderUrl, whose: Credentials) -> None:
    """Listen until the login has arrived."""
    connected = asyncio.Event()

    async def token() -> Credentials:
        return whose

    address = UpdatesUrl.parse(url.url.replace("http", "ws").replace("/v2", "/orderupdate"))
    updates = OrderUpdates(address, token, connected.set, Random(1), egress=FAMILY)

    async def listen() -> None:
        async with aclosing(updates.observe()) as stream:
            async for _ in stream:
                pass

    listening = asyncio.create_task(listen())
    try:
        await connected.wait()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


CALLS: Final[dict[str, Call]] = {
    "order": lambda *where: AccountOrders(*where).place(ORDER),
    "lookup": lambda *where: OrderClient(*where).find(ORDER.correlation_id),
    "book": lambda *where: OrderClient(*where).orders_of_the_day(),
    "exit": lambda *where: AccountClients.open(*where).orders.place(ORDER),
    "kill": lambda *where: AccountClients.open(*where).control.activate_kill_switch(),
    "positions": lambda *where: AccountClients.open(*where).portfolio.positions(),
    "profile": account_of,
    "getIP": seen_address,
    "updates": an_update,
}


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([*MEMBERS]), st.sampled_from([*CALLS])),
            min_size=2,
            max_size=8,
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=15, deadline=None)
def test_no_request_of_an_account_ever_leaves_from_anothers_address(
    rounds: list[list[tuple[DhanClientId, str]]],
) -> None:
    async def run() -> list[tuple[str | None, str, str]]:
        async with a_wire() as wire, open_client(leaves_machine=False, egress=FAMILY) as http:
            url = OrderUrl.parse(wire.url)
            for calls in rounds:  # each round side by side; the next reuses its connections
                await asyncio.gather(*(CALLS[call](http, url, of(who)) for who, call in calls))
            return wire.heard

    heard = asyncio.run(run())

    assert len(heard) >= sum(map(len, rounds))  # a lookup may ask twice
    assert {(account, peer) for account, peer, _ in heard} <= set(MEMBERS.items())


async def test_an_account_without_an_address_reaches_nobody_where_all_must_have_one() -> None:
    async with a_wire() as wire, open_client(leaves_machine=False, egress=FAMILY) as http:
        url = OrderUrl.parse(wire.url)
        placed = await AccountOrders(http, url, of(STRANGER)).place(ORDER)
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{wire.url}/fundlimit")  # it names no account at all

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(an_update(http, url, of(STRANGER)), 0.1)

    assert isinstance(placed, NotSent)
    assert placed.code == "no_source_address"
    assert wire.heard == []


async def test_an_address_that_this_machine_lacks_sends_nothing_from_another() -> None:
    elsewhere = Egress({STRANGER: "203.0.113.7"}, named_only=True)
    async with a_wire() as wire, open_client(leaves_machine=False, egress=elsewhere) as http:
        answer = await account_of(http, BaseUrl.parse(wire.url), of(STRANGER))

    assert elsewhere.absent() == ["203.0.113.7"]
    assert FAMILY.absent() == []
    assert wire.heard == []
    assert answer == Unknown("connect_error")


async def test_with_source_addresses_too_paper_money_stays_on_the_machine() -> None:
    async with open_client(leaves_machine=False, egress=Egress(MEMBERS)) as http:
        with pytest.raises(httpx.ConnectError, match="not an address of this machine"):
            await http.get("http://192.0.2.1/", headers={"client-id": next(iter(MEMBERS))})


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (["1100000001"], "Dhan client id and address"),
        (["=127.0.0.2"], "Dhan client id and address"),
        (["11 00=127.0.0.2"], "Dhan client id and address"),
        (["1100000001=example.com"], "no IP address"),
        (["1100000001=0.0.0.0"], "nothing can leave"),
        (["1100000001=127.0.0.2", "1100000001=127.0.0.3"], "twice"),
        (["1100000001=::1", "1100000002=0:0:0:0:0:0:0:1"], "two accounts"),
        ([f"11{n}=127.0.1.{n}" for n in range(65)], "more than 64"),
    ],
)
def test_what_is_no_account_and_address_of_its_own_is_refused(entries: list[str], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        Egress.parse(entries)


def test_accounts_without_an_address_are_admitted_unless_all_must_have_one() -> None:
    named = Egress.parse(["1100000001=127.0.0.2"])

    assert named.source(DhanClientId("1100000001")) == "127.0.0.2"
    assert (named.admits(STRANGER), named.source(STRANGER)) == (True, None)
    assert (FAMILY.admits(STRANGER), FAMILY.admits(None)) == (False, False)

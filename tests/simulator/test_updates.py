"""Order updates and postbacks: what a client hears of its orders, in which words, and what faults
make of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from dhanhq import DhanContext, OrderUpdate

from simulator.config import Casing, SimulatedUser
from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from simulator.streaming.update_messages import alert
from tests.simulator.factories import OTHER, USER, an_order, call, running, until
from tests.simulator.wire import FIN, RST, wire

PATH = "/orderupdate"
GENEROUS, FAR = 1650.0, 1300.0  # a buyer at once, and one who waits


def login(user: SimulatedUser = USER, **changed: Any) -> dict[str, Any]:
    asked = {"MsgCode": 42, "ClientId": user.client_id, "Token": user.token} | changed
    return {"LoginReq": asked, "UserType": "SELF"}


class Listener:
    """A client of order updates."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def heard(self, count: int) -> list[dict[str, Any]]:
        """The next alerts, with keys in lower case."""
        alerts = [await self.socket.receive_json(timeout=5) for _ in range(count)]
        assert all(alert["Type"] == "order_alert" for alert in alerts)
        return [{key.lower(): value for key, value in alert["Data"].items()} for alert in alerts]


@asynccontextmanager
async def listener(
    simulator: Simulator, message: dict[str, Any] | None = None
) -> AsyncIterator[Listener]:
    before = simulator.streams.updates.listeners
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(simulator.url + PATH) as socket,
    ):
        await socket.send_json(message or login())
        await until(lambda: simulator.streams.updates.listeners > before)
        yield Listener(socket)


async def place(simulator: Simulator, **changed: Any) -> str:
    status, reply = await call(simulator, "POST", "/v2/orders", json=an_order(**changed))
    assert status == 200, reply
    return str(reply["orderId"])


async def opened(simulator: Simulator) -> None:
    """The market has printed, so orders can trade."""
    simulator.exchange.pause()
    await simulator.exchange.step(120)


async def test_every_change_of_an_order_is_told_in_order_to_its_user_alone() -> None:
    async with (
        running() as simulator,
        listener(simulator) as mine,
        listener(simulator, login(OTHER)) as other,
    ):
        await opened(simulator)
        resting = await place(simulator, price=FAR)
        await call(simulator, "DELETE", f"/v2/orders/{resting}")
        traded = await place(simulator, price=GENEROUS, quantity=5)
        await call(
            simulator, "POST", "/v2/orders", json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )
        story: list[tuple[str, str]] = []
        while not story or story[-1][1] != "Traded":
            (alert,) = await mine.heard(1)
            story.append((alert["orderno"], alert["status"]))
        (others,) = await other.heard(1)

    assert [status for order, status in story if order == resting][-2:] == ["Pending", "Cancelled"]
    assert story[-1] == (traded, "Traded")
    assert others["clientid"] == OTHER.client_id


async def test_nothing_is_told_again_after_a_reconnect() -> None:
    async with running() as simulator:
        async with listener(simulator) as first:
            await opened(simulator)
            early = await place(simulator, price=FAR)
            await first.heard(1)
        await until(lambda: simulator.streams.updates.listeners == 0)
        missed = await place(simulator, price=FAR, correlationId="AT0002")
        async with listener(simulator) as again:
            late = await place(simulator, price=FAR, correlationId="AT0003")
            (alert,) = await again.heard(1)

    assert alert["orderno"] == late not in (early, missed)


@pytest.mark.parametrize(
    ("casing", "number", "status"),
    [
        (Casing.CAMEL, "orderNo", "Pending"),
        (Casing.PASCAL, "OrderNo", "PENDING"),
        (Casing.MIXED, "OrderNo", "Pending"),
    ],
)
async def test_keys_come_in_the_casing_asked_for(casing: Casing, number: str, status: str) -> None:
    async with running(update_keys=casing) as simulator, listener(simulator) as mine:
        await opened(simulator)
        order = await place(simulator, price=FAR)
        data: dict[str, Any] = {}
        while {key.lower(): value for key, value in data.items()}.get(
            "status", ""
        ).upper() != "PENDING":
            data = (await mine.socket.receive_json(timeout=5))["Data"]

    assert data[number] == order
    assert data["status" if "status" in data else "Status"] == status
    lower = sum(key[0].islower() for key in data)
    assert {
        Casing.CAMEL: lower == len(data),
        Casing.PASCAL: lower == 0,
        Casing.MIXED: 0 < lower < len(data),
    }[casing]
    assert len({key.lower() for key in data}) == len(data) == 46


async def test_a_partner_hears_every_account() -> None:
    asked = {"LoginReq": {"MsgCode": 42, "ClientId": "simulated-partner"}, "UserType": "PARTNER"}
    async with (
        running() as simulator,
        listener(simulator, asked | {"Secret": "simulated-secret"}) as partner,
    ):
        await opened(simulator)
        await place(simulator, price=FAR)
        await call(
            simulator, "POST", "/v2/orders", json=an_order(dhanClientId=OTHER.client_id), user=OTHER
        )
        seen: set[str] = set()
        while len(seen) < 2:
            (alert,) = await partner.heard(1)
            seen.add(alert["clientid"])

    assert seen == {USER.client_id, OTHER.client_id}


@pytest.mark.parametrize(
    "message",
    [
        login(Token="stale"),
        login(OTHER, Token=USER.token),
        login(MsgCode=41),
        {
            "LoginReq": {"MsgCode": 42, "ClientId": "simulated-partner"},
            "UserType": "PARTNER",
            "Secret": "wrong",
        },
        {},
    ],
)
async def test_a_bad_login_is_reset_without_a_word(message: dict[str, Any]) -> None:
    async with running() as simulator, wire(simulator, PATH) as client:
        await client.send(message)

        assert await client.everything() == [RST]


async def test_the_login_may_be_acknowledged_with_another_type_of_message() -> None:
    async with running(acknowledge_login=True) as simulator, listener(simulator) as mine:
        assert (await mine.socket.receive_json(timeout=5))["Type"] == "login"


async def test_faults_double_swap_lose_and_garble_updates_and_end_their_connection() -> None:
    def fault(kind: FaultKind, after: int, **more: Any) -> Fault:
        return Fault(kind, endpoint=PATH, after=after, **more)

    faults = (
        fault(FaultKind.DUPLICATE, 0),
        fault(FaultKind.OUT_OF_ORDER, 1),
        fault(FaultKind.LOSE, 3),
        fault(FaultKind.TRUNCATE, 4, cut=20),
        fault(FaultKind.STRANGE_PACKET, 5, code=7),
        fault(FaultKind.CLOSE, 6, code=1006),
    )
    async with running(faults=faults) as simulator, wire(simulator, PATH) as client:
        await client.send(login())
        await until(lambda: simulator.streams.updates.listeners == 1)
        updates = simulator.streams.updates
        book = simulator.exchange.book
        changes: list[Any] = []
        book.on_change(changes.append)
        await opened(simulator)
        for number in range(4):
            order = await place(simulator, price=FAR, correlationId=f"AT{number}")
            await call(simulator, "DELETE", f"/v2/orders/{order}")
        texts = [
            frame if isinstance(frame, str) else frame[1].decode()
            for frame in await client.everything()
        ]
        assert updates.listeners == 0

    told = [alert(change, Casing.CAMEL) for change in changes]
    garbled = told[4][:-20]
    strange = '{"Type":"unknown_7","Data":{}}'
    assert texts == [told[0], told[0], told[2], told[1], garbled, strange, told[5], FIN]


async def test_orderupdate_of_the_sdk_hears_alerts(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Any] = []

    def listen(simulator: Simulator) -> None:
        client = OrderUpdate(DhanContext(USER.client_id, USER.token))
        client.order_feed_wss = simulator.url.replace("http", "ws") + PATH
        client.on_update = heard.append
        client.connect_to_dhan_websocket_sync()

    async with running() as simulator:
        thread = threading.Thread(target=listen, args=(simulator,), daemon=True)
        thread.start()
        await until(lambda: simulator.streams.updates.listeners == 1)
        await opened(simulator)
        order = await place(simulator, price=GENEROUS)
        await until(lambda: bool(heard) and heard[-1]["Data"]["status"] == "Traded")
    await asyncio.to_thread(thread.join, 10)

    assert heard[-1]["Data"]["orderNo"] == order
    assert heard[-1]["Data"]["tradedQty"] == 10
    assert not thread.is_alive()
    capsys.readouterr()  # the SDK prints the token on every connect


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A user's own web server, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", posted
    finally:
        await runner.cleanup()


async def test_every_change_is_posted_to_the_users_url_with_its_odd_field_name() -> None:
    async with receiver() as (url, posted), running(users=()) as simulator:
        user = {"client_id": USER.client_id, "token": USER.token, "postback_url": url}
        assert (await call(simulator, "POST", "/control/users", json=user))[0] == 201
        refused, _ = await call(
            simulator, "POST", "/control/users", json=user | {"postback_url": "file:///x"}
        )
        await opened(simulator)
        order = await place(simulator, price=GENEROUS)
        await until(lambda: bool(posted) and posted[-1]["orderStatus"] == "TRADED")
        _, (book,) = await call(simulator, "GET", f"/v2/orders/{order}")

    body = posted[-1]
    assert refused == 400
    assert body.pop("filled_qty") == book.pop("filledQty") == 10
    assert body == book


async def test_postbacks_come_twice_or_never_or_in_wrong_order_and_a_dead_one_hurts_nobody() -> (
    None
):
    faults = tuple(
        Fault(kind, endpoint="/postback", after=after)
        for after, kind in enumerate((FaultKind.DUPLICATE, FaultKind.LOSE, FaultKind.OUT_OF_ORDER))
    )
    async with receiver() as (url, posted):
        users = (
            SimulatedUser(USER.client_id, USER.token, postback_url=url),
            SimulatedUser(OTHER.client_id, OTHER.token, postback_url="http://127.0.0.1:9/closed"),
        )
        async with running(users=users, faults=()) as simulator:
            changes: list[Any] = []
            simulator.exchange.book.on_change(changes.append)
            await opened(simulator)
            body = an_order(dhanClientId=OTHER.client_id, price=FAR)
            await call(simulator, "POST", "/v2/orders", json=body, user=OTHER)
            simulator.faults.add(*(fault for fault in faults))
            changes.clear()
            orders = [
                await place(simulator, price=FAR, correlationId=f"AT{number}")
                for number in range(4)
            ]
            await until(lambda: len(posted) >= len(changes))

    ids = [change.order_id for change in changes]
    assert set(ids) == set(orders)
    assert [one["orderId"] for one in posted[:4]] == [ids[0], ids[0], ids[3], ids[2]]

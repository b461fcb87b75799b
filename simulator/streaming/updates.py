"""The order-update WebSocket.

A client logs in by message, then gets every change of its account's orders as it happens, once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from simulator.accounts import Accounts
from simulator.config import Casing, RegisteredPartner
from simulator.matching.order import OrderSnapshot
from simulator.streaming.connection import Connection, Endpoint, Frame, Surroundings, Tap
from simulator.streaming.delivery import FaultySender, StreamFormat, TextMessages
from simulator.streaming.update_messages import alert

ENDPOINT: Final = "/orderupdate"
LOGIN: Final = 42  # MsgCode
# seconds until the reset, as observed: the login itself is not refused
BAD_TOKEN_AFTER: Final = 0.01

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """See `SimulatorConfig`."""

    casing: Casing
    acknowledge: bool


class UpdateConnection(Connection):
    """A client of order updates.

    Attributes:
        logged_in: From its login on it hears what happens, not before.
        all_users: A partner hears every account.
        waiting: Messages it has not been sent yet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logged_in = False
        self.all_users = False
        self.waiting: deque[str] = deque()
        self.something = asyncio.Event()

    def concerns(self, client_id: str) -> bool:
        """Whether this client is told of the orders of `client_id`."""
        return self.logged_in and (self.all_users or self.client_id == client_id)


class Updates:
    """All order-update connections of one simulator."""

    def __init__(
        self,
        accounts: Accounts,
        partners: Iterable[RegisteredPartner],
        options: UpdateOptions,
        around: Surroundings,
    ) -> None:
        self._accounts = accounts
        self._partners = {partner.partner_id: partner.partner_secret for partner in partners}
        self._options = options
        self._endpoint = Endpoint(ENDPOINT, around, make=UpdateConnection, too_many=None)
        self._delivery = FaultySender(ENDPOINT, around.faults, _WORDING)

    @property
    def listeners(self) -> int:
        """Connections that have logged in."""
        return sum(connection.logged_in for connection in self._endpoint.inside)

    def listen_in(self, tap: Tap | None) -> None:
        """Let `tap` be told every message put on the wire, with its connection's number."""
        self._endpoint.tap = tap

    def tell(self, order: OrderSnapshot) -> None:
        """An order changed; whoever is logged in now will hear of it, in the order of the calls."""
        listening = [one for one in self._endpoint.inside if one.concerns(order.request.client_id)]
        if not listening:
            return
        message = alert(order, self._options.casing)
        for connection in listening:
            connection.waiting.append(message)
            connection.something.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle an upgrade. Nobody is known before the login message."""
        connection = await self._endpoint.upgrade(request, "")
        if not isinstance(connection, UpdateConnection):
            return connection
        sender = asyncio.create_task(self._send(connection), name="order updates")
        try:
            await self._endpoint.stay(connection, self._on_text)
        finally:
            sender.cancel()
        return connection.response

    async def close(self) -> None:
        """Close every connection in order."""
        await self._endpoint.close()

    async def _send(self, connection: UpdateConnection) -> None:
        while True:
            await connection.something.wait()
            connection.something.clear()
            messages = list(connection.waiting)
            connection.waiting.clear()
            await self._delivery.deliver(connection, TextMessages(messages))

    async def _on_text(self, connection: UpdateConnection, text: str) -> None:
        if connection.logged_in:
            return  # nothing else is documented for clients to say
        if not self._login(connection, _object(text)):
            log.info("updates.refused", number=connection.number)
            await asyncio.sleep(BAD_TOKEN_AFTER)
            connection.reset()
            return
        if self._options.acknowledge:
            await connection.send(
                orjson.dumps({"Type": "login", "Data": {"status": "success"}}).decode()
            )
        connection.logged_in = True

    def _login(self, connection: UpdateConnection, message: Mapping[str, Any]) -> bool:
        asked = message.get("LoginReq")
        if not isinstance(asked, dict) or asked.get("MsgCode") != LOGIN:
            return False
        client_id = str(asked.get("ClientId", ""))
        if message.get("UserType") == "PARTNER":
            connection.all_users = client_id in self._partners and self._partners[
                client_id
            ] == message.get("Secret")
            return connection.all_users
        connection.client_id = client_id
        token = str(asked.get("Token", ""))
        return (
            message.get("UserType") == "SELF"
            and self._accounts.holder(token, client_id, ENDPOINT) is not None
        )


def _object(text: str) -> dict[str, Any]:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _name(frame: Frame) -> str:
    fields = {key.lower(): value for key, value in orjson.loads(frame)["Data"].items()}
    return f"update of {fields['orderno']}: {fields['status']}"


def _strange(code: int) -> Frame:
    return orjson.dumps({"Type": f"unknown_{code}", "Data": {}}).decode()


_WORDING: Final = StreamFormat(_name, lambda _: None, _strange)

"""Postbacks: an HTTP POST of the order to the user's URL after every change.

Unsigned, never repeated, as far as is known.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import orjson
import structlog

from simulator.accounts import Accounts
from simulator.faults import FaultKind, Faults, Place, Target
from simulator.matching.order import OrderSnapshot
from simulator.serializers import Json, snapshot_json

ENDPOINT: Final = "/postback"  # of faults; the URL is the user's own
TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)  # a receiver that takes longer has missed it

log = structlog.get_logger(__name__)


class Postbacks:
    """Sends one after the other, in the order of the changes."""

    def __init__(self, accounts: Accounts, faults: Faults) -> None:
        self._accounts = accounts
        self._faults = faults
        self._waiting: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
        self._held: list[tuple[str, Json]] = []
        self._sender: asyncio.Task[None] | None = None

    def tell(self, order: OrderSnapshot) -> None:
        """An order changed; nothing happens when its user has no URL."""
        user = self._accounts.get(order.request.client_id)
        if user is None or user.postback_url is None:
            return
        self._waiting.put_nowait((user.postback_url, postback_json(order)))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send(), name="postbacks")

    async def close(self) -> None:
        """Stop sending; what is not sent yet is lost."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])

    async def _send(self) -> None:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                for url, body in await self._after_faults(*await self._waiting.get()):
                    await self._post(session, url, body)

    async def _after_faults(self, url: str, body: Json) -> list[tuple[str, Json]]:
        """What is sent now instead of this postback.

        That is nothing, or more than one, or this one behind the next.
        """
        held, self._held = self._held, []
        thing = f"postback of {body['orderId']}: {body['orderStatus']}"
        strike = self._faults.next_hit(
            Place.STREAM, Target(body["dhanClientId"], ENDPOINT, thing=thing)
        )
        fault = strike.fault if strike else None
        if fault and fault.kind is FaultKind.OUT_OF_ORDER:
            self._held = [(url, body)]
            return held
        if fault and fault.kind is FaultKind.LAG:
            await asyncio.sleep(fault.delay)
        copies = 1
        if fault and fault.kind is FaultKind.DUPLICATE:
            copies += fault.copies
        if fault and fault.kind is FaultKind.LOSE:
            copies = 0
        return [(url, body)] * copies + held

    async def _post(self, session: aiohttp.ClientSession, url: str, body: Json) -> None:
        try:
            async with session.post(url, data=orjson.dumps(body), headers=_JSON) as reply:
                if not reply.ok:
                    log.info("postback.refused", order=body["orderId"], status=reply.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("postback.failed", order=body["orderId"], error=type(error).__name__)


def postback_json(order: OrderSnapshot) -> Json:
    """The order object; here the filled quantity is `filled_qty`."""
    body = snapshot_json(order)
    body["filled_qty"] = body.pop("filledQty")
    return body


_JSON: Final = {"Content-Type": "application/json"}

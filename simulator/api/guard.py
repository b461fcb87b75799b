"""Checks every call under `/v2`: whose token, how many may pass, from which address.

It is also where things go wrong on purpose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import orjson
from aiohttp import web

from simulator.accounts import Accounts
from simulator.api.rate_limit import RateLimit
from simulator.api.replies import refuse
from simulator.api.silences import Silences
from simulator.config import SimulatedUser
from simulator.faults import Fault, FaultKind, Faults, Place, Target
from simulator.refusals import BAD_TOKEN, SERVER_ERROR, TOO_FAST, Code, Refusal

UNKNOWN_STATUS: Final = "UNDER_REVIEW"  # no status of Dhan's, so far
_HTML_429: Final = "<html><head><title>429 Too Many Requests</title></head><body>{}</body></html>"
_AFTER_ACCEPTANCE: Final = frozenset(
    {
        FaultKind.ACCEPT_THEN_500,
        FaultKind.ACCEPT_THEN_DROP_REPLY,
        FaultKind.EMPTY_BODY,
    }
)
_DEFAULT_MESSAGE: Final = Fault(FaultKind.REJECT).message


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request.

    Attributes:
        fault: What shall go wrong inside the handler; it looks only for the kinds it knows.
    """

    request: web.Request
    user: SimulatedUser
    body: bytes
    fault: Fault | None = None

    @property
    def client_id(self) -> str:
        """Whose call this is."""
        return self.user.client_id

    def path(self, name: str) -> str:
        """The part of the path that the route calls `name`."""
        return self.request.match_info[name]


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
CallHandler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]
AddressCheck: TypeAlias = Callable[[str, str], Refusal | None]


class ApiGuard:
    """Wraps handlers.

    Orders and their changes pass `trading`, everything else of an account `reading`.
    """

    def __init__(
        self,
        accounts: Accounts,
        faults: Faults,
        *,
        orders: RateLimit,
        reads: RateLimit,
        address: AddressCheck,
        silences: Silences,
    ) -> None:
        self._accounts = accounts
        self._faults = faults
        self._orders = orders
        self._reads = reads
        self._address = address
        self._silences = silences

    def reading(self, handler: CallHandler) -> Handler:
        """Guard a handler that only reads: it counts against the reads, from any address."""

        async def read(request: web.Request) -> web.StreamResponse:
            return await self._pass(request, handler, self._reads)

        return read

    def trading(self, handler: CallHandler) -> Handler:
        """Guard a handler that trades: it counts against the orders, from registered addresses
        only.
        """

        async def trade(request: web.Request) -> web.StreamResponse:
            return await self._pass(request, handler, self._orders, from_anywhere=False)

        return trade

    async def _pass(
        self,
        request: web.Request,
        handler: CallHandler,
        rate: RateLimit,
        *,
        from_anywhere: bool = True,
    ) -> web.StreamResponse:
        token = request.headers.get("access-token", "")
        user = self._accounts.holder(token, endpoint=f"{request.method} {request.path}")
        if user is None:
            return refuse(BAD_TOKEN)
        if not rate.allows(user.client_id):
            return refuse(TOO_FAST)
        if not from_anywhere and (refusal := self._address(user.client_id, request.remote or "")):
            return refuse(refusal)
        call = Call(request, user, await request.read())
        return await answered(self._faults, call, handler, self._silences)


async def answered(
    faults: Faults, call: Call, handler: CallHandler, silences: Silences | None = None
) -> web.StreamResponse:
    """What the handler says to a call that may pass, or what a fault makes of it.

    `silences` notes which of the two it was.
    """
    request, body = call.request, call.body
    target = Target(
        call.client_id, f"{request.method} {request.path}", thing=lambda _: _name(body, request)
    )
    orders = request.method != "GET"
    strike = faults.next_hit(Place.REQUEST, target)
    if strike is None:
        reply = await handler(call)
        if silences:
            silences.answered(call.client_id, orders=orders)
        return reply
    arrived = silences.now if silences else 0.0
    try:
        return await _spoiled(replace(call, fault=strike.fault), strike.fault, handler)
    finally:
        if silences:
            silences.spoiled(call.client_id, arrived)
            if orders and strike.fault.kind is FaultKind.HTML_429:
                silences.turned_away(call.client_id, arrived)


async def _spoiled(call: Call, fault: Fault, handler: CallHandler) -> web.StreamResponse:
    """The reply as `fault` makes it; some keep the call from having its effect."""
    if fault.kind is FaultKind.HTML_429:
        text = "429 Too Many Requests" if fault.message == _DEFAULT_MESSAGE else fault.message
        return web.Response(text=_HTML_429.format(text), status=429, content_type="text/html")
    if fault.kind is FaultKind.REJECT:
        return refuse(Refusal(Code.ORDER, fault.message))
    if fault.kind is FaultKind.ERROR:
        return refuse(Refusal(Code.named(str(fault.code or Code.SERVER.value[0])), fault.message))
    return await _altered(call, fault, await handler(call))


async def _altered(call: Call, fault: Fault, reply: web.StreamResponse) -> web.StreamResponse:
    """The call had its effect; what the client hears of it is the fault's affair.

    A refusal had none: it is told as it is.
    """
    if reply.status >= HTTPStatus.BAD_REQUEST and fault.kind in _AFTER_ACCEPTANCE:
        return reply
    match fault.kind:
        case FaultKind.SLOW_REPLY:
            await asyncio.sleep(fault.delay)
        case FaultKind.ACCEPT_THEN_500:
            return refuse(SERVER_ERROR, fault.status)
        case FaultKind.ACCEPT_THEN_DROP_REPLY:
            if call.request.transport is not None:
                call.request.transport.abort()
        case FaultKind.EMPTY_BODY:
            return web.Response(status=reply.status)
        case FaultKind.SHAPE:
            return _rewritten(reply, _other_shape)
        case FaultKind.UNKNOWN_STATUS:
            status = UNKNOWN_STATUS if fault.message == _DEFAULT_MESSAGE else fault.message
            return _rewritten(reply, lambda content: _with_status(content, status))
    return reply


def _rewritten(reply: web.StreamResponse, change: Callable[[Any], Any]) -> web.StreamResponse:
    if not isinstance(reply, web.Response) or not reply.body:
        return reply
    content = orjson.loads(bytes(reply.body))  # type: ignore[arg-type]
    return web.json_response(change(content), status=reply.status)


def _other_shape(content: Any) -> Any:
    """An object becomes a list of one; a list of one its element."""
    if isinstance(content, list):
        return content[0] if len(content) == 1 else content
    return [content]


def _with_status(content: Any, status: str) -> Any:
    if isinstance(content, list):
        return [_with_status(row, status) for row in content]
    if isinstance(content, dict) and "orderStatus" in content:
        return content | {"orderStatus": status}
    return content


def _name(body: bytes, request: web.Request) -> str:
    """What the journal calls this request: its correlation id, else the last part of its path."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    named = content.get("correlationId") if isinstance(content, dict) else None
    return str(named or request.path.rsplit("/", 1)[-1])

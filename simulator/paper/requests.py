"""A request as a handler sees it, be it live or read from the journal; and whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

import jwt
from aiohttp import web

from simulator.accounts import Accounts
from simulator.api.guard import ApiGuard, Call, CallHandler, Handler
from simulator.config import SimulatedUser

_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(frozen=True, slots=True)
class PaperRequest:
    """One request that is allowed.

    Holds no token: whatever opened the account is forgotten here.

    Attributes:
        route: Method and path pattern, such as `PUT /v2/orders/{order_id}`.
        match_info: The parts of the path that the pattern names.
    """

    client_id: str
    route: str
    match_info: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    remote: str | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """None that a handler could need: the wishes of the kill switch come in the query."""
        return {}

    def call(self) -> Call:
        """The request as the simulator's handlers take it."""
        request = cast(web.Request, self)
        return Call(request, SimulatedUser(self.client_id, token=""), self.body)


class Route(NamedTuple):
    """A handler and the requests it is for."""

    name: str
    path: re.Pattern[str]
    handler: CallHandler
    trades: bool

    def __repr__(self) -> str:
        return self.name


class RouteTable(ApiGuard):
    """Takes the handlers of the simulator's endpoints, and finds the one for a request.

    The simulator's guard asks whose token it is. Here nobody's is asked: no account but a paper one
    can be reached.
    """

    def __init__(self) -> None:
        self._handlers: dict[Handler, tuple[CallHandler, bool]] = {}
        self._routes: list[tuple[str, Route]] = []

    def reading(self, handler: CallHandler) -> Handler:
        """A handler that only reads."""
        return self._keep(handler, trades=False)

    def trading(self, handler: CallHandler) -> Handler:
        """A handler that changes something."""
        return self._keep(handler, trades=True)

    def add(self, definitions: list[web.RouteDef]) -> None:
        """Take an endpoint's routes; a pattern matches one part of a path."""
        for definition in definitions:
            handler, trades = self._handlers[cast(Handler, definition.handler)]
            parts = re.split(r"\{(\w+)\}", definition.path)
            pattern = "".join(
                f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)
            )
            name = f"{definition.method} {definition.path}"
            route = Route(name, re.compile(pattern), handler, trades)
            self._routes.append((definition.method, route))

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of a request and what its pattern found, or None."""
        for allowed, route in self._routes:
            if allowed == method and (found := route.path.fullmatch(path)):
                return route, found.groupdict()
        return None

    def named(self, name: str) -> Route:
        """The route that `Route.name` names.

        Raises:
            KeyError: there is none.
        """
        for _, route in self._routes:
            if route.name == name:
                return route
        raise KeyError(name)

    def _keep(self, handler: CallHandler, *, trades: bool) -> Handler:
        async def stand_in(_: web.Request) -> web.StreamResponse:
            raise AssertionError("the table calls the handler itself")

        self._handlers[stand_in] = handler, trades
        return stand_in


class PaperAccounts(Accounts):
    """Every account there is, opened when it is first named. No token is checked or kept."""

    def __init__(self) -> None:
        """Nobody is known, and everybody may come."""

    def get(self, client_id: str) -> SimulatedUser | None:
        """Any account, without a token."""
        return SimulatedUser(client_id, token="") if _CLIENT_ID.fullmatch(client_id) else None

    def holder(self, token: str, client_id: str | None = None, _: str = "") -> SimulatedUser | None:
        """The account that is named, if any token comes with it."""
        return self.get(client_id or named_in(token)) if token else None


def named_in(token: str) -> str:
    """The client id that a token of Dhan's names, unverified; "" when it is no such token."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return ""
    named = str(claims.get("dhanClientId", ""))
    return named if _CLIENT_ID.fullmatch(named) else ""

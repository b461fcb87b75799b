"""The stand-in for Supabase, for development, demo and tests.

It is one HTTP server in front of a real Postgres, with the gateway's duties (API keys, CORS). It
listens on loopback addresses only. Not here, and refused aloud where a client could ask: Realtime,
Storage, Functions, OAuth, resource embedding. Mails are not sent but listed
(`/auth/v1/admin/mails`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import structlog
from aiohttp import web

from schemas.errors import Misconfigured
from simulator.supabase.auth import Auth
from simulator.supabase.catalogue import Catalogue
from simulator.supabase.errors import AuthError, GatewayError, RestError
from simulator.supabase.rest import Caller, Rest
from simulator.supabase.tokens import Keys, TokenRefused, verify

MAX_BODY: Final = 8 << 20
AUTH_API_VERSION: Final = "2024-01-01"  # with this header clients read the error's `code`
CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, apikey, content-type, prefer, x-client-info, "
    "accept-profile, content-profile, x-supabase-api-version, x-retry-count",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Expose-Headers": "Content-Range",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger(__name__)


async def _as_it_is(_: object) -> None:
    """Leave a connection as it is, in place of asyncpg's clearing after each use.

    That would cost a round trip more, and all our settings end with their transaction.
    """


class SupabaseStandIn:
    """The server. Attributes: `keys` as handed out; `url` once started."""

    def __init__(self, keys: Keys | None = None) -> None:
        self.keys = keys or Keys()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._pools: list[asyncpg.Pool[asyncpg.Record]] = []

    @property
    def publishable_key(self) -> str:
        """The API key that a browser may have."""
        return self.keys.publishable

    @property
    def secret_key(self) -> str:
        """The API key of services: it passes every policy."""
        return self.keys.secret

    async def start(
        self, rest_dsn: str, auth_dsn: str, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Serve on `host`:`port`; returns when requests are answered.

        Args:
            rest_dsn: Connects as the role `authenticator`.
            auth_dsn: Connects as the role `supabase_auth_admin`.
            host: A loopback address.
            port: 0 takes a free one.

        Raises:
            Misconfigured: `host` is not a loopback address, or the address is taken.
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise Misconfigured(
                f"the Supabase stand-in must not be reachable from outside: {host} is not loopback"
            )
        try:
            address = socket.create_server((host, port))
        except OSError as error:
            raise Misconfigured(
                f"the Supabase stand-in cannot listen on {host}:{port}: {error}"
            ) from error
        self.url = f"http://{host}:{address.getsockname()[1]}"
        try:
            rest_pool = await self._pool(rest_dsn, size=12)
            auth_pool = await self._pool(auth_dsn, size=4)
            async with rest_pool.acquire() as connection:
                rest = Rest(rest_pool, await Catalogue.load(connection))
            self._runner = self._application(rest, Auth(auth_pool, self.keys.jwt_secret, self.url))
            await self._runner.setup()
            await web.SockSite(self._runner, address).start()
        except BaseException:
            address.close()
            await self.stop()
            raise
        log.info("supabase_stand_in.ready", url=self.url)

    async def stop(self) -> None:
        """Stop serving and leave the database. Does nothing when not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        while self._pools:
            self._pools.pop().terminate()  # requests have ended; nothing is left to wait for

    async def _pool(self, dsn: str, size: int) -> asyncpg.Pool[asyncpg.Record]:
        pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
            dsn, min_size=1, max_size=size, reset=_as_it_is
        )
        self._pools.append(pool)
        return pool

    @web.middleware
    async def _at_the_gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=CORS)
        try:
            response = await handler(request)
        except (RestError, GatewayError) as error:
            response = web.json_response(error.body, status=error.status)
        except AuthError as error:
            headers = {"x-supabase-api-version": AUTH_API_VERSION}
            response = web.json_response(error.body, status=error.status, headers=headers)
        response.headers.update(CORS)
        return response

    def _application(self, rest: Rest, auth: Auth) -> web.AppRunner:
        async def to_rest(request: web.Request) -> web.Response:
            return await rest.handle(request, self._caller_of_rest(request))

        async def to_auth(request: web.Request) -> web.Response:
            return await auth.handle(request, self._caller_of_auth(request))

        app = web.Application(middlewares=[self._at_the_gate], client_max_size=MAX_BODY)
        app.router.add_route("*", "/rest/v1/rpc/{function}", to_rest)
        app.router.add_route("*", "/rest/v1/{table}", to_rest)
        app.router.add_route("*", "/auth/v1/{path:.*}", to_auth)
        return web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    def _caller_of_rest(self, request: web.Request) -> Caller:
        try:
            return self._identify(request)
        except TokenRefused as refused:
            code, message = (
                ("PGRST303", "JWT expired")
                if refused.expired
                else ("PGRST301", "No suitable key was found")
            )
            raise RestError(401, code, message) from None

    def _caller_of_auth(self, request: web.Request) -> Caller:
        if request.method == "GET" and request.match_info["path"] == "verify":
            return Caller("anon", {"role": "anon"})  # a link in a mail brings no key along
        try:
            return self._identify(request)
        except TokenRefused:
            message = "invalid JWT: unable to parse or verify signature"
            raise AuthError(403, "bad_jwt", message) from None

    def _identify(self, request: web.Request) -> Caller:
        """Who asks.

        An absent Bearer, one equal to the API key or itself an `sb_` key stands for the API key's
        role.
        """
        api_key = request.headers.get("apikey")
        if not api_key:
            raise GatewayError(
                "No API key found in request", "No `apikey` request header was found."
            )
        roles = {self.keys.publishable: "anon", self.keys.secret: "service_role"}
        if api_key not in roles:
            raise GatewayError(
                "Invalid API key", "Double check your Supabase `anon` or `service_role` API key."
            )
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if (
            scheme.lower() != "bearer"
            or not bearer
            or bearer == api_key
            or bearer.startswith("sb_")
        ):
            return Caller(roles[api_key], {"role": roles[api_key]})
        claims: dict[str, Any] = verify(self.keys.jwt_secret, bearer)
        return Caller(str(claims.get("role", "anon")), claims)

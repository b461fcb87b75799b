"""The gateway over HTTP: JSON and server-sent events for admitted users, and for nobody else."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

import orjson
import structlog
from aiohttp import hdrs, web

from ats.gateway.access import Admitted, NotAdmitted, admitted, bearer_of, key_id_of
from ats.gateway.board import Audience, Board
from ats.gateway.budget import RequestBudget, StreamBudget
from ats.gateway.console import DatabaseView, OperatedDay, console
from ats.gateway.events import Place
from ats.gateway.keys import Keys
from ats.gateway.lags import LagReader
from ats.gateway.lookups import Lookups, RecordAway
from ats.gateway.metrics import ViewerMetrics
from ats.gateway.office import DatabaseAway, NoOperator, Office, Roles
from ats.gateway.openapi import document
from ats.gateway.platform import PlatformFold
from ats.gateway.record import RecordAnswers
from ats.gateway.routes import ROUTES, BadParameter, Route, values_of
from ats.gateway.scores import ScoreCards
from ats.gateway.series import SeriesKey
from ats.gateway.stream import Bell, StreamDeps, serve
from ats.gateway.viewer import Viewer
from ats.gateway.views import Refusal, json_of
from bus.stored import Topics
from executors.charges.rates import Rates
from schemas.errors import Misconfigured, TryLater
from schemas.ids import UserId
from schemas.units import NS_PER_SECOND, UtcNs

LARGEST_HEADER: Final = 16_384  # bytes; a token has at most 8,192
IDLE: Final = 60.0  # seconds that a connection without a request stays open
END_WITHIN: Final = 2.0  # seconds that open answers have once the process is told to stop
AGAIN_AFTER: Final = "5"  # seconds, for `Retry-After`
# whom nothing is served holds no connection either
_GO_AWAY: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
_ALWAYS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Authorization, Origin",
    "Server": "ats",
}

log = structlog.get_logger(__name__)


T = TypeVar("T")
_Answer: TypeAlias = Callable[[web.Request, Admitted, Any], Awaitable[web.StreamResponse]]


class _Refused(Exception):
    """An answer that is none."""

    def __init__(self, status: HTTPStatus, error: str, message: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.message = message


@dataclass(slots=True)
class GatewayDeps:
    """What the server needs.

    Attributes:
        fold: What operators see; the board is a part of it.
        office: Says who operates.
        lags: Says what waits.
        origins: Web pages that may ask from a browser; none: no page but through a server.
        most_viewers: Streams at a time.
        record: What is recorded: read again for what the board does not hold.
        rates: Of charges.
        wall: Unix seconds.
        monotonic: Machine seconds.
        ready: Whether the day was read up.
        ending: Set when the process is told to stop.
    """

    fold: PlatformFold
    keys: Keys
    office: Office
    lags: LagReader
    origins: frozenset[str]
    most_viewers: int
    record: Topics
    rates: Rates
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    metrics: ViewerMetrics = field(default_factory=ViewerMetrics)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def board(self) -> Board:
        """What users see."""
        return self.fold.board


class GatewayServer:
    """Serves until it is stopped."""

    def __init__(self, deps: GatewayDeps) -> None:
        self._deps = deps
        self._requests = RequestBudget()
        self._streams = StreamBudget(deps.most_viewers)
        self._bell = Bell()
        self._lookups = Lookups()
        self._record = RecordAnswers(deps.board, deps.record, self._lookups, deps.rates)
        played = deps.board.market.hours is not None and deps.board.market.hours.replayed
        self._cards = ScoreCards(deps.record, deps.rates, played=played)
        self._roles = Roles(deps.office, deps.monotonic)
        self._document = orjson.dumps(document())
        self._answers: dict[str, _Answer] = {
            "today": self._today,
            "candles": self._candles,
            "decision": self._decision,
            "decisions": self._decisions,
            "chart": self._chart,
            "why": self._why,
            "stream": self._stream,
            "console": self._console,
            "operated": self._operated,
            "actions": self._actions,
            "scores": self._scores,
        }
        self._runner: web.AppRunner | None = None

    def application(self) -> web.Application:
        """The routes, each behind the same checks."""
        app = web.Application(client_max_size=1)
        for route in ROUTES:
            app.router.add_get(route.path, self._checked(route), allow_head=False)
        app.middlewares.append(self._around)
        return app

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port.

        Raises:
            Misconfigured: the port cannot be had.
        """
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,  # a line for each request would hold what it asked for
            logger=_wordless(),
            handler_cancellation=True,  # a stream whose viewer left counts against them no longer
            max_line_size=4_096,
            max_field_size=LARGEST_HEADER,
            keepalive_timeout=IDLE,
            shutdown_timeout=END_WITHIN,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            why = os.strerror(error.errno) if error.errno else str(error)
            raise Misconfigured(f"ats gateway cannot listen on {host}:{port}: {why}") from None
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Tell every viewer to come again, and close."""
        self._deps.ending.set()
        self._bell.ring()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._lookups.close()
        await self._cards.close()

    def told(self, audience: Audience) -> None:
        """Something was taken in: wake whoever waits for it, a moment later."""
        if audience.everybody or audience.user or audience.prices:
            self._bell.ring_soon()

    @web.middleware
    async def _around(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Origin first, then the answer, then the headers that every answer has."""
        allowed = self._origin(request)
        try:
            if allowed is None:
                raise _Refused(HTTPStatus.FORBIDDEN, "origin", "ask through your own server")
            if request.method == hdrs.METH_OPTIONS and allowed:
                response: web.StreamResponse = _preflight()
            else:
                response = await handler(request)
        except _Refused as refused:
            response = self._refusal(refused)
        except web.HTTPException as error:
            response = self._refusal(
                _Refused(HTTPStatus(error.status), "not_served", "see /v1/openapi.json")
            )
        if not response.prepared:
            response.headers.update(_ALWAYS)
            if allowed:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = allowed
        return response

    def _origin(self, request: web.Request) -> str | None:
        """The page that asks, where it may; empty where none does, None where it may not."""
        origin = request.headers.get(hdrs.ORIGIN, "")
        return origin if not origin or origin in self._deps.origins else None

    def _refusal(self, refused: _Refused) -> web.Response:
        self._deps.metrics.refused[refused.error] += 1
        said = Refusal(error=refused.error, message=refused.message)
        headers = dict[str, str]()
        if refused.status is HTTPStatus.UNAUTHORIZED:
            headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        if refused.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
            headers[hdrs.RETRY_AFTER] = AGAIN_AFTER
        response = _json(json_of(said), refused.status, headers)
        if refused.status in _GO_AWAY:
            response.force_close()
        return response

    def _checked(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                values = values_of(route, request.match_info, request.query.items())
            except BadParameter as bad:
                raise _Refused(HTTPStatus.BAD_REQUEST, "parameter", str(bad)) from None
            if route.open:
                return _json(self._document)
            who = await self._admit(request)
            response = await self._answers[route.name](request, who, values)
            self._deps.metrics.requests[route.name, response.status] += 1
            return response

        return answer

    async def _admit(self, request: web.Request) -> Admitted:
        """Who asks; before anything else is looked at on their behalf."""
        deps = self._deps
        try:
            token = bearer_of(request.headers.get(hdrs.AUTHORIZATION, ""))
            key = await deps.keys.find(key_id_of(token))
            who = admitted(token, key, deps.wall())
        except NotAdmitted as refused:
            raise _Refused(HTTPStatus.UNAUTHORIZED, refused.code, "sign in again") from None
        except TryLater:
            raise _Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "keys_away", "tokens cannot be checked now"
            ) from None
        if not self._requests.take(who.user, deps.monotonic()):
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "ask less often")
        if not deps.ready.is_set() or deps.ending.is_set():
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "starting", "the day is being read up")
        return who

    async def _operator(self, request: web.Request, who: Admitted) -> tuple[DatabaseView, bool]:
        """What the database tells an operator, and whether it is away; asked at each request."""
        token = bearer_of(request.headers[hdrs.AUTHORIZATION])
        try:
            return await self._roles.view(who.user, token)
        except NoOperator:
            # as where there is no such route
            raise web.HTTPNotFound from None
        except DatabaseAway:
            raise _database_away() from None

    async def _console(self, request: web.Request, who: Admitted, _: Any) -> web.StreamResponse:
        told, away = await self._operator(request, who)
        lags = await self._deps.lags.read()
        status = self._deps.fold.status(UtcNs(round(self._deps.wall() * NS_PER_SECOND)), lags or {})
        market, known = self._deps.board.market, lags is not None
        return _json(json_of(console(status, told, market, away=away, lags_known=known)))

    async def _operated(
        self, request: web.Request, who: Admitted, values: Any
    ) -> web.StreamResponse:
        await self._operator(request, who)
        user, board = UserId(values["user"]), self._deps.board
        if board.person(user) is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "unknown", "nothing was told of them lately")
        day = board.today(user, frozenset())
        return _json(json_of(OperatedDay(own=day.own, prices=day.prices)))

    async def _actions(
        self, request: web.Request, who: Admitted, values: Any
    ) -> web.StreamResponse:
        await self._operator(request, who)
        token = bearer_of(request.headers[hdrs.AUTHORIZATION])
        try:
            return _json(json_of(await self._roles.actions(token, values["before"])))
        except (NoOperator, DatabaseAway):
            raise _database_away() from None

    async def _scores(self, request: web.Request, who: Admitted, _: Any) -> web.StreamResponse:
        await self._operator(request, who)
        now = UtcNs(round(self._deps.wall() * NS_PER_SECOND))
        return _json(
            json_of(await _read(self._cards.of(who.user, self._deps.board.market.day, now)))
        )

    async def _today(self, _: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        return _json(json_of(self._deps.board.today(who.user, values["instrument"])))

    async def _candles(self, _: web.Request, __: Admitted, values: Any) -> web.StreamResponse:
        key = SeriesKey(values["instrument"], values["timeframe"])
        return _json(json_of(self._deps.board.market.candles(key, values["bars"])))

    async def _decision(self, _: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        story = self._deps.board.story(who.user, values["decision"])
        if story is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "unknown", "no decision of today has that id")
        return _json(json_of(story))

    async def _decisions(self, _: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        found = self._deps.board.decisions(who.user, values["before"], values["most"])
        if found is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "unknown", "no decision of today has that id")
        return _json(json_of(found))

    async def _chart(self, _: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        key = SeriesKey(values["instrument"], values["timeframe"])
        found = await _read(self._record.chart(who.user, key, values["day"]))
        if found is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "unknown", "no bar of that day is known here")
        return _json(json_of(found))

    async def _why(self, _: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        found = await _read(self._record.why(who.user, values["order"]))
        if found is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "unknown", "you have no order of that id here")
        return _json(found)

    async def _stream(self, request: web.Request, who: Admitted, values: Any) -> web.StreamResponse:
        deps = self._deps
        if refusal := self._streams.refuses(who.user):
            status = (
                HTTPStatus.SERVICE_UNAVAILABLE
                if refusal == "full"
                else HTTPStatus.TOO_MANY_REQUESTS
            )
            raise _Refused(status, refusal, "close a stream, or come again later")
        place = Place.parse(request.headers.get("Last-Event-ID", ""))
        viewer = Viewer(who.user, values["instrument"], place)
        self._streams.begin(who.user)
        deps.metrics.viewers = self._streams.open
        try:
            response = web.StreamResponse(
                headers=_ALWAYS | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            if origin := self._origin(request):
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            stream = StreamDeps(
                deps.board, self._bell, deps.metrics, deps.wall, deps.monotonic, deps.ending
            )
            await serve(request, response, viewer, who.until, stream)
        finally:
            self._streams.end(who.user)
            deps.metrics.viewers = self._streams.open
        return response


def _database_away() -> _Refused:
    return _Refused(
        HTTPStatus.SERVICE_UNAVAILABLE, "database_away", "the database cannot be asked now"
    )


async def _read(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except RecordAway as away:
        raise _Refused(
            HTTPStatus.SERVICE_UNAVAILABLE, away.code, "what is recorded cannot be read now"
        ) from None


def _wordless() -> logging.Logger:
    """What is no HTTP is logged by its kind alone: aiohttp's own words quote it, tokens too."""
    logger = logging.getLogger("ats.gateway.http")
    logger.addFilter(_without_words)
    return logger


def _without_words(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    record.msg, record.args = "request not answered: %s", (kind.__name__ if kind else "",)
    record.exc_info = record.exc_text = None
    return True


def _preflight() -> web.Response:
    return web.Response(
        status=HTTPStatus.NO_CONTENT,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Last-Event-ID",
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
        },
    )


def _json(
    body: bytes, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")

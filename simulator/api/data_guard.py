"""Checks every request for market data: token, client id, data plan, pace.

A refusal has one of three shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import orjson
from aiohttp import web

from simulator.accounts import Accounts
from simulator.api.guard import Call, CallHandler, Handler, answered
from simulator.api.rate_limit import DAY, SECOND, Allowance, RateLimit
from simulator.api.replies import refuse
from simulator.config import ErrorShape, SimulatedUser, SimulatorConfig
from simulator.faults import Faults
from simulator.refusals import BAD_TOKEN, TOO_FAST, Code, Refusal

_INVALID_TOKEN: Final = Refusal(Code.ORDER, "Invalid Token")


class DataError(Enum):
    """Code, text and HTTP status of what quotes and option chain refuse (annexure, data API
    errors).
    """

    TOO_MANY_INSTRUMENTS = (804, "Requested number of instruments exceeds limit", 400)
    TOO_MANY_REQUESTS = (
        805,
        "Too many requests. Further requests may result in the user being blocked.",
        429,
    )
    NOT_SUBSCRIBED = (806, "Data APIs not subscribed", 403)
    TOKEN_INVALID = (809, "Access Token is invalid", 401)
    CLIENT_INVALID = (810, "Client ID is invalid", 401)
    BAD_EXPIRY = (811, "Invalid Expiry Date", 400)
    BAD_DATE = (812, "Invalid Date Format", 400)
    BAD_SECURITY = (813, "Invalid SecurityId", 400)
    BAD_REQUEST = (814, "Invalid Request", 400)


_AS_TRADING: Final = {DataError.TOO_MANY_REQUESTS: TOO_FAST, DataError.TOKEN_INVALID: BAD_TOKEN}


class DataGuard:
    """Wraps handlers of `/v2/charts`, `/v2/marketfeed` and `/v2/optionchain`.

    `monotonic` is machine time.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        accounts: Accounts,
        faults: Faults,
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._faults = faults
        self._data = _limit(
            config.data_rate_limit, SECOND, monotonic, Allowance(config.data_per_day, DAY)
        )
        self._quotes = _limit(config.quote_rate_limit, SECOND, monotonic)
        self._chains = _limit(
            1 if config.chain_every else None, config.chain_every or SECOND, monotonic
        )

    def charts(self, handler: CallHandler) -> Handler:
        """They answer in the trading shape."""

        async def chart(request: web.Request) -> web.StreamResponse:
            user = self._user(request)
            if user is None:
                return refuse(_INVALID_TOKEN if self._config.charts_refuse_as_906 else BAD_TOKEN)
            if not user.data_plan:
                return refuse(Refusal(Code.ACCESS, DataError.NOT_SUBSCRIBED.value[1]))
            if not self._data.allows(user.client_id):
                return refuse(TOO_FAST)
            return await self._answered(request, user, handler)

        return chart

    def quotes(self, handler: CallHandler) -> Handler:
        """Guard a handler of quotes: they have a pace of their own."""
        return self._guarded(handler, self._quotes)

    def data(self, handler: CallHandler) -> Handler:
        """Guard a handler of other market data, such as option chains."""
        return self._guarded(handler, self._data)

    def chain_is_due(self, client_id: str, asked: str) -> bool:
        """Whether the user may ask for this chain again already."""
        return self._chains.allows(f"{client_id} {asked}")

    def refuse(self, error: DataError) -> web.Response:
        """A no in the shape that the settings choose."""
        shape = self._config.data_errors
        if error is DataError.TOO_MANY_REQUESTS:
            shape = self._config.data_rate_error or shape
        code, text, status = error.value
        if shape is ErrorShape.BARE:
            # with status 200, as recorded
            return web.json_response({"errorCode": code, "errorMessage": text})
        if shape is ErrorShape.TRADING:
            return refuse(_AS_TRADING.get(error, Refusal(Code.INPUT, text)), status)
        return web.json_response({"status": "failed", "data": {str(code): text}}, status=status)

    def _guarded(self, handler: CallHandler, limit: RateLimit) -> Handler:
        async def ask(request: web.Request) -> web.StreamResponse:
            user = self._user(request)
            if user is None:
                return self.refuse(DataError.TOKEN_INVALID)
            if request.headers.get("client-id") != user.client_id:
                return self.refuse(DataError.CLIENT_INVALID)
            if not user.data_plan:
                return self.refuse(DataError.NOT_SUBSCRIBED)
            if not limit.allows(user.client_id):
                return self.refuse(DataError.TOO_MANY_REQUESTS)
            return await self._answered(request, user, handler)

        return ask

    def _user(self, request: web.Request) -> SimulatedUser | None:
        token = request.headers.get("access-token", "")
        return self._accounts.holder(token, endpoint=f"{request.method} {request.path}")

    async def _answered(
        self, request: web.Request, user: SimulatedUser, handler: CallHandler
    ) -> web.StreamResponse:
        return await answered(self._faults, Call(request, user, await request.read()), handler)


def object_of(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a question; None when it is something else."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _limit(
    most: int | None, window: float, monotonic: Callable[[], float], *more: Allowance
) -> RateLimit:
    return RateLimit(() if most is None else (Allowance(most, window), *more), monotonic)

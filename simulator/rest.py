"""Dhan's order endpoints and the small ones about the account, with its error replies and its rate limit."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from aiohttp import web

from schemas.market import Side
from schemas.units import IST, UtcNs
from simulator import placement
from simulator.accounts import Accounts
from simulator.config import SimulatedUser
from simulator.exchange import Exchange
from simulator.faults import Fault, FaultKind, Faults, Place, Target
from simulator.matching.order import Order, OrderRequest
from simulator.matching.terms import Status
from simulator.refusals import BAD_TOKEN, NO_SUCH_ORDER, SERVER_ERROR, TOO_FAST, Code, Refusal

RATE_WINDOW: Final = 1.0  # seconds; Dhan counts orders per second
_HTML_429: Final = "<html><head><title>429 Too Many Requests</title></head><body>429 Too Many Requests</body></html>"

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
UserHandler: TypeAlias = Callable[[web.Request, SimulatedUser], Awaitable[web.StreamResponse]]


class RateLimit:
    """At most `limit` orders of one user in any window, by machine time; None lets everything pass."""

    def __init__(self, limit: int | None, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._seen: defaultdict[str, deque[float]] = defaultdict(deque)

    def allows(self, client_id: str) -> bool:
        if self._limit is None:
            return True
        now, seen = self._monotonic(), self._seen[client_id]
        while seen and now - seen[0] >= RATE_WINDOW:
            seen.popleft()
        if len(seen) >= self._limit:
            return False
        seen.append(now)
        return True


class Rest:
    """The handlers under `/v2`."""

    def __init__(self, exchange: Exchange, accounts: Accounts, faults: Faults, rate: RateLimit) -> None:
        self._exchange = exchange
        self._accounts = accounts
        self._faults = faults
        self._rate = rate

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v2/orders", self._for_user(self.place)),
            web.get("/v2/orders", self._for_user(self.orders)),
            web.get("/v2/orders/{order_id}", self._for_user(self.order)),
            web.delete("/v2/orders/{order_id}", self._for_user(self.cancel)),
            web.get("/v2/orders/external/{correlation_id}", self._for_user(self.order_by_correlation)),
            web.get("/v2/positions", self._for_user(self.positions)),
            web.get("/v2/fundlimit", self._for_user(self.funds)),
            web.get("/v2/profile", self._for_user(self.profile)),
        ]

    async def place(self, request: web.Request, user: SimulatedUser) -> web.StreamResponse:
        if not self._rate.allows(user.client_id):
            return TOO_FAST.reply()
        strike = self._faults.strike(Place.REQUEST, Target(user.client_id, f"{request.method} {request.path}"))
        fault = strike.fault if strike else None
        if fault and fault.kind is FaultKind.HTML_429:
            return web.Response(text=_HTML_429, status=429, content_type="text/html")
        if fault and fault.kind is FaultKind.REJECT:
            return Refusal(Code.ORDER, fault.message).reply()
        asked = placement.read_order(await request.read(), user.client_id)
        order = self._enter(asked) if isinstance(asked, OrderRequest) else asked
        if isinstance(order, Refusal):
            return order.reply()
        if fault:
            return await _after_acceptance(request, fault, order)
        return _acknowledge(order)

    async def orders(self, _: web.Request, user: SimulatedUser) -> web.Response:
        return web.json_response([_order_json(order) for order in self._exchange.book.of(user.client_id)])

    async def order(self, request: web.Request, user: SimulatedUser) -> web.Response:
        return _one(self._exchange.book.by_id(user.client_id, request.match_info["order_id"]))

    async def order_by_correlation(self, request: web.Request, user: SimulatedUser) -> web.Response:
        return _one(self._exchange.book.by_correlation(user.client_id, request.match_info["correlation_id"]))

    async def cancel(self, request: web.Request, user: SimulatedUser) -> web.Response:
        if not self._rate.allows(user.client_id):
            return TOO_FAST.reply()
        order = self._exchange.book.cancel(user.client_id, request.match_info["order_id"], self._exchange.second)
        if isinstance(order, Refusal):
            return order.reply()
        return web.json_response({"orderId": order.order_id, "orderStatus": order.status}, status=202)

    async def positions(self, _: web.Request, user: SimulatedUser) -> web.Response:
        return web.json_response(_positions_json(user.client_id, self._exchange.book.of(user.client_id)))

    async def funds(self, _: web.Request, user: SimulatedUser) -> web.Response:
        used = sum(_value(order) for order in self._exchange.book.of(user.client_id) if order.request.side is Side.BUY)
        return web.json_response(
            {
                "dhanClientId": user.client_id,
                "availabelBalance": user.funds - used,  # Dhan's spelling
                "sodLimit": float(user.funds),
                "collateralAmount": 0.0,
                "receiveableAmount": 0.0,
                "utilizedAmount": used,
                "blockedPayoutAmount": 0.0,
                "withdrawableBalance": user.funds - used,
            }
        )

    async def profile(self, _: web.Request, user: SimulatedUser) -> web.Response:
        expiry = user.expires_at or self._exchange.now.ist() + timedelta(hours=24)
        return web.json_response(
            {
                "dhanClientId": user.client_id,
                "tokenValidity": f"{expiry.astimezone(IST):%d/%m/%Y %H:%M}",
                "activeSegment": "Equity, Derivative",
                "ddpi": "Active",
                "mtf": "Deactive",
                "dataPlan": "Active",
                "dataValidity": f"{expiry.astimezone(IST):%Y-%m-%d %H:%M:%S}.0",
            }
        )

    def _for_user(self, handler: UserHandler) -> Handler:
        """`handler`, for requests whose token is somebody's."""

        async def authenticated(request: web.Request) -> web.StreamResponse:
            user = self._accounts.holder(request.headers.get("access-token", ""))
            return BAD_TOKEN.reply() if user is None else await handler(request, user)

        return authenticated

    def _enter(self, asked: OrderRequest) -> Order | Refusal:
        return self._exchange.book.place(asked, self._exchange.second)


async def _after_acceptance(request: web.Request, fault: Fault, order: Order) -> web.StreamResponse:
    """The order is in the book; what the client hears of it is the fault's affair."""
    if fault.kind is FaultKind.SLOW_REPLY:
        await asyncio.sleep(fault.delay)
        return _acknowledge(order)
    if fault.kind is FaultKind.ACCEPT_THEN_500:
        return SERVER_ERROR.reply()
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _acknowledge(order: Order) -> web.Response:
    """Acceptance is not execution: the reply says PENDING even when the book already says TRADED."""
    status = order.status if order.status is Status.CANCELLED else Status.PENDING
    return web.json_response({"orderId": order.order_id, "orderStatus": status})


def _one(order: Order | None) -> web.Response:
    return NO_SUCH_ORDER.reply() if order is None else web.json_response(_order_json(order))


def _order_json(order: Order) -> dict[str, Any]:
    request, created, updated = order.request, _clock(order.created_at), _clock(order.updated_at)
    return {
        "dhanClientId": request.client_id,
        "orderId": order.order_id,
        "exchangeOrderId": order.order_id[::-1],
        "correlationId": request.correlation_id,
        "orderStatus": order.status,
        "transactionType": request.side,
        "exchangeSegment": request.instrument.segment,
        "productType": request.product,
        "orderType": "LIMIT",  # a market order is a protected limit once it stands in the book
        "validity": request.validity,
        "tradingSymbol": order.instrument.symbol,
        "securityId": str(request.instrument.security_id),
        "quantity": request.quantity,
        "disclosedQuantity": 0,
        "price": float(order.limit.rupees()) if order.limit else 0.0,
        "triggerPrice": 0.0,
        "afterMarketOrder": False,
        "boProfitValue": 0.0,
        "boStopLossValue": 0.0,
        "legName": None,
        "createTime": created,
        "updateTime": updated,
        "exchangeTime": updated,
        "drvExpiryDate": None,
        "drvOptionType": None,
        "drvStrikePrice": 0.0,
        "omsErrorCode": None,
        "omsErrorDescription": None,
        "algoId": "0",
        "remainingQuantity": request.quantity - order.filled,
        "averageTradedPrice": float(order.traded_price.rupees()) if order.traded_price else 0.0,
        "filledQty": order.filled,
    }


def _positions_json(client_id: str, orders: list[Order]) -> list[dict[str, Any]]:
    traded: defaultdict[tuple[object, str], list[Order]] = defaultdict(list)
    for order in orders:
        if order.status is Status.TRADED:
            traded[order.request.instrument, order.request.product].append(order)
    return [_position_json(client_id, fills) for fills in traded.values()]


def _position_json(client_id: str, fills: list[Order]) -> dict[str, Any]:
    first = fills[0]
    bought, sold = ([fill for fill in fills if fill.request.side is side] for side in Side)
    buy_quantity, sell_quantity = (sum(fill.filled for fill in side) for side in (bought, sold))
    net = buy_quantity - sell_quantity
    return {
        "dhanClientId": client_id,
        "tradingSymbol": first.instrument.symbol,
        "securityId": str(first.request.instrument.security_id),
        "positionType": "LONG" if net > 0 else "SHORT" if net < 0 else "CLOSED",
        "exchangeSegment": first.request.instrument.segment,
        "productType": first.request.product,
        "buyAvg": sum(map(_value, bought)) / buy_quantity if buy_quantity else 0.0,
        "buyQty": buy_quantity,
        "sellAvg": sum(map(_value, sold)) / sell_quantity if sell_quantity else 0.0,
        "sellQty": sell_quantity,
        "netQty": net,
        "dayBuyQty": buy_quantity,
        "daySellQty": sell_quantity,
        "multiplier": 1,
    }


def _value(order: Order) -> float:
    """Rupees that changed hands; floats as in Dhan's own JSON."""
    return float((order.traded_price or 0) * order.filled) / 100


def _clock(second: int) -> str:
    return f"{UtcNs.seconds(second).ist():%Y-%m-%d %H:%M:%S}"

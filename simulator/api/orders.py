"""Dhan's order endpoints: place, slice, modify, cancel, the books of orders and trades."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any, Final

from aiohttp import web

from schemas.units import Quantity
from simulator.api import requests as placement
from simulator.api.guard import ApiGuard, Call
from simulator.api.replies import refuse
from simulator.api.transit import Transit
from simulator.config import Quirks
from simulator.exchange import Venue
from simulator.faults import FaultKind
from simulator.matching.enums import Status
from simulator.matching.order import Order, OrderRequest, Trade
from simulator.refusals import NO_SUCH_ORDER, NOT_KNOWN_BY_NAME, Code, Refusal
from simulator.serializers import history_json, order_json, trade_json

TRADES_A_PAGE: Final = 50  # of the trade history; Dhan does not say
_NO_TRADES: Final = Refusal(
    Code.INPUT, "Missing required fields, bad values for parameters etc. (dates or page)"
)


class Rest:
    """The handlers under `/v2/orders` and `/v2/trades`."""

    def __init__(self, exchange: Venue, transit: Transit, door: ApiGuard, quirks: Quirks) -> None:
        self._exchange = exchange
        self._transit = transit
        self._orders = exchange.book
        self._door = door
        self._quirks = quirks

    def routes(self) -> list[web.RouteDef]:
        """The paths of orders and trades."""
        reading, trading = self._door.reading, self._door.trading
        return [
            web.post("/v2/orders", trading(self.place)),
            web.post("/v2/orders/slicing", trading(self.slice)),
            web.get("/v2/orders", reading(self.orders)),
            web.get("/v2/orders/{order_id}", reading(self.order)),
            web.put("/v2/orders/{order_id}", trading(self.modify)),
            web.delete("/v2/orders/{order_id}", trading(self.cancel)),
            web.get("/v2/orders/external/{correlation_id}", reading(self.order_by_correlation)),
            web.get("/v2/trades", reading(self.trades)),
            web.get("/v2/trades/", reading(self.trades)),  # `dhanhq` 2.3.0 asks here
            web.get("/v2/trades/{order_id}", reading(self.trades_of)),
            web.get("/v2/trades/{first}/{last}/{page}", reading(self.history)),
        ]

    async def place(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/orders`: an order that the broker takes gets an id, and TRANSIT."""
        asked = placement.read_order(call.body, call.client_id)
        order = self._enter(asked)
        if isinstance(order, Refusal):
            return refuse(order)
        await self._transit.enter(order, call.fault)
        return web.json_response(self._acknowledgement(order))

    async def slice(self, call: Call) -> web.StreamResponse:
        """Place as many orders as the freeze quantity makes necessary."""
        asked = placement.read_order(call.body, call.client_id)
        if isinstance(asked, Refusal):
            return refuse(asked)
        if refusal := self._orders.refusal(asked):
            return refuse(refusal)
        entered = [self._enter(part) for part in self._parts(asked)]
        placed = [order for order in entered if isinstance(order, Order)]
        for order in placed:
            self._transit.carry(order)
        replies = [self._acknowledgement(order) for order in placed]
        return web.json_response(replies if self._quirks.slices_as_array else replies[0])

    async def modify(self, call: Call) -> web.StreamResponse:
        """Answer `PUT /v2/orders/{order_id}`: change an order that still waits."""
        wish = placement.read(call.body, call.client_id, placement.modification)
        if isinstance(wish, Refusal):
            return refuse(wish)
        order = self._orders.modify(
            call.client_id, call.path("order_id"), wish, self._exchange.second
        )
        if isinstance(order, Refusal):
            return refuse(order)
        return web.json_response({"orderId": order.order_id, "orderStatus": Status.TRANSIT})

    async def cancel(self, call: Call) -> web.StreamResponse:
        """Answer `DELETE /v2/orders/{order_id}`: cancel what is left of an order.

        With the fault `cancel_fill_race` the order fills first.
        """
        order_id = call.path("order_id")
        raced = bool(call.fault and call.fault.kind is FaultKind.CANCEL_FILL_RACE)
        if raced and (order := self._orders.by_id(call.client_id, order_id)):
            self._orders.fill_now(order, self._exchange.second)
        cancelled = self._orders.cancel(call.client_id, order_id, self._exchange.second)
        if isinstance(cancelled, Refusal) and not (raced and self._quirks.lost_race_says_cancelled):
            return refuse(cancelled)
        return web.json_response({"orderId": order_id, "orderStatus": Status.CANCELLED})

    async def orders(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/orders`: the user's orders of the day."""
        return web.json_response([order_json(order) for order in self._orders.of(call.client_id)])

    async def order(self, call: Call) -> web.StreamResponse:
        """By Dhan's id: a list of one, empty for an unknown id. The documents show an object."""
        order = self._orders.by_id(call.client_id, call.path("order_id"))
        if self._quirks.by_id_as_array:
            return web.json_response([order_json(order)] if order else [])
        return web.json_response(order_json(order)) if order else refuse(NO_SUCH_ORDER)

    async def order_by_correlation(self, call: Call) -> web.StreamResponse:
        """By the client's name.

        An order in TRANSIT is as unknown here as one that was never placed; the book has it.
        """
        order = self._orders.by_correlation(call.client_id, call.path("correlation_id"))
        if order is None or order.status is Status.TRANSIT:
            return refuse(NOT_KNOWN_BY_NAME, web.HTTPNotFound.status_code)
        row = order_json(order)
        return web.json_response([row] if self._quirks.by_name_as_array else row)

    async def trades(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/trades`: the user's trades of the day."""
        return web.json_response(
            [trade_json(*made) for made in _trades(self._orders.of(call.client_id))]
        )

    async def trades_of(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/trades/{order_id}`: the trades of one order."""
        order = self._orders.by_id(call.client_id, call.path("order_id"))
        return (
            refuse(NO_SUCH_ORDER)
            if order is None
            else web.json_response([trade_json(*made) for made in _trades([order])])
        )

    async def history(self, call: Call) -> web.StreamResponse:
        """Pages count from 0. Only this session has trades."""
        try:
            first, last = (date.fromisoformat(call.path(name)) for name in ("first", "last"))
            page = int(call.path("page"))
        except ValueError:
            return refuse(_NO_TRADES)
        made = (
            _trades(self._orders.of(call.client_id))
            if first <= self._orders.day <= last and page >= 0
            else []
        )
        return web.json_response(
            [
                history_json(*trade)
                for trade in made[page * TRADES_A_PAGE : (page + 1) * TRADES_A_PAGE]
            ]
        )

    def _enter(self, asked: OrderRequest | Refusal) -> Order | Refusal:
        """Take an order in, and leave it in TRANSIT."""
        return (
            asked
            if isinstance(asked, Refusal)
            else self._orders.place(asked, self._exchange.second, hold=True)
        )

    def _parts(self, asked: OrderRequest) -> Iterable[OrderRequest]:
        instrument = self._orders.instrument(asked.instrument)
        assert instrument is not None, "the book refuses what it does not know"
        lots = max(1, self._orders.rules.freeze(instrument) // instrument.lot_size)
        left, most = int(asked.quantity), lots * instrument.lot_size
        while left > 0:
            yield replace(asked, quantity=Quantity(min(left, most)), disclosed=Quantity(0))
            left -= most

    def _acknowledgement(self, order: Order) -> dict[str, Any]:
        """Answer that an order was taken: TRANSIT, even when it already is TRADED or REJECTED.

        Acceptance is not execution.
        """
        return {"orderId": order.order_id, "orderStatus": self._quirks.acknowledged_as}


def _trades(orders: Iterable[Order]) -> list[tuple[Order, Trade]]:
    """In the order they happened."""
    made = [(order, trade) for order in orders for trade in order.trades]
    return sorted(made, key=lambda pair: pair[1].trade_id)

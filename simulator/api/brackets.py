"""Dhan's endpoints of super orders and forever orders."""

from __future__ import annotations

from aiohttp import web

from simulator.api import requests as placement
from simulator.api.guard import ApiGuard, Call
from simulator.api.replies import refuse
from simulator.api.transit import Transit
from simulator.config import Quirks
from simulator.exchange import Venue
from simulator.matching.enums import Leg, Status
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.super_orders import SuperOrders
from simulator.refusals import NO_SUCH_ORDER, Refusal
from simulator.serializers import forever_json, super_json


class Brackets:
    """The handlers under `/v2/super` and `/v2/forever`."""

    def __init__(
        self,
        exchange: Venue,
        super_orders: SuperOrders,
        forever_orders: ForeverOrders,
        door: ApiGuard,
        quirks: Quirks,
        *,
        transit: Transit,
    ) -> None:
        self._exchange = exchange
        self._transit = transit
        self._super = super_orders
        self._forever = forever_orders
        self._door = door
        self._quirks = quirks

    def routes(self) -> list[web.RouteDef]:
        """The paths of super and forever orders."""
        reading, trading = self._door.reading, self._door.trading
        return [
            web.post("/v2/super/orders", trading(self.place_super)),
            web.put("/v2/super/orders/{order_id}", trading(self.modify_super)),
            web.delete("/v2/super/orders/{order_id}/{leg}", trading(self.cancel_super)),
            web.get("/v2/super/orders", reading(self.list_super)),
            web.post("/v2/forever/orders", trading(self.place_forever)),
            web.put("/v2/forever/orders/{order_id}", trading(self.modify_forever)),
            web.delete("/v2/forever/orders/{order_id}", trading(self.cancel_forever)),
            web.get("/v2/forever/orders", reading(self.list_forever)),  # the SDK and the portal
            web.get("/v2/forever/all", reading(self.list_forever)),  # the classic pages
        ]

    async def place_super(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/super/orders`: place the entry; its exits wait for its fills."""
        asked = placement.read(
            call.body,
            call.client_id,
            lambda fields: placement.super_request(fields, call.client_id),
        )
        if isinstance(asked, Refusal):
            return refuse(asked)
        entry = self._super.place(*asked, self._exchange.second, hold=True)
        if isinstance(entry, Refusal):
            return refuse(entry)
        await self._transit.enter(entry, call.fault)
        return _reply(entry.order_id, self._quirks.acknowledged_as)

    async def modify_super(self, call: Call) -> web.StreamResponse:
        """Answer `PUT /v2/super/orders/{order_id}`: change the entry, or one exit leg."""
        asked = placement.read(call.body, call.client_id, placement.super_modification)
        if isinstance(asked, Refusal):
            return refuse(asked)
        leg, wish, exits = asked
        order_id, second = call.path("order_id"), self._exchange.second
        refusal = self._super.modify(
            call.client_id, order_id, leg, wish, exits=exits, second=second
        )
        return refuse(refusal) if refusal else _reply(order_id, Status.TRANSIT)

    async def cancel_super(self, call: Call) -> web.StreamResponse:
        """Answer `DELETE /v2/super/orders/{order_id}/{leg}` with 202.

        Whether the answer has a body is a quirk: Dhan's documents and its servers differ.
        """
        order_id, leg = call.path("order_id"), call.path("leg")
        if leg not in list(Leg):
            return refuse(NO_SUCH_ORDER)
        refusal = self._super.cancel(call.client_id, order_id, Leg(leg), self._exchange.second)
        if refusal:
            return refuse(refusal)
        if not self._quirks.super_cancel_has_body:
            return web.Response(status=202)
        return _reply(order_id, Status.CANCELLED, 202)

    async def list_super(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/super/orders`: all of the day, each with its legs."""
        book = self._exchange.book
        return web.json_response(
            [
                super_json(made, book.last(made.entry.request.instrument))
                for made in self._super.of(call.client_id)
            ]
        )

    async def place_forever(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/forever/orders`: keep one trigger, or a pair (OCO)."""
        wish = placement.read(
            call.body,
            call.client_id,
            lambda fields: placement.forever_request(fields, call.client_id),
        )
        if isinstance(wish, Refusal):
            return refuse(wish)
        made = self._forever.place(wish.first, wish.second, self._exchange.second)
        return refuse(made) if isinstance(made, Refusal) else _reply(made.order_id, Status.PENDING)

    async def modify_forever(self, call: Call) -> web.StreamResponse:
        """Answer `PUT /v2/forever/orders/{order_id}`: change a leg that still waits."""
        asked = placement.read(call.body, call.client_id, placement.forever_modification)
        if isinstance(asked, Refusal):
            return refuse(asked)
        leg, wish = asked
        made = self._forever.modify(
            call.client_id, call.path("order_id"), leg, wish, self._exchange.second
        )
        return refuse(made) if isinstance(made, Refusal) else _reply(made.order_id, Status.PENDING)

    async def cancel_forever(self, call: Call) -> web.StreamResponse:
        """Answer `DELETE /v2/forever/orders/{order_id}`: end the legs that still wait."""
        made = self._forever.cancel(call.client_id, call.path("order_id"), self._exchange.second)
        return (
            refuse(made) if isinstance(made, Refusal) else _reply(made.order_id, Status.CANCELLED)
        )

    async def list_forever(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/forever/orders`: a row for each leg."""
        made = self._forever.of(call.client_id)
        return web.json_response([forever_json(order, leg) for order in made for leg in order.legs])


def _reply(order_id: str, status: str, http_status: int = 200) -> web.Response:
    return web.json_response({"orderId": order_id, "orderStatus": status}, status=http_status)

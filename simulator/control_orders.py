"""Orders and books under `/control`: what other hands do to an account, and what is true of it.

For tests of the whole, which need an order from the phone, a stop that is lost, and the broker's
own books to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import orjson
from aiohttp import web

from simulator.accounts import Accounts
from simulator.api import requests as placement
from simulator.api.silences import Silences
from simulator.control_requests import json_object, refuse, text
from simulator.exchange import Exchange
from simulator.matching.enums import Leg, Source
from simulator.matching.ledger import Position, PositionKey
from simulator.matching.order import Order
from simulator.matching.protection import ProtectionRecord, Spell
from simulator.matching.super_orders import SuperOrders
from simulator.refusals import Refusal
from simulator.serializers import Json, order_json, super_json, trade_json

_WITHDRAWN = "EXCH: 16388: order cancelled by the exchange"


class OrderControl:
    """The handlers. Bad requests get 400 and one sentence."""

    def __init__(
        self,
        exchange: Exchange,
        super_orders: SuperOrders,
        accounts: Accounts,
        protection: ProtectionRecord,
        silences: Silences,
    ) -> None:
        self._exchange = exchange
        self._orders = exchange.book
        self._super = super_orders
        self._accounts = accounts
        self._protection = protection
        self._silences = silences

    def routes(self) -> list[web.RouteDef]:
        """The paths of orders and books."""
        return [
            web.post("/control/orders", self.place),
            web.post("/control/orders/{order_id}/cancel", self.cancel),
            web.post("/control/orders/{order_id}/reject", self.reject),
            web.post("/control/orders/{order_id}/lose", self.lose),
            web.get("/control/books/{client_id}", self.books),
        ]

    async def place(self, request: web.Request) -> web.Response:
        """Answer `POST /control/orders`: an order from the account's phone.

        The body is `{"client_id", "order"}`, the order as in `POST /v2/orders`.
        """
        try:
            body = await json_object(request, "client_id", "order")
            client_id = self._known(text(body, "client_id"))
        except ValueError as error:
            return refuse(str(error))
        asked = placement.read_order(orjson.dumps(body.get("order")), client_id)
        if isinstance(asked, Refusal):
            return refuse(asked.message)
        placed = self._orders.place(replace(asked, source=Source.PHONE), self._exchange.second)
        return refuse(placed.message) if isinstance(placed, Refusal) else _acknowledge(placed)

    async def cancel(self, request: web.Request) -> web.Response:
        """Answer `POST /control/orders/{order_id}/cancel`: the account cancels by phone."""
        try:
            await _no_fields(request)
            order = self._order(request)
        except ValueError as error:
            return refuse(str(error))
        done = self._orders.cancel(order.request.client_id, order.order_id, self._exchange.second)
        return refuse(done.message) if isinstance(done, Refusal) else _acknowledge(order)

    async def reject(self, request: web.Request) -> web.Response:
        """Answer `POST /control/orders/{order_id}/reject`: the exchange turns an accepted order
        down after all. The body is `{"reason"}`.
        """
        try:
            reason = text(await json_object(request, "reason"), "reason")
            order = self._order(request)
        except ValueError as error:
            return refuse(str(error))
        if not order.status.live or order.trades:
            return refuse(f"cannot be rejected: it is {order.status}, {order.filled} traded")
        self._orders.reject(order, reason, self._exchange.second)
        return _acknowledge(order)

    async def lose(self, request: web.Request) -> web.Response:
        """Answer `POST /control/orders/{order_id}/lose`: the exchange drops a waiting order.

        With `{"leg"}` the id is a super order's, and its exit of that name is dropped; the super
        order goes on without.
        """
        try:
            body = await json_object(request, "leg") if request.can_read_body else {}
            order = self._leg(request, text(body, "leg")) if body else self._order(request)
        except ValueError as error:
            return refuse(str(error))
        if not order.status.live:
            return refuse(f"cannot be lost: it is {order.status}")
        order.reason = _WITHDRAWN
        self._orders.withdraw(order, self._exchange.second)
        return _acknowledge(order)

    async def books(self, request: web.Request) -> web.Response:
        """Answer `GET /control/books/{client_id}`: what is true of an account.

        Paise are exact, as texts. The times of `protection` say when a position had which stop.
        """
        try:
            client_id = self._known(request.match_info["client_id"])
        except ValueError as error:
            return refuse(str(error))
        orders = self._orders.of(client_id)
        trades = sorted(
            ((order, trade) for order in orders for trade in order.trades),
            key=lambda made: made[1].trade_id,
        )
        return web.json_response(
            {
                "market_time": self._exchange.second,
                "machine_time": self._protection.now,
                "orders": [_order_row(order) for order in orders],
                "trades": [
                    trade_json(order, trade) | {"value_paise": str(int(trade.value))}
                    for order, trade in trades
                ],
                "positions": [
                    _position_row(position) for position in self._orders.ledger.of(client_id)
                ],
                "super_orders": [
                    super_json(made, self._orders.last(made.entry.request.instrument))
                    for made in self._super.of(client_id)
                ],
                "protection": self._protection_row(client_id),
            }
        )

    def _protection_row(self, client_id: str) -> Json:
        spells = self._protection.spells(client_id, self._exchange.second)
        at = self._protection.at
        silences = [(at(begin), at(end)) for begin, end in self._silences.of(client_id)]
        return {
            "exposures": [
                _names(key) | asdict(exposure)
                for key, seen in self._protection.of(client_id).items()
                for exposure in seen
            ],
            "unprotected": [_spell_row(spell) for spell in spells],
            "machine_seconds": _worst_and_total(spell.machine_seconds for spell in spells),
            "market_seconds": _worst_and_total(spell.market_seconds for spell in spells),
            "silences": silences,
            "answering_seconds": _worst_and_total(
                spell.seconds_without(silences) for spell in spells
            ),
        }

    def _known(self, client_id: str) -> str:
        if self._accounts.get(client_id) is None:
            raise ValueError(f"client_id: no such account: {client_id!r}")
        return client_id

    def _order(self, request: web.Request) -> Order:
        order_id = request.match_info["order_id"]
        order = next((one for one in self._orders.all() if one.order_id == order_id), None)
        if order is None:
            raise ValueError(f"no such order: {order_id!r}")
        return order

    def _leg(self, request: web.Request, name: str) -> Order:
        entry = self._order(request)
        made = self._super.by_id(entry.request.client_id, entry.order_id)
        legs = made.legs if made else {}
        leg = next((order for at, order in legs.items() if at == name), None)
        if leg is None:
            raise ValueError(
                f"leg: {name!r} of {entry.order_id} does not stand at the exchange; there are "
                f"{Leg.STOP_LOSS} and {Leg.TARGET}"
            )
        return leg


async def _no_fields(request: web.Request) -> None:
    if request.can_read_body:
        await json_object(request)


def _acknowledge(order: Order) -> web.Response:
    return web.json_response({"orderId": order.order_id, "orderStatus": order.status})


def _order_row(order: Order) -> Json:
    return order_json(order) | {
        "parentOrderId": order.parent_id,
        "source": order.request.source,
        "valuePaise": str(int(order.traded_value)),
    }


def _position_row(position: Position) -> Json:
    return _names(PositionKey(position.instrument.id, position.product)) | {
        "bought": position.bought,
        "sold": position.sold,
        "net": position.net,
        "bought_paise": str(position.bought_value),
        "sold_paise": str(position.sold_value),
        "realised_paise": str(position.realised),
    }


def _spell_row(spell: Spell) -> Json:
    row: dict[str, Any] = asdict(spell)
    del row["key"]
    return _names(spell.key) | row


def _names(key: PositionKey) -> Json:
    return {
        "exchangeSegment": key.instrument.segment,
        "securityId": str(key.instrument.security_id),
        "productType": key.product,
    }


def _worst_and_total(lengths: Iterable[float]) -> Json:
    taken = list(lengths)
    return {"worst": max(taken, default=0), "total": sum(taken)}

"""Dhan's endpoints of what an account has: positions, holdings, funds, margins, and their exits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from schemas.units import Paise
from simulator.api import requests as placement
from simulator.api.guard import ApiGuard, Call
from simulator.api.replies import refuse
from simulator.api.requests import Fields, InvalidField
from simulator.config import Quirks
from simulator.exchange import Venue
from simulator.matching.controls import Controls
from simulator.matching.enums import Product
from simulator.matching.ledger import MARGIN_RATES, Holding, Position, PositionKey
from simulator.matching.order import Order, OrderRequest
from simulator.matching.risk import margin, worst_price
from simulator.refusals import Code, Refusal
from simulator.serializers import Json, derivative, isin, rupees

_NO_HOLDINGS = Refusal(Code.HOLDINGS, "No holdings available")


class Portfolio:
    """The handlers."""

    def __init__(self, exchange: Venue, controls: Controls, door: ApiGuard, quirks: Quirks) -> None:
        self._exchange = exchange
        self._orders = exchange.book
        self._controls = controls
        self._door = door
        self._quirks = quirks

    def routes(self) -> list[web.RouteDef]:
        """The paths of positions, holdings, funds and margins."""
        reading, trading = self._door.reading, self._door.trading
        return [
            web.get("/v2/positions", reading(self.positions)),
            web.delete("/v2/positions", trading(self.exit_all)),
            web.post("/v2/positions/convert", trading(self.convert)),
            web.get("/v2/holdings", reading(self.holdings)),
            web.get("/v2/fundlimit", reading(self.funds)),
            web.post("/v2/margincalculator", reading(self.margin)),
            web.post("/v2/margincalculator/multi", reading(self.margin_of_many)),
        ]

    async def positions(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/positions`: all of the day, closed ones included."""
        held = self._orders.ledger.of(call.client_id)
        return web.json_response(
            [self._position_json(call.client_id, position) for position in held]
        )

    async def exit_all(self, call: Call) -> web.StreamResponse:
        """Answer `DELETE /v2/positions`: cancel all orders, close all positions at the market."""
        self._controls.exit_all(call.client_id, self._exchange.second)
        if not self._quirks.exit_all_has_body:
            return web.Response(status=202)
        return web.json_response(
            {"status": "SUCCESS", "message": "All orders and positions exited successfully"}
        )

    async def convert(self, call: Call) -> web.StreamResponse:
        """202 without a body, which `dhanhq` 2.3.0 takes for a failure."""
        asked = placement.read(call.body, call.client_id, _conversion)
        if isinstance(asked, Refusal):
            return refuse(asked)
        key, position_type, quantity, to = asked
        net = self._orders.ledger.net(call.client_id, *key)
        if (net > 0) is not (position_type == "LONG"):
            return refuse(Refusal(Code.ORDER, f"No {position_type} position to convert"))
        refusal = self._orders.convert(call.client_id, key, quantity, to)
        return refuse(refusal) if refusal else web.Response(status=202)

    async def holdings(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/holdings`; a user without any gets an error, as at Dhan."""
        held = self._orders.risk.purse(call.client_id).holdings
        rows = [
            self._holding_json(PositionKey(key, Product.CNC), holding)
            for key, holding in held.items()
        ]
        return web.json_response(rows) if rows else refuse(_NO_HOLDINGS)

    async def funds(self, call: Call) -> web.StreamResponse:
        """Answer `GET /v2/fundlimit`: balance at the start, used and left, in rupees."""
        funds = self._orders.funds(call.client_id)
        opening, available = funds.opening or Paise(0), funds.available or Paise(0)
        return web.json_response(
            {
                "dhanClientId": call.client_id,
                "availabelBalance": rupees(available),  # Dhan's spelling
                "sodLimit": rupees(opening),
                "collateralAmount": 0.0,
                "receiveableAmount": 0.0,
                "utilizedAmount": rupees(funds.used),
                "blockedPayoutAmount": 0.0,
                "withdrawableBalance": rupees(max(0, min(available, opening - funds.used))),
            }
        )

    async def margin(self, call: Call) -> web.StreamResponse:
        """Answer `POST /v2/margincalculator`: what one order would bind."""
        asked = placement.read(
            call.body, call.client_id, lambda fields: placement.hypothetical(fields, call.client_id)
        )
        if isinstance(asked, Refusal):
            return refuse(asked)
        order = self._sketch(asked)
        if isinstance(order, Refusal):
            return refuse(order)
        needed, available = (
            margin([], [order]),
            self._orders.funds(call.client_id).available or Paise(0),
        )
        value = order.remaining * worst_price(order)
        cash = asked.instrument.segment.endswith("_EQ")
        return web.json_response(
            {
                "totalMargin": rupees(needed),
                "spanMargin": 0.0 if cash else rupees(needed * 3 // 4),
                "exposureMargin": 0.0 if cash else rupees(needed - needed * 3 // 4),
                "availableBalance": rupees(available),  # spelled right here
                "variableMargin": rupees(needed) if cash else 0.0,
                "insufficientBalance": rupees(max(0, needed - available)),
                "brokerage": 0.0
                if asked.product in {Product.CNC, Product.MTF}
                else min(20.0, rupees(value) * 0.0003),
                "leverage": f"{100 / MARGIN_RATES[asked.product]:.2f}",
            }
        )

    async def margin_of_many(self, call: Call) -> web.StreamResponse:
        """Margin of several orders together.

        Both spellings of the request are taken: `scripList` or `scripts`, `includeOrder` or
        `includeOrders`.
        """
        asked = placement.read(
            call.body, call.client_id, lambda fields: _basket(fields, call.client_id)
        )
        if isinstance(asked, Refusal):
            return refuse(asked)
        requests, with_positions, with_orders = asked
        orders = [self._sketch(request) for request in requests]
        for order in orders:
            if isinstance(order, Refusal):
                return refuse(order)
        positions = self._orders.ledger.of(call.client_id) if with_positions else []
        waiting = self._orders.live(call.client_id) if with_orders else []
        sketches = [order for order in orders if isinstance(order, Order)]
        return web.json_response(
            self._basket_json(call.client_id, positions, [*waiting, *sketches])
        )

    def _basket_json(
        self, client_id: str, positions: Sequence[Position], orders: Sequence[Order]
    ) -> Json:
        total = margin(positions, orders)
        shares = margin(
            [position for position in positions if position.instrument.id.segment.endswith("_EQ")],
            [order for order in orders if order.request.instrument.segment.endswith("_EQ")],
        )
        contracts = total - shares
        span = contracts * 3 // 4
        if self._quirks.multi_margin_in_camel_case:
            return {
                "clientId": client_id,
                "totalMargin": rupees(total),
                "spanMargin": rupees(span),
                "exposure": rupees(contracts - span),
                "equityMargin": rupees(shares),
                "foMargin": rupees(contracts),
                "commodity": 0.0,
                "currency": 0.0,
            }
        amounts = {
            "total_margin": total,
            "span_margin": span,
            "exposure_margin": contracts - span,
            "equity_margin": shares,
            "fo_margin": contracts,
            "commodity_margin": 0,
        }
        texts = {name: f"{rupees(amount):.2f}" for name, amount in amounts.items()}
        return {**texts, "currency": "INR", "hedge_benefit": ""}

    def _sketch(self, request: OrderRequest) -> Order | Refusal:
        if self._orders.instrument(request.instrument) is None:
            return Refusal(Code.INPUT, f"Invalid SecurityId: {request.instrument}")
        return self._orders.sketch(request)

    def _position_json(self, client_id: str, position: Position) -> Json:
        net, last = position.net, self._orders.last(position.instrument.id)
        return {
            "dhanClientId": client_id,
            "tradingSymbol": position.instrument.symbol,
            "securityId": str(position.instrument.id.security_id),
            "positionType": "LONG" if net > 0 else "SHORT" if net < 0 else "CLOSED",
            "exchangeSegment": position.instrument.id.segment,
            "productType": position.product,
            "buyAvg": rupees(position.buy_average),
            "buyQty": position.bought,
            "costPrice": rupees(position.cost),
            "sellAvg": rupees(position.sell_average),
            "sellQty": position.sold,
            "netQty": net,
            "realizedProfit": rupees(position.realised),
            "unrealizedProfit": rupees(position.unrealised(last)),
            "rbiReferenceRate": 1.0,
            "multiplier": 1,
            "carryForwardBuyQty": 0,
            "carryForwardSellQty": 0,
            "carryForwardBuyValue": 0.0,
            "carryForwardSellValue": 0.0,
            "dayBuyQty": position.bought,
            "daySellQty": position.sold,
            "dayBuyValue": rupees(position.bought_value),
            "daySellValue": rupees(position.sold_value),
            **derivative(position.contract),
            "crossCurrency": False,
        }

    def _holding_json(self, key: PositionKey, holding: Holding) -> Json:
        instrument, last = (
            self._orders.instrument(key.instrument),
            self._orders.last(key.instrument),
        )
        return {
            "exchange": "ALL",
            "tradingSymbol": instrument.symbol if instrument else "",
            "securityId": str(key.instrument.security_id),
            "isin": isin(key.instrument.security_id),
            "totalQty": holding.quantity,
            "dpQty": holding.quantity,
            "t1Qty": 0,
            "mtf_t1_qty": 0,
            "mtf_qty": 0,
            "availableQty": holding.quantity - holding.pledged,
            "collateralQty": holding.pledged,
            "avgCostPrice": rupees(holding.average_cost),
            "lastTradedPrice": rupees(last or 0),
        }


def _conversion(fields: Fields) -> tuple[PositionKey, Any, int, Product]:
    quantity = fields.raw("convertQty")
    if isinstance(quantity, str) and quantity.isdecimal():  # as Dhan's page writes it
        quantity = int(quantity)
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity <= 0:
        raise InvalidField(f"convertQty: {quantity!r}")
    key = PositionKey(fields.instrument(), fields.choice("fromProductType", Product))
    position_type, to = fields.raw("positionType"), fields.choice("toProductType", Product)
    if position_type not in ("LONG", "SHORT") or to is key.product:
        raise InvalidField(f"positionType: {position_type!r}, toProductType: {to}")
    return key, position_type, quantity, to


def _basket(fields: Fields, client_id: str) -> tuple[list[OrderRequest], bool, bool]:
    listed = fields.raw("scripList") or fields.raw("scripts")
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise InvalidField("scripList: a list of objects")
    requests = [placement.hypothetical(Fields(row), client_id) for row in listed]
    with_orders = fields.truth("includeOrder") or fields.truth("includeOrders")
    return requests, fields.truth("includePosition"), with_orders

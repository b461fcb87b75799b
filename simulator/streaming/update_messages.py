"""Order updates as Dhan words them, one alert for each change.

The keys have the casing of Dhan's documents or of its live frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from schemas.ids import Segment
from schemas.market import Side
from simulator.config import Casing
from simulator.matching.enums import Leg, OrderType, Product, Status
from simulator.matching.order import OrderSnapshot
from simulator.serializers import CONFIRMED, NO_DATE, clock, isin, rupees

_PRODUCTS: Final[Mapping[Product, str]] = {
    Product.CNC: "C",
    Product.INTRADAY: "I",
    Product.MARGIN: "M",
    Product.MTF: "F",
}
_TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.LIMIT: "LMT",
    OrderType.MARKET: "MKT",
    OrderType.STOP_LOSS: "SL",
    OrderType.STOP_LOSS_MARKET: "SLM",
}
_LEGS: Final[Mapping[Leg | None, int]] = {None: 1, Leg.ENTRY: 1, Leg.STOP_LOSS: 2, Leg.TARGET: 3}
# A partial fill has no status of its own here: it says TRADED, and the quantities tell that it was
# not all.
_STATUSES: Final[Mapping[Status, str]] = {
    Status.PART_TRADED: "TRADED",
    Status.TRIGGERED: "PENDING",
    Status.CLOSED: "TRADED",
    Status.CONFIRM: "PENDING",
}
_LETTERS: Final = {"EQ": "E", "FNO": "D", "CURRENCY": "C", "COMM": "M", "I": "E"}


def alert(order: OrderSnapshot, casing: Casing) -> str:
    """The message that tells of one change."""
    fields = _fields(order)
    if casing is Casing.CAMEL:
        fields = {_lower(key): value for key, value in fields.items()}
    elif casing is Casing.MIXED:
        fields = {
            _lower(key) if at % 2 else key: value for at, (key, value) in enumerate(fields.items())
        }
    status = fields["status" if "status" in fields else "Status"]
    fields["status" if "status" in fields else "Status"] = (
        status if casing is Casing.PASCAL else status.title()
    )
    return orjson.dumps({"Data": fields, "Type": "order_alert"}).decode()


def _lower(key: str) -> str:
    return key[0].lower() + key[1:]


def _fields(order: OrderSnapshot) -> dict[str, Any]:
    request, instrument, contract = order.request, order.instrument, order.contract
    exchange, letter = _where(request.instrument.segment)
    traded = order.trade.price if order.trade else 0
    return {
        "Exchange": exchange,
        "Segment": letter,
        "Source": request.source,
        "SecurityId": str(request.instrument.security_id),
        "ClientId": request.client_id,
        "ExchOrderNo": order.exchange_order_id,
        "OrderNo": order.order_id,
        "Product": _PRODUCTS[request.product],
        "TxnType": "B" if request.side is Side.BUY else "S",
        "OrderType": _TYPES[order.order_type],
        "Validity": request.validity,
        "DiscQuantity": request.disclosed,
        "DiscQtyRem": min(request.disclosed, order.remaining),
        "RemainingQuantity": order.remaining,
        "Quantity": request.quantity,
        "TradedQty": order.filled,
        "Price": rupees(order.limit or 0),
        "TriggerPrice": rupees(request.trigger),
        "TradedPrice": rupees(traded),
        "AvgTradedPrice": rupees(order.average_price),
        "AlgoOrdNo": order.parent_id,
        "OffMktFlag": "1" if request.after_market else "0",
        "OrderDateTime": clock(order.created_at),
        "ExchOrderTime": clock(order.updated_at),
        "LastUpdatedTime": clock(order.updated_at),
        "Remarks": request.remarks,
        "MktType": "NL",
        "ReasonDescription": order.reason or CONFIRMED,
        "LegNo": _LEGS[request.leg],
        "Instrument": instrument.kind,
        "Symbol": instrument.symbol,
        "ProductName": request.product,
        "Status": _STATUSES.get(order.status, order.status.value),
        "LotSize": instrument.lot_size,
        "StrikePrice": rupees(contract.strike) if contract else 0.0,
        "ExpiryDate": f"{contract.expiry} 14:30:00" if contract else f"{NO_DATE} 00:00:00",
        "OptType": contract.right if contract else "XX",
        "DisplayName": instrument.name,
        "Isin": isin(request.instrument.security_id),
        "Series": "EQ",
        "GoodTillDaysDate": clock(order.created_at)[:10],
        "RefLtp": rupees(traded or order.limit or 0),
        "TickSize": rupees(instrument.tick_size),
        "AlgoId": order.algo_id,
        "Multiplier": 1,
        "CorrelationId": request.correlation_id,
    }


def _where(segment: Segment) -> tuple[str, str]:
    """Exchange and letter, as order updates have them apart."""
    exchange, _, kind = segment.value.partition("_")
    return ("NSE" if exchange == "IDX" else exchange), _LETTERS[kind]

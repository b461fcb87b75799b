"""Dhan's JSON for orders, trades and legs: exact field names, misspellings included.

Rupees are floats, as on the wire.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from schemas.market import Side
from schemas.units import UtcNs
from simulator.market.contracts import Contract
from simulator.matching.enums import Change, Leg, Product
from simulator.matching.forever_orders import Flag, ForeverLeg, ForeverOrder
from simulator.matching.order import Order, OrderSnapshot, Trade
from simulator.matching.super_orders import SuperOrder

ABSENT: Final = "NA"  # Dhan's word for what is not there: a time, a leg, an option's side
NO_DATE: Final = "0001-01-01"
CONFIRMED: Final = "CONFIRMED"  # what stands where a rejected order has its reason
# Per rupee of value. Rates of an equity trade at NSE in 2026, near enough for a bill that looks
# real.
_STT: Final = {Product.INTRADAY: (0.0, 0.00025), Product.MARGIN: (0.0, 0.00025)}
_STT_DELIVERY: Final = (0.001, 0.001)
_SEBI: Final = 0.000001
_EXCHANGE: Final = 0.0000297
_STAMP: Final = {Product.INTRADAY: 0.00003, Product.MARGIN: 0.00003}
_STAMP_DELIVERY: Final = 0.00015
_GST: Final = 0.18
_BROKERAGE: Final = (20.0, 0.0003)  # rupees at most, else this share; delivery is free

Json = dict[str, Any]


def rupees(paise: int | Fraction) -> float:
    """Rupees as Dhan's JSON has them."""
    return float(paise) / 100


def clock(second: int) -> str:
    """Market time as Dhan writes it: on Indian clocks, without saying so."""
    return f"{UtcNs.seconds(second).ist():%Y-%m-%d %H:%M:%S}"


def order_json(order: Order) -> Json:
    """One row of the order book."""
    return snapshot_json(order.snapshot(Change.PLACED))


def snapshot_json(order: OrderSnapshot) -> Json:
    """The order object of book, lookups and postbacks."""
    request, updated = order.request, clock(order.updated_at)
    return {
        "dhanClientId": request.client_id,
        "orderId": order.order_id,
        "exchangeOrderId": order.exchange_order_id,
        "correlationId": request.correlation_id,
        "orderStatus": order.status,
        "transactionType": request.side,
        "exchangeSegment": request.instrument.segment,
        "productType": request.product,
        "orderType": order.order_type,
        "validity": request.validity,
        "tradingSymbol": order.instrument.symbol,
        "securityId": str(request.instrument.security_id),
        "quantity": request.quantity,
        "disclosedQuantity": request.disclosed,
        "price": rupees(order.limit or 0),
        "triggerPrice": rupees(request.trigger),
        "afterMarketOrder": request.after_market,
        "boProfitValue": 0.0,
        "boStopLossValue": 0.0,
        "legName": request.leg or ABSENT,
        "createTime": clock(order.created_at),
        "updateTime": updated,
        "exchangeTime": updated,
        **derivative(order.contract),
        "omsErrorCode": order.reason_code or None,
        "omsErrorDescription": order.reason or CONFIRMED,
        "algoId": order.algo_id,
        "remainingQuantity": order.remaining,
        "averageTradedPrice": rupees(order.average_price),
        "filledQty": order.filled,
    }


def trade_json(order: Order, trade: Trade) -> Json:
    """One row of the day's trade book."""
    at = clock(trade.second)
    return {
        **_trade_ids(order, trade),
        "tradingSymbol": order.instrument.symbol,
        "tradedQuantity": trade.quantity,
        "tradedPrice": rupees(trade.price),
        "createTime": clock(order.created_at),
        "updateTime": at,
        "exchangeTime": at,
        **derivative(order.contract),
    }


def history_json(order: Order, trade: Trade) -> Json:
    """One row of the trade history, with what the trade cost."""
    return {
        **_trade_ids(order, trade),
        "tradingSymbol": None,
        "customSymbol": order.instrument.name,
        "tradedQuantity": trade.quantity,
        "tradedPrice": rupees(trade.price),
        "isin": isin(order.request.instrument.security_id),
        "instrument": order.instrument.kind,
        **_charges(order, trade),
        "createTime": ABSENT,
        "updateTime": ABSENT,
        "exchangeTime": clock(trade.second),
        **derivative(order.contract, no_date=ABSENT),
    }


def isin(security_id: int) -> str:
    """A made-up security number of the right shape."""
    return f"INE{security_id % 1_000_000:06d}010"


def super_json(made: SuperOrder, last: int | None) -> Json:
    """One super order with its exits.

    An exit has the entry's order id until it stands at the exchange, and then its own, as which it
    is in the order book.
    """
    row = order_json(made.entry)
    kept = (
        "dhanClientId", "orderId", "correlationId", "orderStatus", "transactionType",
        "exchangeSegment", "productType",
        "orderType", "validity", "tradingSymbol", "securityId", "quantity", "remainingQuantity",
        "price",
        "afterMarketOrder", "legName", "exchangeOrderId", "createTime", "updateTime",
        "exchangeTime",
        "averageTradedPrice", "filledQty",
    )  # fmt: skip
    return {name: row[name] for name in kept} | {
        "orderStatus": made.status,
        "ltp": rupees(last or 0),
        "omsErrorDescription": row["omsErrorDescription"],
        "legDetails": [_leg_json(made, leg) for leg in (Leg.STOP_LOSS, Leg.TARGET)],
    }


def _leg_json(made: SuperOrder, leg: Leg) -> Json:
    order, entry_side = made.legs.get(leg), made.entry.request.side
    return {
        "orderId": order.order_id if order else made.entry.order_id,
        "legName": leg,
        "transactionType": Side.SELL if entry_side is Side.BUY else Side.BUY,
        "totalQuatity": order.request.quantity if order else 0,  # Dhan's spelling
        "remainingQuantity": order.remaining if order else 0,
        "triggeredQuantity": order.request.quantity if order and not order.armed else 0,
        "price": rupees(made.exits.price(leg)),
        "orderStatus": made.leg_status(leg),
        "trailingJump": rupees(made.exits.jump) if leg is Leg.STOP_LOSS else 0.0,
    }


def forever_json(made: ForeverOrder, leg: ForeverLeg) -> Json:
    """One row of the list of forever orders; an OCO has two.

    `orderType` says how many triggers, not how it is priced.
    """
    request = leg.request
    return {
        "dhanClientId": made.client_id,
        "orderId": made.order_id,
        "orderStatus": leg.status,
        "transactionType": request.side,
        "exchangeSegment": request.instrument.segment,
        "productType": request.product,
        "orderType": made.flag,
        "tradingSymbol": leg.symbol,
        "securityId": str(request.instrument.security_id),
        "quantity": request.quantity,
        "price": rupees(request.price),
        "triggerPrice": rupees(request.trigger),
        "legName": Leg.ENTRY if made.flag is Flag.SINGLE else leg.leg,
        "createTime": clock(made.created_at),
        "updateTime": clock(made.updated_at) if made.updated_at != made.created_at else None,
        "exchangeTime": clock(leg.order.updated_at) if leg.order else None,
        **derivative(None),
    }


def derivative(contract: Contract | None, *, no_date: str = NO_DATE) -> Json:
    """An option's expiry, side and strike (rupees), and what stands there for a share."""
    if contract is None:
        return {"drvExpiryDate": no_date, "drvOptionType": ABSENT, "drvStrikePrice": 0.0}
    return {
        "drvExpiryDate": contract.expiry.isoformat(),
        "drvOptionType": contract.right.name,
        "drvStrikePrice": rupees(contract.strike),
    }


def _trade_ids(order: Order, trade: Trade) -> Json:
    request = order.request
    return {
        "dhanClientId": request.client_id,
        "orderId": order.order_id,
        "exchangeOrderId": order.order_id[::-1],
        "exchangeTradeId": trade.trade_id,
        "transactionType": request.side,
        "exchangeSegment": request.instrument.segment,
        "productType": request.product,
        "orderType": order.shown_type,
        "securityId": str(request.instrument.security_id),
    }


def _charges(order: Order, trade: Trade) -> Json:
    product, selling = order.request.product, order.request.side is Side.SELL
    value = rupees(trade.value)
    delivery = product in {Product.CNC, Product.MTF}
    brokerage = 0.0 if delivery else min(_BROKERAGE[0], value * _BROKERAGE[1])
    exchange, sebi = value * _EXCHANGE, value * _SEBI
    charges = {
        "sebiTax": sebi,
        "stt": value * _STT.get(product, _STT_DELIVERY)[selling],
        "brokerageCharges": brokerage,
        "serviceTax": (brokerage + exchange + sebi) * _GST,
        "exchangeTransactionCharges": exchange,
        "stampDuty": 0.0 if selling else value * _STAMP.get(product, _STAMP_DELIVERY),
    }
    return {name: round(charge, 4) for name, charge in charges.items()}

"""Valid wholes for the tests of `dhan/`; each test breaks one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from pydantic import SecretStr

from dhan.orders import NewOrder
from dhan.transport import Credentials, parse_json
from schemas.ids import CorrelationId, DhanClientId, InstrumentId, Segment
from schemas.market import Side
from schemas.units import Price, Quantity

TOKEN = "eyJhbGciOiJIUzUxMiJ9.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl"


def credentials(token: str = TOKEN) -> Credentials:
    return Credentials(DhanClientId("1100000001"), SecretStr(token))


def an_order(**changes: Any) -> NewOrder:
    order = NewOrder(
        instrument=InstrumentId(Segment.NSE_EQ, 2885),
        side=Side.BUY,
        quantity=Quantity(10),
        price=Price(165855),
        correlation_id=CorrelationId("AT0123456789abcdef"),
    )
    return replace(order, **changes)


def received(body: Any) -> Any:
    """`body` as it looks after its way as JSON: with exact numbers."""
    return parse_json(orjson.dumps(body))


def a_book_row(**changes: Any) -> dict[str, Any]:
    """A row of the order book with every field of Dhan's."""
    row = {
        "dhanClientId": "1100000001",
        "orderId": "112111182198",
        "exchangeOrderId": "1300000000123456",
        "correlationId": "AT0123456789abcdef",
        "orderStatus": "PENDING",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_EQ",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "tradingSymbol": "RELIANCE",
        "securityId": "2885",
        "quantity": 10,
        "disclosedQuantity": 0,
        "price": 1658.55,
        "triggerPrice": 0.0,
        "afterMarketOrder": False,
        "boProfitValue": 0.0,
        "boStopLossValue": 0.0,
        "legName": "NA",
        "createTime": "2026-11-27 09:20:01",
        "updateTime": "2026-11-27 09:20:02",
        "exchangeTime": "2026-11-27 09:20:02",
        "drvExpiryDate": "0001-01-01",
        "drvOptionType": "NA",
        "drvStrikePrice": 0.0,
        "omsErrorCode": None,
        "omsErrorDescription": "CONFIRMED",
        "algoId": "0",
        "remainingQuantity": 6,
        "averageTradedPrice": 1658.4333,
        "filledQty": 4,
    }
    return row | changes

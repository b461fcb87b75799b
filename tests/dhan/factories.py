"""Valid wholes for the tests of `dhan/`; each test breaks one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from dhan.orders import NewOrder
from dhan.transport import Credentials
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


def a_book_row(**changes: Any) -> dict[str, Any]:
    row = {
        "dhanClientId": "1100000001",
        "orderId": "112111182198",
        "correlationId": "AT0123456789abcdef",
        "orderStatus": "PENDING",
        "transactionType": "BUY",
        "quantity": 10,
        "price": 1658.55,
        "omsErrorCode": None,
        "omsErrorDescription": None,
    }
    return row | changes

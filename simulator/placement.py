"""Reads the body of a new order, strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson

from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.order import OrderRequest
from simulator.matching.terms import OrderType, Product, Validity
from simulator.refusals import BAD_TOKEN, Code, Refusal

MAX_QUANTITY: Final = 1_000_000  # far above any freeze quantity
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9 _.-]{0,30}")  # all characters either of Dhan's documents allows

E = TypeVar("E", bound=StrEnum)


class _Wrong(Exception):
    """A field is missing or has a bad value. Dhan does not name it; we do, for whoever debugs."""


def read_order(body: bytes, client_id: str) -> OrderRequest | Refusal:
    """The order in `body`, placed with the token of `client_id`."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc. (not JSON)")
    if not isinstance(payload, dict):
        return Refusal(Code.INPUT, "Missing required fields, bad values for parameters etc. (not an object)")
    if payload.get("dhanClientId", client_id) != client_id:
        return BAD_TOKEN
    try:
        return _request(payload, client_id)
    except _Wrong as error:
        return Refusal(Code.INPUT, f"Missing required fields, bad values for parameters etc. ({error})")


def _request(payload: Mapping[str, Any], client_id: str) -> OrderRequest:
    order_type = _choice(payload, "orderType", OrderType)
    if order_type.waits_for_trigger:
        raise _Wrong(f"orderType: {order_type}")
    return OrderRequest(
        client_id=client_id,
        correlation_id=_correlation_id(payload),
        side=_choice(payload, "transactionType", Side),
        instrument=_instrument(payload),
        product=_choice(payload, "productType", Product),
        order_type=order_type,
        validity=_choice(payload, "validity", Validity),
        quantity=_quantity(payload),
        price=_price(payload) if order_type is OrderType.LIMIT else Paise(0),
    )


def _choice(payload: Mapping[str, Any], name: str, kind: type[E]) -> E:
    value = payload.get(name)
    if value not in list(kind):
        raise _Wrong(f"{name}: {value!r}")
    return kind(value)


def _correlation_id(payload: Mapping[str, Any]) -> str:
    value = payload.get("correlationId") or ""
    if not isinstance(value, str) or not _CORRELATION_ID.fullmatch(value):
        raise _Wrong("correlationId: at most 30 letters, digits, space, _ . -")
    return value


def _instrument(payload: Mapping[str, Any]) -> InstrumentId:
    segment, security_id = payload.get("exchangeSegment"), payload.get("securityId")
    if not isinstance(security_id, str) or segment not in list(Segment):
        raise _Wrong("exchangeSegment and securityId: both strings")
    try:
        return InstrumentId.parse(f"{segment}:{security_id}")
    except ValueError:
        raise _Wrong(f"securityId: {security_id[:20]!r}") from None


def _quantity(payload: Mapping[str, Any]) -> Quantity:
    value = payload.get("quantity")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_QUANTITY:
        raise _Wrong(f"quantity: {value!r}")
    return Quantity(value)


def _price(payload: Mapping[str, Any]) -> Paise:
    value = payload.get("price")
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise _Wrong(f"price: {value!r}")
    try:
        return Paise.from_rupees(str(value))  # the shortest text of a float is what the client wrote
    except ValueError:
        raise _Wrong(f"price: {value!r} is no whole number of paise") from None

"""Reads the bodies of order requests, strictly: a wrong type is a wrong field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson

from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import Leg, OrderType, Product, Validity
from simulator.matching.forever_orders import Flag
from simulator.matching.order import Modification, OrderRequest
from simulator.matching.super_orders import Exits
from simulator.refusals import BAD_INPUT, BAD_TOKEN, Code, Refusal

MAX_QUANTITY: Final = 1_000_000  # far above any freeze quantity
# all characters either of Dhan's documents allows
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9 _.-]*")
# seconds
_AFTER_OPEN: Final[Mapping[str, int]] = {
    "PRE_OPEN": 0,
    "OPEN": 0,
    "OPEN_30": 1_800,
    "OPEN_60": 3_600,
}
_COMPLAINT: Final = BAD_INPUT.message

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


class InvalidField(Exception):
    """A field is missing or has a bad value. Dhan does not name it; we do, for whoever debugs."""


class Fields:
    """The fields of one body."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._payload = payload

    def __contains__(self, name: str) -> bool:
        return (
            self._payload.get(name) not in {None, ""}
            if not isinstance(self._payload.get(name), list | dict)
            else True
        )

    def raw(self, name: str) -> Any:
        """The value as the request has it, None when it is missing."""
        return self._payload.get(name)

    def choice(self, name: str, kind: type[E]) -> E:
        """A member of the enum `kind`.

        Raises:
            InvalidField: anything else.
        """
        value = self._payload.get(name)
        if value not in list(kind):
            raise InvalidField(f"{name}: {value!r}")
        return kind(value)

    def truth(self, name: str) -> bool:
        """A boolean; absent is false. Dhan's pages also write it as a text."""
        value = self._payload.get(name)
        if _blank(value) or value is False or value == "false":
            return False
        if value is True or value == "true":
            return True
        raise InvalidField(f"{name}: {value!r}")

    def units(self, name: str, *, least: int = 1) -> Quantity:
        """A whole number of units, at least `least`; with `least` 0 it may be missing.

        Raises:
            InvalidField: anything else.
        """
        value = self._payload.get(name)
        if least == 0 and _blank(value):
            return Quantity(0)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not least <= value <= MAX_QUANTITY
        ):
            raise InvalidField(f"{name}: {value!r}")
        return Quantity(value)

    def money(self, name: str, *, optional: bool = False) -> Paise:
        """Rupees, above zero; with `optional` absent, empty and 0 are 0."""
        value = self._payload.get(name)
        if optional and (_blank(value) or value == 0):
            return Paise(0)
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise InvalidField(f"{name}: {value!r}")
        try:
            # the shortest text of a float is what the client wrote
            return Paise.from_rupees(str(value))
        except ValueError:
            raise InvalidField(f"{name}: {value!r} is no whole number of paise") from None

    def correlation_id(self) -> str:
        """The caller's own id of the order, empty when there is none.

        Raises:
            InvalidField: it has characters that Dhan refuses.
        """
        value = self._payload.get("correlationId") or ""
        if not isinstance(value, str) or not _CORRELATION_ID.fullmatch(value):
            raise InvalidField("correlationId: letters, digits, space, _ . -")
        return value

    def instrument(self) -> InstrumentId:
        """The instrument that `exchangeSegment` and `securityId` name.

        Raises:
            InvalidField: they name none that could exist.
        """
        segment, security_id = self._payload.get("exchangeSegment"), self._payload.get("securityId")
        if not isinstance(security_id, str) or segment not in list(Segment):
            raise InvalidField("exchangeSegment and securityId: both strings")
        try:
            return InstrumentId.parse(f"{segment}:{security_id}")
        except ValueError:
            raise InvalidField(f"securityId: {security_id[:20]!r}") from None


def read(body: bytes, client_id: str, reader: Callable[[Fields], T]) -> T | Refusal:
    """What `reader` makes of `body`, sent with the token of `client_id`."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Refusal(Code.INPUT, f"{_COMPLAINT} (not JSON)")
    if not isinstance(payload, dict):
        return Refusal(Code.INPUT, f"{_COMPLAINT} (not an object)")
    if payload.get("dhanClientId", client_id) != client_id:
        return BAD_TOKEN
    try:
        return reader(Fields(payload))
    except InvalidField as error:
        return Refusal(Code.INPUT, f"{_COMPLAINT} ({error})")


def read_order(body: bytes, client_id: str) -> OrderRequest | Refusal:
    """The order in `body`, placed with the token of `client_id`."""
    return read(body, client_id, lambda fields: order_request(fields, client_id))


def order_request(fields: Fields, client_id: str) -> OrderRequest:
    """Read a plain order of `client_id`.

    Raises:
        InvalidField: naming the field at fault.
    """
    order_type = fields.choice("orderType", OrderType)
    after_market = fields.truth("afterMarketOrder")
    return OrderRequest(
        client_id=client_id,
        correlation_id=fields.correlation_id(),
        side=fields.choice("transactionType", Side),
        instrument=fields.instrument(),
        product=fields.choice("productType", Product),
        order_type=order_type,
        validity=fields.choice("validity", Validity),
        quantity=fields.units("quantity"),
        price=fields.money("price") if order_type.has_price else Paise(0),
        trigger=fields.money("triggerPrice") if order_type.waits_for_trigger else Paise(0),
        disclosed=fields.units("disclosedQuantity", least=0),
        after_market=after_market,
        after_open=_after_open(fields) if after_market else 0,
    )


def hypothetical(fields: Fields, client_id: str) -> OrderRequest:
    """An order nobody places, to learn its margin; without a price it is a market order."""
    price = fields.money("price", optional=True)
    return OrderRequest(
        client_id=client_id,
        correlation_id="",
        side=fields.choice("transactionType", Side),
        instrument=fields.instrument(),
        product=fields.choice("productType", Product),
        order_type=OrderType.LIMIT if price else OrderType.MARKET,
        validity=Validity.DAY,
        quantity=fields.units("quantity"),
        price=price,
    )


def modification(fields: Fields) -> Modification:
    """Of a waiting order. Price and trigger are read where the order's new type has them."""
    order_type = fields.choice("orderType", OrderType)
    return Modification(
        order_type=order_type,
        validity=fields.choice("validity", Validity),
        quantity=fields.units("quantity") if "quantity" in fields else None,
        price=fields.money("price") if order_type.has_price else None,
        trigger=fields.money("triggerPrice") if order_type.waits_for_trigger else Paise(0),
        disclosed=fields.units("disclosedQuantity", least=0),
    )


def super_request(fields: Fields, client_id: str) -> tuple[OrderRequest, Exits]:
    """Read a super order of `client_id`: its entry and its exits.

    Raises:
        InvalidField: naming the field at fault.
    """
    order_type = fields.choice("orderType", OrderType)
    if order_type.waits_for_trigger:
        raise InvalidField(f"orderType: {order_type}")
    request = OrderRequest(
        client_id=client_id,
        correlation_id=fields.correlation_id(),
        side=fields.choice("transactionType", Side),
        instrument=fields.instrument(),
        product=fields.choice("productType", Product),
        order_type=order_type,
        validity=Validity.DAY,
        quantity=fields.units("quantity"),
        price=fields.money("price") if order_type.has_price else Paise(0),
    )
    return request, exits(fields)


def exits(fields: Fields) -> Exits:
    """Target, stop and jump; one that is absent is 0, and a jump of 0 ends the trail."""
    names = ("targetPrice", "stopLossPrice", "trailingJump")
    return Exits(*(fields.money(name, optional=True) for name in names))


def super_modification(fields: Fields) -> tuple[Leg, Modification, Exits]:
    """Read what to change of a super order, and of which leg.

    Raises:
        InvalidField: naming the field at fault.
    """
    leg = fields.choice("legName", Leg)
    if leg is not Leg.ENTRY:
        name = "targetPrice" if leg is Leg.TARGET else "stopLossPrice"
        fields.money(name)
        return leg, Modification(), exits(fields)
    order_type = fields.choice("orderType", OrderType)
    price = fields.money("price") if order_type.has_price else None
    return (
        leg,
        Modification(order_type=order_type, quantity=fields.units("quantity"), price=price),
        exits(fields),
    )


@dataclass(frozen=True, slots=True)
class ForeverWish:
    """One or two orders to be sent when their triggers are reached."""

    first: OrderRequest
    second: OrderRequest | None


def forever_request(fields: Fields, client_id: str) -> ForeverWish:
    """Read a forever order of `client_id`: one leg, or two for an OCO.

    Raises:
        InvalidField: naming the field at fault.
    """
    second = (
        _forever_leg(fields, client_id, "1")
        if fields.choice("orderFlag", Flag) is Flag.OCO
        else None
    )
    return ForeverWish(_forever_leg(fields, client_id, ""), second)


def forever_modification(fields: Fields) -> tuple[Leg, Modification]:
    """Read what to change of a forever order, and of which leg.

    Raises:
        InvalidField: naming the field at fault.
    """
    order_type = _forever_type(fields)
    fields.choice("orderFlag", Flag)
    wish = Modification(
        order_type=order_type,
        validity=fields.choice("validity", Validity),
        quantity=fields.units("quantity"),
        price=fields.money("price") if order_type.has_price else None,
        trigger=fields.money("triggerPrice"),
        disclosed=fields.units("disclosedQuantity", least=0),
    )
    return fields.choice("legName", Leg), wish


def _forever_leg(fields: Fields, client_id: str, suffix: str) -> OrderRequest:
    order_type = _forever_type(fields)
    return OrderRequest(
        client_id=client_id,
        correlation_id=fields.correlation_id(),
        side=fields.choice("transactionType", Side),
        instrument=fields.instrument(),
        product=fields.choice("productType", Product),
        order_type=order_type,
        validity=fields.choice("validity", Validity),
        quantity=fields.units(f"quantity{suffix}"),
        price=fields.money(f"price{suffix}") if order_type.has_price else Paise(0),
        trigger=fields.money(f"triggerPrice{suffix}"),
        disclosed=Quantity(0) if suffix else fields.units("disclosedQuantity", least=0),
    )


def _forever_type(fields: Fields) -> OrderType:
    order_type = fields.choice("orderType", OrderType)
    if order_type.waits_for_trigger:
        raise InvalidField(f"orderType: {order_type}")
    return order_type


def _after_open(fields: Fields) -> int:
    value = fields.raw("amoTime") or "OPEN"
    if not isinstance(value, str) or value not in _AFTER_OPEN:
        raise InvalidField(f"amoTime: {value!r}")
    return _AFTER_OPEN[value]


def _blank(value: object) -> bool:
    return value is None or value == ""

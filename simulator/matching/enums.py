"""Dhan's words for orders, spelled as on the wire."""

from __future__ import annotations

from enum import StrEnum


class OrderType(StrEnum):
    """How the price is meant."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_MARKET = "STOP_LOSS_MARKET"

    @property
    def waits_for_trigger(self) -> bool:
        """Whether the order rests until the market reaches its trigger."""
        return self in {OrderType.STOP_LOSS, OrderType.STOP_LOSS_MARKET}

    @property
    def has_price(self) -> bool:
        """Whether the order has a limit."""
        return self in {OrderType.LIMIT, OrderType.STOP_LOSS}


class Product(StrEnum):
    """What happens to the position at the end of the day."""

    CNC = "CNC"
    INTRADAY = "INTRADAY"
    MARGIN = "MARGIN"
    MTF = "MTF"


class Validity(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    IOC = "IOC"


class Status(StrEnum):
    """Where an order or a leg stands.

    TRANSIT to EXPIRED belong to all orders; TRIGGERED and CLOSED only to super orders, CONFIRM only
    to forever orders.
    """

    TRANSIT = "TRANSIT"
    PENDING = "PENDING"
    PART_TRADED = "PART_TRADED"
    TRADED = "TRADED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    TRIGGERED = "TRIGGERED"
    CLOSED = "CLOSED"
    CONFIRM = "CONFIRM"

    @property
    def live(self) -> bool:
        """It may still trade, be modified or be cancelled."""
        return self in (Status.TRANSIT, Status.PENDING, Status.PART_TRADED)


class Leg(StrEnum):
    """Which part of a super or forever order this is."""

    ENTRY = "ENTRY_LEG"
    TARGET = "TARGET_LEG"
    STOP_LOSS = "STOP_LOSS_LEG"


class Source(StrEnum):
    """Where an order came from, as order updates say it."""

    API = "P"
    PHONE = "N"


class Change(StrEnum):
    """What just happened to an order."""

    PLACED = "placed"
    ACCEPTED = "accepted"
    TRIGGERED = "triggered"
    MODIFIED = "modified"
    TRADED = "traded"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

"""What an order must respect.

These are the instrument's steps and bands, the session, and the broker's own limits. A breach of
what the broker sees in the request refuses it; a breach that only the risk desk or the exchange
sees becomes an order that is REJECTED in the book, as Dhan does (`Rules.reject_in_book`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from typing import Final

from schemas.market import Instrument, Side
from schemas.units import BasisPoints, Price, Quantity
from simulator.matching.enums import OrderType, Product, Validity
from simulator.matching.order import OrderRequest
from simulator.refusals import BAD_INPUT, Code, Refusal

# since March 2026 a market order is a limit this far from the last price
MARKET_PROTECTION: Final = BasisPoints(100)
MODIFICATIONS: Final = 25  # Dhan, per order
LONGEST_CORRELATION_ID: Final = 25
LEAST_DISCLOSED: Final = 30  # percent of the quantity
FREEZE: Final = Quantity(100_000)  # for instruments without a published freeze quantity
FREEZE_QUANTITIES: Final[Mapping[str, int]] = {
    "NIFTY": 1_800,
    "BANKNIFTY": 600,
    "FINNIFTY": 1_800,
    "MIDCPNIFTY": 2_800,
}
_CLOSED: Final = "Market is Closed! Want to place an offline order?"


class StopMarket(StrEnum):
    """What becomes of STOP_LOSS_MARKET; since March 2026 Dhan's own users report all three."""

    WAITS = "waits"
    TRADES_AT_ONCE = "trades_at_once"
    REFUSED = "refused"


class Phase(StrEnum):
    """Where the session stands."""

    BEFORE = "before"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Rules:
    """Switches of order entry.

    Attributes:
        market_protection: How far from the last price a market order may trade.
        price_bands: Reject prices outside the day's circuits.
        freeze_quantities: By symbol, or an option's underlying; larger orders are rejected, slicing
            splits them.
        freeze_quantity: For all other symbols.
        market_hours: Refuse orders after the close and expire what rests. None: only when the
            market is paced; at full speed its close is over before anybody could order.
        modifications: Most modifications of one order.
        margin: Reject what the account cannot pay.
        stop_market: What becomes of STOP_LOSS_MARKET.
        reject_in_book: Freeze, band and margin: accept, then reject in the book; False refuses with
            DH-906 at once.
        repeat_correlation_id: Take a second order with a known correlation id; Dhan does not say.
        square_off_cash, square_off_derivatives: Indian clock time from which the broker itself
            closes intraday positions in shares and in contracts, with market hours enforced; None
            never. Dhan's times as last known.
        longest_correlation_id: Above it the whole order is refused without the field's name, as
            measured; documents say 30.
    """

    market_protection: BasisPoints = MARKET_PROTECTION
    price_bands: bool = True
    freeze_quantities: Mapping[str, int] = field(default_factory=lambda: FREEZE_QUANTITIES)
    freeze_quantity: Quantity = FREEZE
    market_hours: bool | None = None
    modifications: int = MODIFICATIONS
    margin: bool = True
    stop_market: StopMarket = StopMarket.WAITS
    reject_in_book: bool = True
    repeat_correlation_id: bool = True
    square_off_cash: time | None = time(15, 10)
    square_off_derivatives: time | None = time(15, 25)
    longest_correlation_id: int = LONGEST_CORRELATION_ID

    def freeze(self, instrument: Instrument) -> int:
        """The freeze quantity of `instrument` in units: a larger order is rejected."""
        underlying = instrument.symbol.partition("-")[0]
        return self.freeze_quantities.get(underlying, self.freeze_quantity)


@dataclass(frozen=True, slots=True)
class Circuits:
    """Lowest and highest price of the day; both may trade."""

    lower: Price
    upper: Price


Check = Callable[[OrderRequest, Instrument, Rules], str | None]


def entry_refusal(
    request: OrderRequest, instrument: Instrument, rules: Rules, phase: Phase
) -> Refusal | None:
    """What the broker's front door says against it."""
    if len(request.correlation_id) > rules.longest_correlation_id:
        return BAD_INPUT
    for check in _ENTRY_CHECKS:
        if reason := check(request, instrument, rules):
            return Refusal(Code.ORDER, reason)
    if request.after_market and phase is Phase.OPEN:
        return Refusal(Code.ORDER, "After market order refused: the market is open")
    if phase is Phase.CLOSED and rules.market_hours and not request.after_market:
        return Refusal(Code.ORDER, _CLOSED)
    return None


def risk_rejection(
    request: OrderRequest, instrument: Instrument, rules: Rules, circuits: Circuits | None
) -> str | None:
    """What the risk desk or the exchange says against it; "" is never an answer."""
    if request.quantity > rules.freeze(instrument):
        return (
            f"RMS: Rule: Order quantity {request.quantity} exceeds the freeze quantity "
            f"{rules.freeze(instrument)}"
        )
    if circuits is None:
        return None
    for price in (request.price, request.trigger):
        if price and not circuits.lower <= price <= circuits.upper:
            return (
                f"EXCH: 17070: The price {price} is out of the circuit limits {circuits.lower} "
                f"to {circuits.upper}"
            )
    return None


def _is_tradable(_: OrderRequest, instrument: Instrument, __: Rules) -> str | None:
    return None if instrument.tradable else f"{instrument.symbol} is an index: not tradable"


def _has_whole_lots(request: OrderRequest, instrument: Instrument, _: Rules) -> str | None:
    if request.quantity % instrument.lot_size:
        return f"Quantity {request.quantity} is no multiple of the lot size {instrument.lot_size}"
    return None


def _stands_on_the_grid(request: OrderRequest, instrument: Instrument, _: Rules) -> str | None:
    for name, price in (("Price", request.price), ("Trigger price", request.trigger)):
        if price % instrument.tick_size:
            return f"{name} {price} is no multiple of the tick size {instrument.tick_size}"
    return None


def _trigger_is_on_the_right_side(request: OrderRequest, _: Instrument, __: Rules) -> str | None:
    if request.order_type is not OrderType.STOP_LOSS:
        return None
    wrong = (
        request.price < request.trigger
        if request.side is Side.BUY
        else request.price > request.trigger
    )
    return "Limit price of a stop loss order must lie beyond its trigger price" if wrong else None


def _stop_market_is_taken(request: OrderRequest, _: Instrument, rules: Rules) -> str | None:
    refused = (
        request.order_type is OrderType.STOP_LOSS_MARKET and rules.stop_market is StopMarket.REFUSED
    )
    return "Stop loss market orders are not allowed" if refused else None


def _discloses_enough(request: OrderRequest, _: Instrument, __: Rules) -> str | None:
    shown = request.disclosed
    if shown and not request.quantity * LEAST_DISCLOSED <= shown * 100 <= request.quantity * 100:
        return f"Disclosed quantity {shown} is not between 30% and 100% of {request.quantity}"
    return None


def _suits_its_segment(request: OrderRequest, instrument: Instrument, _: Rules) -> str | None:
    cash = instrument.id.segment.endswith("_EQ")
    if not cash and request.product in {Product.CNC, Product.MTF}:
        return f"{request.product} is for shares only"
    if request.after_market and request.validity is Validity.IOC:
        return "An after market order cannot be IOC"
    return None


_ENTRY_CHECKS: Final[tuple[Check, ...]] = (
    _is_tradable,
    _has_whole_lots,
    _stands_on_the_grid,
    _trigger_is_on_the_right_side,
    _stop_market_is_taken,
    _discloses_enough,
    _suits_its_segment,
)

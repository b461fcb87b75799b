"""Turns one decision into one user's order: how many, at what price, with which stop and target.

Pure, and blind to the market of the moment on purpose: a decision that is read twice gives the same
intent, byte for byte. What changed since the decision is the gate's affair.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from schemas.ids import Segment, UserId, correlation_id, order_id
from schemas.market import Action, Instrument, Side
from schemas.messages import Decision, OrderIntent
from schemas.strategy import Strategy
from schemas.units import BasisPoints, Paise, Price, Quantity

WHOLE: Final = 10_000  # basis points
COLLAR: Final = BasisPoints(
    20
)  # four times the usual spread of a liquid share: filled at once, and no more is given away
STOP: Final = BasisPoints(100)
TARGET: Final = BasisPoints(200)  # twice the stop, so one win pays for two losses
MAX_DEVIATION: Final = BasisPoints(100)  # beyond it the market has left the decision behind


@dataclass(frozen=True, slots=True)
class UserLimits:
    """What one user allows.

    Attributes:
        max_order_value: Quantity times limit price may reach, not pass it.
        max_orders_per_day: Orders sent on one trading day, refused ones included.
        risk_per_trade: What an order may lose from its limit price to its stop, before charges and
            slippage; None: only its value bounds it.
        collar: How far beyond the decision's price an order may go to be filled at once.
        stop: Distance of the protective stop from the limit price.
        target: Distance of the target from the limit price.
        max_deviation: How far the limit price may stand from the last trade when the order leaves.
        max_open_positions: Instruments held at a time. None, here and below: any.
        max_symbol_exposure: Paise in one instrument at its price.
        max_exposure: Paise in all instruments together.
        max_daily_loss: Paise lost in a day, closed and open, at which no position is opened.
        segments: Those that may be traded.
        products: Dhan's words for them, likewise.
        long_only: No position is opened by selling.
        stop_out_cooldown: Minutes after a stop traded in which its instrument is not entered again.
        max_stop_outs_per_day: Stops that traded in a day, after which nothing is entered.
        known: False while nobody knows the user's own limits.
    """

    max_order_value: Paise
    max_orders_per_day: int
    collar: BasisPoints = COLLAR
    stop: BasisPoints = STOP
    target: BasisPoints = TARGET
    max_deviation: BasisPoints = MAX_DEVIATION
    risk_per_trade: Paise | None = None
    max_open_positions: int | None = None
    max_symbol_exposure: Paise | None = None
    max_exposure: Paise | None = None
    max_daily_loss: Paise | None = None
    segments: frozenset[Segment] | None = None
    products: frozenset[str] | None = None
    long_only: bool = False
    stop_out_cooldown: int | None = None
    max_stop_outs_per_day: int | None = None
    known: bool = True


class NoOrder(StrEnum):
    """Why a decision makes no order for a user. No row and no message follow from it."""

    HOLD = "hold"
    NOT_TRADABLE = "not_tradable"
    LESS_THAN_ONE_LOT = "less_than_one_lot"
    CAPITAL_BELOW_ONE_LOT = "capital_below_one_lot"
    LESS_THAN_ONE_TICK = "less_than_one_tick"
    ONE_LOT_RISKS_TOO_MUCH = "one_lot_risks_too_much"
    FREEZE_BELOW_ONE_LOT = "freeze_below_one_lot"


def plan(
    decision: Decision, user: UserId, instrument: Instrument, limits: UserLimits
) -> OrderIntent | NoOrder:
    """The order `decision` means for `user`, or why there is none."""
    if decision.action is Action.HOLD:
        return NoOrder.HOLD
    if not instrument.tradable:
        return NoOrder.NOT_TRADABLE
    side = Side(decision.action.value)
    price = limit_price(side, decision.reference_price, limits.collar, instrument.tick_size)
    stop, target = exits(side, price, limits, instrument.tick_size)
    if min(price, stop, target) < instrument.tick_size:
        return NoOrder.LESS_THAN_ONE_TICK
    quantity = units(price, abs(price - stop), instrument, _within(limits, decision.strategy))
    if quantity is NoOrder.LESS_THAN_ONE_LOT and affordable(
        limits.max_order_value, price, instrument.lot_size
    ):
        return NoOrder.CAPITAL_BELOW_ONE_LOT
    if isinstance(quantity, NoOrder):
        return quantity
    order = order_id(decision.id, user)
    return OrderIntent(
        id=order,
        event_time=decision.event_time,
        causation_id=decision.id,
        correlation_id=decision.correlation_id,
        decision_id=decision.id,
        user_id=user,
        instrument=decision.instrument,
        symbol=decision.symbol,
        side=side,
        quantity=quantity,
        price=Price(price),
        stop=Price(stop),
        target=Price(target),
        reference_price=decision.reference_price,
        valid_until=decision.valid_until,
        dhan_correlation_id=correlation_id(order),
        strategy=decision.strategy,
    )


def _within(limits: UserLimits, strategy: Strategy | None) -> UserLimits:
    """No order of a strategy is larger than its capital."""
    if strategy is None or strategy.capital is None:
        return limits
    return replace(limits, max_order_value=min(limits.max_order_value, strategy.capital))


def units(price: int, loss: int, instrument: Instrument, limits: UserLimits) -> Quantity | NoOrder:
    """The most whole lots that all limits allow, of an order that may lose `loss` paise a unit."""
    quantity = affordable(limits.max_order_value, price, instrument.lot_size)
    if not quantity:
        return NoOrder.LESS_THAN_ONE_LOT
    if limits.risk_per_trade is not None:
        quantity = min(quantity, affordable(limits.risk_per_trade, loss, instrument.lot_size))
        if not quantity:
            return NoOrder.ONE_LOT_RISKS_TOO_MUCH
    if instrument.freeze_quantity is not None:
        quantity = min(quantity, below(instrument.freeze_quantity, instrument.lot_size))
    return quantity or NoOrder.FREEZE_BELOW_ONE_LOT


def limit_price(side: Side, reference: Price, collar: BasisPoints, tick: Paise) -> int:
    """The worst price one accepts.

    `collar` beyond `reference`, on the tick grid, never further than the collar.
    """
    if side is Side.BUY:
        return _down(reference * (WHOLE + collar), tick)
    return _up(reference * (WHOLE - collar), tick)


def exits(side: Side, price: int, limits: UserLimits, tick: Paise) -> tuple[int, int]:
    """Stop and target: at least one tick from `price`, else never further than the limits say."""
    if side is Side.BUY:
        stop, target = (
            _up(price * (WHOLE - limits.stop), tick),
            _down(price * (WHOLE + limits.target), tick),
        )
        return min(stop, price - tick), max(target, price + tick)
    stop, target = (
        _down(price * (WHOLE + limits.stop), tick),
        _up(price * (WHOLE - limits.target), tick),
    )
    return max(stop, price + tick), min(target, price - tick)


def affordable(value: Paise, price: int, lot: Quantity) -> Quantity:
    """The most units, in whole lots, that cost no more than `value` at `price` each."""
    return Quantity(max(0, value // (price * lot)) * lot)


def below(freeze: Quantity, lot: Quantity) -> Quantity:
    """The most units, in whole lots, that are fewer than the freeze quantity."""
    return Quantity(max(0, freeze - 1) // lot * lot)


def _down(scaled: int, tick: Paise) -> int:
    return scaled // (WHOLE * tick) * tick


def _up(scaled: int, tick: Paise) -> int:
    return -(-scaled // (WHOLE * tick)) * tick

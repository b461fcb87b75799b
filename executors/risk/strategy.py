"""What the strategy behind an order allows of it: its mode, its own capital and limits. Pure.

Nobody records which strategy a fill is of: stops and square-offs name no decision. So a strategy is
held to what the user's orders and fills come to in the instruments that it entered today. Where
another strategy traded there too, all of it counts, and of results a loss only: a limit may bind
too early and never too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from executors.risk.denial import Denial
from executors.risk.exposure import Exposure, Filled, Ordered, day_result, exposure_to
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.strategy import Strategy, StrategyMode, mode_of, most_careful
from schemas.units import Price, Quantity

_HELD_BACK: Final = {
    StrategyMode.OFF: Denial.STRATEGY_OFF,
    StrategyMode.SHADOW: Denial.STRATEGY_IN_SHADOW,
    StrategyMode.PAPER: Denial.STRATEGY_ON_PAPER,
}
HELD_BACK: Final = frozenset(_HELD_BACK.values())  # each follows from the strategy's mode


@dataclass(frozen=True, slots=True)
class StrategyOrders:
    """One strategy's orders of the day in one account.

    Attributes:
        entries: Those that did not only close.
        instruments: Where an order was accepted or may have been.
        shared: Those of them where others ordered too.
        lost: It was denied an order today because its loss had reached its limit.
    """

    entries: int = 0
    instruments: frozenset[InstrumentId] = frozenset()
    shared: frozenset[InstrumentId] = frozenset()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """What the gate sees of the strategy behind an order.

    Attributes:
        platform: Where the orders of this platform go: paper or live.
        orders: Entries of the strategy that the user sent today.
        exposure: What the user's orders and fills of the day come to in its instruments.
        day_result: Paise made or lost there today, closed and open, before charges.
        lost: Its loss has reached its limit once today.
    """

    strategy: Strategy
    platform: StrategyMode
    orders: int = 0
    exposure: Exposure = field(default_factory=Exposure)
    day_result: int = 0
    lost: bool = False


class Sized(Protocol):
    """As much of an order as the limits look at."""

    @property
    def side(self) -> Side: ...

    @property
    def quantity(self) -> Quantity: ...

    @property
    def price(self) -> Price: ...


def held_back(platform: StrategyMode, strategy: Strategy | None) -> Denial | None:
    """Why no order of `strategy` leaves this platform, also none that closes; None: some may.

    A platform has one place for its orders. Where the strategy goes less far, an order of it would
    go too far. What the user allows is asked by checks of its own: it is all or nothing.
    """
    mode = most_careful(platform, mode_of(strategy))
    return None if mode is platform else _HELD_BACK[mode]


def beyond_limits(order: Sized, seen: StrategyContext) -> Denial | None:
    """The first of the strategy's own limits that an entry would pass."""
    strategy, exposure = seen.strategy, seen.exposure
    most_lost, most_orders = strategy.max_daily_loss, strategy.max_orders_per_day
    if most_lost is not None and (seen.lost or -seen.day_result >= most_lost):
        return Denial.STRATEGY_LOSS_REACHED
    if most_orders is not None and seen.orders >= most_orders:
        return Denial.STRATEGY_ORDERS_USED_UP
    most_open = strategy.max_open_positions
    if most_open is not None and exposure.positions + 1 > most_open:
        return Denial.STRATEGY_POSITIONS_USED_UP
    at_stake = exposure.here.after(order.side, order.quantity).units * order.price
    if strategy.capital is not None and exposure.elsewhere + at_stake > strategy.capital:
        return Denial.STRATEGY_CAPITAL_USED_UP
    return None


@dataclass(frozen=True, slots=True)
class UsersDay:
    """One user's orders and fills of the day, and last prices in paise, by instrument."""

    ordered: Mapping[InstrumentId, Ordered]
    filled: Mapping[InstrumentId, Filled]
    prices: Mapping[InstrumentId, int]


def strategy_context(
    strategy: Strategy,
    platform: StrategyMode,
    orders: StrategyOrders,
    instrument: InstrumentId,
    day: UsersDay,
) -> StrategyContext:
    """What the gate sees of `strategy` before an order of `instrument`."""
    own, prices = orders.instruments, day.prices
    theirs = {each: sums for each, sums in day.ordered.items() if each in own}
    fills = {each: sums for each, sums in day.filled.items() if each in own}
    results = {each: day_result({each: sums}, prices) for each, sums in fills.items()}
    return StrategyContext(
        strategy,
        platform,
        orders.entries,
        exposure_to(instrument, theirs, fills, prices),
        sum(min(made, 0) if each in orders.shared else made for each, made in results.items()),
        orders.lost,
    )

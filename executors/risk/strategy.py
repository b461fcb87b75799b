"""What the strategy behind an order allows of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from executors.risk.denial import Denial
from schemas.strategy import Strategy, StrategyMode, mode_of, most_careful

_HELD_BACK: Final = {
    StrategyMode.OFF: Denial.STRATEGY_OFF,
    StrategyMode.SHADOW: Denial.STRATEGY_IN_SHADOW,
    StrategyMode.PAPER: Denial.STRATEGY_ON_PAPER,
}
HELD_BACK: Final = frozenset(_HELD_BACK.values())  # each follows from the strategy's mode


@dataclass(frozen=True, slots=True)
class StrategyContext:
    """What the gate sees of the strategy behind an order.

    Attributes:
        platform: Where the orders of this platform go: paper or live.
    """

    strategy: Strategy
    platform: StrategyMode


def held_back(platform: StrategyMode, strategy: Strategy | None) -> Denial | None:
    """Why no order of `strategy` leaves this platform, also none that closes; None: some may.

    A platform has one place for its orders. Where the strategy goes less far, an order of it would
    go too far. What the user allows is asked by checks of its own: it is all or nothing.
    """
    mode = most_careful(platform, mode_of(strategy))
    return None if mode is platform else _HELD_BACK[mode]

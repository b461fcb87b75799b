"""A rule as a strategy: in which mode it runs, and what of its own it must keep to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from schemas.frozen import FrozenModel
from schemas.units import Paise


class StrategyMode(StrEnum):
    """How far the orders of a strategy go, most careful first."""

    OFF = "off"  # not evaluated
    SHADOW = "shadow"  # signals and decisions, never an order
    PAPER = "paper"  # orders that stay on this machine
    LIVE = "live"  # whatever platform and user allow, never more


_BY_CARE: Final = {mode: nth for nth, mode in enumerate(StrategyMode)}


Most = Annotated[int, Field(ge=1)]


class Strategy(FrozenModel):
    """What a rules file says of one rule beyond its parameters."""

    name: Annotated[str, Field(max_length=100, description="of the rule in the file")]
    mode: StrategyMode = StrategyMode.LIVE
    capital: Paise | None = Field(
        default=None, description="paise at stake at a time, of one user; null, here and below: any"
    )
    max_open_positions: Most | None = Field(default=None, description="instruments at a time")
    max_orders_per_day: Most | None = Field(default=None, description="those that open")
    max_daily_loss: Paise | None = Field(
        default=None, description="paise lost in a day, after which it enters nothing that day"
    )


def most_careful(*modes: StrategyMode) -> StrategyMode:
    """How far an order goes: as far as the one of `modes` that lets out least."""
    return min(modes, key=_BY_CARE.__getitem__)


def mode_of(strategy: Strategy | None) -> StrategyMode:
    """The mode of a message's strategy.

    Without one, as in older records and where the file says nothing, the strategy holds nothing
    back: platform and user decide, as they always did.
    """
    return StrategyMode.LIVE if strategy is None else strategy.mode


def counts_for(earlier: StrategyMode, later: StrategyMode) -> bool:
    """Whether what was decided before stands in the way: what goes less far never does."""
    return most_careful(earlier, later) is later

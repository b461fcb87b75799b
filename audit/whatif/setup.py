"""What a day is derived under: as it was recorded, or changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.prompts import SHIPPED, Agent, PromptSet
from audit.replay.answers import AgentsAsSet
from audit.replay.orders import PLATFORM
from bus.stateful import StatefulService
from executors.limits import OwnLimits
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY, Calendar
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a day's signals, decisions and orders follow from, beside what came from outside.

    Attributes:
        engine: Candles, indicators and rules.
        recorded_prompts: Those of the day.
        model: Whose answers count; empty: whoever answered on the day.
        platform: The limits of every user.
        own: Users' own limits, which only tighten the platform's.
        instruments: Of the day's instrument master.
    """

    engine: StatefulService
    agents: AgentsAsSet = field(default_factory=AgentsAsSet)
    prompts: PromptSet = SHIPPED
    recorded_prompts: PromptSet = SHIPPED
    model: str = ""
    platform: UserLimits = PLATFORM
    own: Mapping[UserId, OwnLimits] = field(default_factory=dict)
    real_money: bool = False
    instruments: Mapping[InstrumentId, Instrument] = field(default_factory=dict)
    calendar: Calendar = EVERY_DAY
    square_off: SquareOff = field(default_factory=SquareOff)

    def told_to(self, agent: Agent) -> PromptSet:
        """The prompts under which `agent` is asked: what did not change for it, is as recorded."""
        same = self.prompts.specs[agent] == self.recorded_prompts.specs[agent]
        return self.recorded_prompts if same else self.prompts

    def limits_of(self, user: UserId) -> UserLimits:
        """The tighter of the platform's and the user's own, value by value."""
        own = self.own.get(user, OwnLimits())
        return own.within(self.platform, real_money=self.real_money)

"""What a backtest is told beside its days and rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agents.limits import Limits
from backtest.fills import Fills
from backtest.signals import KnownSignal
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY, Calendar
from schemas.ids import InstrumentId
from schemas.units import NS_PER_SECOND, Paise, UtcNs

# From the print that closed the bar to the order at the exchange: a print's time is its second, so
# less than one would let an order meet what came before it.
LATENCY: Final = 1
# Plain orders are there a second before what they wait for: the next bar may begin with a print.
BEFORE: Final = 1
VALIDITY: Final = UtcNs.minutes(2)
PLATFORM: Final = UserLimits(max_order_value=Paise.from_rupees(50_000), max_orders_per_day=40)


@dataclass(frozen=True, slots=True)
class Setup:
    """How signals are traded. Every account has the same.

    Attributes:
        limits: Of each account's orders.
        agents: What a decision must keep to: hours, cooldown, muted rules.
        validity: Market time from a signal until its order may fill no more.
        latency: Seconds from the print that closed the bar to the order at the exchange, 1 or more;
            none where fills are plain.
        fills: Who says what an order gets.
        calendar: When the exchanges trade; every day of a market file is one of trading.
        square_off: When the day's positions are closed.
    """

    limits: UserLimits = PLATFORM
    agents: Limits = field(default_factory=Limits)
    validity: UtcNs = VALIDITY
    latency: int = LATENCY
    fills: Fills = Fills.BOOK
    calendar: Calendar = EVERY_DAY
    square_off: SquareOff = field(default_factory=SquareOff)

    @property
    def plain(self) -> bool:
        """Orders without latency, stops and pacing, as other backtesters have them."""
        return self.fills is Fills.PLAIN

    def arrival(self, known: KnownSignal) -> int:
        """The second (UTC) at which the order of a signal is at the exchange."""
        if self.plain:
            return known.signal.event_time // NS_PER_SECOND - BEFORE
        return known.second + self.latency

    def closing(self, day: date, instrument: InstrumentId) -> int | None:
        """The second (UTC) from which on a position is closed; None where nothing trades."""
        at = self.square_off.at(self.calendar, day, instrument)
        if at is None:
            return None
        return -(-at // NS_PER_SECOND) - (BEFORE if self.plain else 0)

"""What paper trading is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from schemas.calendar import Calendar
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, Session
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from simulator.config import Quirks, SimulatorConfig
from simulator.matching.rules import Rules

FUNDS: Final = Paise(1_000_000_00)  # ten lakh rupees, as a simulated user has
# From our request to the exchange's book: what clients of Dhan see is a few tens of milliseconds.
LATENCY: Final = UtcNs(NS_PER_SECOND // 20)

NIFTY: Final = InstrumentId(Segment.IDX_I, 13)  # its hours are the cash market's


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """All settings of paper trading.

    Attributes:
        instruments: Of the day's master, by id; only these trade.
        calendar: When the exchanges trade.
        day: The first day to trade.
        funds: Paise an account has when it is first seen.
        latency: Nanoseconds from an order's acceptance to its arrival at the exchange.
        market_clock: A replayed market: the day's hours go by the tape's clock, not the wall's.
        limits: How many requests an account may send, and how updates are spelled: as the
            simulator's.
        quirks: Where Dhan's documents disagree.
    """

    instruments: Mapping[InstrumentId, Instrument]
    calendar: Calendar
    day: date
    funds: Paise = FUNDS
    latency: UtcNs = LATENCY
    market_clock: bool = False
    limits: SimulatorConfig = field(default_factory=SimulatorConfig)
    quirks: Quirks = field(default_factory=Quirks)
    rules: Rules = field(default_factory=lambda: Rules(market_hours=True))

    def hours(self, day: date) -> Session | None:
        """From the first open of `day` to its last close; None when nothing trades."""
        sessions = self.calendar.sessions(day, NIFTY)
        return Session(day, sessions[0].open, sessions[-1].close) if sessions else None

"""One trade of a backtest: what one entry order opened, and what ended it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from schemas.ids import DecisionId, InstrumentId
from schemas.market import Side, trading_day
from schemas.units import Paise, Quantity, UtcNs


class Ending(StrEnum):
    """What closed the last unit of a trade."""

    TARGET = "target"
    STOP = "stop"
    OTHER_SIDE = "an order of the other side"
    SQUARE_OFF = "square-off"
    HALT = "halt"
    CLOSE = "the end of the data"


@dataclass(frozen=True, slots=True)
class Trade:
    """Units that one entry order bought or sold, all closed again on the same day.

    Money is whole paise; the charges of an account's day add up to its bill.

    Attributes:
        rule: The rule whose signal it began with.
        account: Whose it is: each rule has an account of its own, unless users were recorded.
        decision: What was decided on the signal.
        side: Of the entry.
        quantity: Units entered.
        entered_at: Exchange time of the first fill of the entry.
        left_at: Exchange time of the last fill that closed.
        entry_value: Price times units, over the fills of the entry.
        exit_value: The same of the fills that closed.
        charges: Its share of the bill of the account's day, by turnover.
        ending: What closed the last unit.
        mae: The most it was behind while it was open, before charges: zero or less.
        mfe: The most it was ahead while it was open, before charges: zero or more.
    """

    rule: str
    account: str
    decision: DecisionId
    instrument: InstrumentId
    symbol: str
    side: Side
    quantity: Quantity
    entered_at: UtcNs
    left_at: UtcNs
    entry_value: Paise
    exit_value: Paise
    charges: Paise
    ending: Ending
    mae: Paise
    mfe: Paise

    @property
    def day(self) -> date:
        """The trading day (India)."""
        return trading_day(self.entered_at)

    @property
    def gross(self) -> Paise:
        """What it earned before charges."""
        sign = 1 if self.side is Side.BUY else -1
        return Paise(sign * (self.exit_value - self.entry_value))

    @property
    def net(self) -> Paise:
        """What it earned after charges."""
        return Paise(self.gross - self.charges)

    @property
    def entry_price(self) -> float:
        """Paise a unit, averaged over the fills; for showing only."""
        return self.entry_value / self.quantity

    @property
    def exit_price(self) -> float:
        """Paise a unit, averaged over the fills; for showing only."""
        return self.exit_value / self.quantity

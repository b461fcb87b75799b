"""The market's own terms: timeframes, directions, actions, instruments and trading sessions.

Sessions are given in IST, because the exchange does; everything else in UTC nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from schemas.ids import InstrumentId, Segment
from schemas.units import NS_PER_SECOND, Paise, Price, Quantity, UtcNs

CASH: Final = frozenset({Segment.NSE_EQ, Segment.BSE_EQ})
STOCK_DERIVATIVES: Final = frozenset({"FUTSTK", "OPTSTK"})  # Dhan's instrument types

_IST_OFFSET_NS: Final = 19_800 * NS_PER_SECOND  # IST is UTC+05:30 all year, without daylight saving
_DAY_NS: Final = 86_400 * NS_PER_SECOND


class Timeframe(StrEnum):
    """Length of a bar, shortest first.

    A bar ends with its session at the latest; a day's bar holds the day's sessions.
    """

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    M60 = "60m"
    D1 = "1d"

    @property
    def ns(self) -> int:
        """Its greatest length; a calendar day for `D1`."""
        return _TIMEFRAME_MINUTES[self] * 60 * NS_PER_SECOND


_TIMEFRAME_MINUTES: Final = {
    Timeframe.M1: 1,
    Timeframe.M3: 3,
    Timeframe.M5: 5,
    Timeframe.M15: 15,
    Timeframe.M30: 30,
    Timeframe.M60: 60,
    Timeframe.D1: 1_440,
}


class Direction(StrEnum):
    """Which way a rule, a scan or an analyst leans."""

    BULLISH = "BULLISH"
    BEARISH = "BEARISH"


class Action(StrEnum):
    """What the Commander decides."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class Side(StrEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"


class ScanResult(StrEnum):
    """The Scout's verdict on one symbol."""

    SHORTLISTED = "SHORTLISTED"
    DISCARDED = "DISCARDED"


class AgentType(StrEnum):
    """Who wrote a report."""

    TECHNICAL = "TECHNICAL"
    SENTIMENT = "SENTIMENT"


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Lowest and highest price at which the exchange takes orders; both may trade.

    A share without derivatives keeps its band all day. The band of a share with derivatives and of
    a contract moves with the market: then this is where it began.
    """

    lower: Price
    upper: Price

    def __contains__(self, price: int) -> bool:
        return self.lower <= price <= self.upper


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the day's instrument master.

    Attributes:
        symbol: Exchange trading symbol, such as `RELIANCE`.
        name: What people call it.
        kind: Dhan's instrument type: `EQUITY`, `INDEX`, `FUTSTK`…
        lot_size: Smallest number of units one may trade.
        tick_size: Smallest step of a price.
        band: The day's price band; None where the master names none.
        freeze_quantity: Units of one order beyond which the exchange rejects it; None likewise.
        underlying: Symbol of the share or index that a contract is on; "" of others.
        has_derivatives: Futures or options are on it, so it has no fixed band.
    """

    id: InstrumentId
    symbol: str
    name: str
    kind: str
    lot_size: Quantity
    tick_size: Paise
    band: PriceBand | None = None
    freeze_quantity: Quantity | None = None
    underlying: str = ""
    has_derivatives: bool = False

    @property
    def tradable(self) -> bool:
        """An index has a price but no orders."""
        return self.id.segment is not Segment.IDX_I

    @property
    def fixed_band(self) -> bool:
        """Whether the exchange holds it to one band all day: a share without derivatives."""
        return self.id.segment in CASH and not self.has_derivatives

    @property
    def on_share(self) -> bool:
        """Whether it is a future or an option on a share."""
        return self.kind in STOCK_DERIVATIVES


@dataclass(frozen=True, slots=True)
class Session:
    """One continuous trading session of one day.

    Attributes:
        open: First moment of the first bar.
        close: End of the last bar, itself outside.
    """

    day: date
    open: UtcNs
    close: UtcNs

    def __contains__(self, moment: int) -> bool:
        return self.open <= moment < self.close


def trading_day(moment: int) -> date:
    """The date on Indian clocks at `moment` (UTC ns)."""
    return date.fromordinal(_EPOCH_ORDINAL + (moment + _IST_OFFSET_NS) // _DAY_NS)


_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def to_tick(paise: float, tick_size: Paise) -> Price:
    """The price nearest to `paise` that the exchange accepts.

    Halves go to even, the result is at least one tick. Meant for the border where a feed's 32-bit
    float enters: the rounding recovers the exact price.
    """
    return Price(max(1, round(paise / tick_size)) * tick_size)

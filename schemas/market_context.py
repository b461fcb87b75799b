"""What stood around a signal in the market when it was judged.

Recorded before it is used, as `schemas.inputs` are: the bars that it is made of are kept for days,
decisions for years. Whatever was not known is absent.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.depth import Book
from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId, SignalId
from schemas.market import Timeframe
from schemas.messages import ByName, Count, Label, Message
from schemas.units import Price, Quantity, UtcNs

MAX_BARS = 6  # of one timeframe: the signal's and five before it
MAX_DECISIONS = 8  # moments of own decisions

_Prices = Annotated[tuple[Price, ...], Field(max_length=MAX_BARS)]


class RecentBars(FrozenModel):
    """The newest final bars of one timeframe. Columns of equal length, oldest first."""

    timeframe: Timeframe
    start: Annotated[tuple[UtcNs, ...], Field(max_length=MAX_BARS)]
    end: UtcNs = Field(description="of the newest bar")
    open: _Prices
    high: _Prices
    low: _Prices
    close: _Prices
    volume: Annotated[tuple[Quantity, ...], Field(max_length=MAX_BARS)]
    values: ByName = Field(description="indicators of the newest bar; absent during warm-up")

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        columns = (self.open, self.high, self.low, self.close, self.volume)
        if not self.start or any(len(column) != len(self.start) for column in columns):
            raise ValueError("columns of one length, one bar at least")
        return self


class DaySoFar(FrozenModel):
    """One instrument's day until `end`, of its one-minute bars."""

    end: UtcNs = Field(description="of the newest bar")
    open: Price
    high: Price
    low: Price
    close: Price
    whole: bool = Field(description="seen from the session's open on, so open and extremes count")
    close_15m: Price | None = Field(default=None, description="price 15 minutes before `end`")
    close_60m: Price | None = Field(default=None, description="price 60 minutes before `end`")


class DaysBefore(FrozenModel):
    """What daily bars say of the trading days before."""

    high: Price = Field(description="of the last of them")
    low: Price
    close: Price
    average_volume: float = Field(ge=0, description="units a day, mean of the last 20")
    volatility_percentile: float | None = Field(
        description="percent of the days known whose average true range, as a share of the close, "
        "was no greater than the last one's; null where too few are known"
    )


class VolumeSoFar(FrozenModel):
    """Volume of the day's finished quarters of an hour, beside that of the same ones before."""

    quarters: Count = Field(description="finished ones of the day")
    volume: Quantity
    usual: float | None = Field(description="units, mean of `days`; null where none is known")
    days: Count


class PriceSince(FrozenModel):
    """How far the price went after a moment."""

    since: UtcNs
    high: Price
    low: Price


class SectorSoFar(FrozenModel):
    """The mean move of the other shares of an instrument's industry, each share alike."""

    name: Label = Field(description="of the industry, as the operator's list has it")
    shares: Count = Field(
        description="others whose bars were known; each mean is of three at least"
    )
    since_open: float | None = Field(default=None, description="percent")
    last_15m: float | None = Field(default=None, description="percent")
    last_60m: float | None = Field(default=None, description="percent")


class MarketContext(Message):
    """`ats.market-context`: what was known of the market when a signal was judged.

    One a signal: whoever judges it again sees the same.
    """

    signal_id: SignalId
    instrument: InstrumentId
    frames: tuple[RecentBars, ...] = Field(
        default=(), max_length=len(Timeframe), description="by timeframe, the shortest first"
    )
    day: DaySoFar | None = None
    before: DaysBefore | None = None
    volume: VolumeSoFar | None = None
    since_decisions: tuple[PriceSince, ...] = Field(
        default=(), max_length=MAX_DECISIONS, description="since each of our own last decisions"
    )
    index: DaySoFar | None = Field(default=None, description="of NIFTY 50")
    # left out where it is null, so that contexts of before keep their bytes
    sector: SectorSoFar | None = Field(
        default=None,
        exclude_if=lambda sector: sector is None,
        description="absent where nobody said which shares are of one industry",
    )
    # as `sector`
    depth: Book | None = Field(
        default=None,
        exclude_if=lambda depth: depth is None,
        description="the newest order book before the signal; absent where none came that day",
    )

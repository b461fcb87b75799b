"""What a service was told from outside, as it was answered: news, and the Scout's daily bars.

Recorded before it is used, and used from what was recorded, so that whoever has these messages has
what the agents saw. An empty answer and a failure are answers too.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId, SignalId
from schemas.messages import Count, Label, Message, Text
from schemas.units import Price, Quantity, UtcNs

MAX_HEADLINES = 8  # in one answer; what an analyst may see (`agents.news`)
MAX_SOURCES = 32  # of news, in one answer
MAX_BARS = 400  # of one instrument: more than a year of sessions


class Answered(StrEnum):
    """What came of a question to the outside."""

    OK = "ok"
    AWAY = "away"  # nobody answered, or not in time
    UNREADABLE = "unreadable"


class RecordedHeadline(FrozenModel):
    """One line of news, bounded as a model may see it."""

    published_at: UtcNs
    source: Label
    text: Text


class SourceAnswer(FrozenModel):
    """What one of several sources of news last answered, before a signal was judged."""

    name: Label
    outcome: Answered = Field(description="of the last time it was asked")
    answered_at: UtcNs | None = Field(
        description="when it last answered well: its age is up to the signal; null for never"
    )
    headlines: Count = Field(description="that it gave on the symbol and that may be seen")
    detail: Text = ""


class NewsAnswer(Message):
    """`ats.news`: what was known of a symbol when a signal was judged.

    One a signal: whoever judges it again sees the same.
    """

    signal_id: SignalId
    instrument: InstrumentId
    symbol: Label
    outcome: Answered
    detail: Text = ""
    answered: Count = Field(
        default=0, description="headlines that the source gave, future ones too"
    )
    headlines: tuple[RecordedHeadline, ...] = Field(
        default=(), max_length=MAX_HEADLINES, description="those that may be seen, newest first"
    )
    sources: tuple[SourceAnswer, ...] = Field(
        default=(), max_length=MAX_SOURCES, description="each source, where there are several"
    )


Prices = Annotated[tuple[Price, ...], Field(max_length=MAX_BARS)]


class DailyBars(Message):
    """`ats.daily-bars`: the history of one instrument as the Scout of a trading date got it.

    Columns of equal length, oldest first.
    """

    trading_date: date
    instrument: InstrumentId
    first: date = Field(description="of the span that was asked for, both ends included")
    last: date
    outcome: Answered
    detail: Text = ""
    days: Annotated[tuple[date, ...], Field(max_length=MAX_BARS)] = ()
    open: Prices = ()
    high: Prices = ()
    low: Prices = ()
    close: Prices = ()
    volume: Annotated[tuple[Quantity, ...], Field(max_length=MAX_BARS)] = ()

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        columns = (self.open, self.high, self.low, self.close, self.volume)
        if any(len(column) != len(self.days) for column in columns):
            raise ValueError("columns of one length")
        return self

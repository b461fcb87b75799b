"""What the gateway answers: the shapes of its JSON and of its events.

Amounts are integers of paise, moments UTC nanoseconds of market time, as in the topics.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

import orjson
from pydantic import Field

from schemas.frozen import FrozenModel
from schemas.ids import DecisionId, InstrumentId, UserId
from schemas.market import Timeframe
from schemas.messages import (
    Approval,
    Decision,
    Execution,
    ExitOrder,
    FeedState,
    ObservedOrder,
    OrderIntent,
    Position,
    Preflight,
    Report,
    ScanEntry,
    Signal,
    Trade,
    UserSession,
)
from schemas.units import Paise, Price, Quantity, UtcNs


class Feed(FrozenModel):
    """What the market feed last said of itself."""

    gateway: int = Field(description="number of the connection")
    state: FeedState
    at: UtcNs


class Shortlist(FrozenModel):
    """The Scout's shortlisted symbols of one trading date, best first."""

    trading_date: date
    entries: tuple[ScanEntry, ...]


class LastPrice(FrozenModel):
    """The last trade of one instrument."""

    instrument: InstrumentId
    price: Price
    at: UtcNs = Field(description="exchange time, UTC nanoseconds")


class Prices(FrozenModel):
    """Those last prices that changed since they were last told."""

    prices: tuple[LastPrice, ...]


class Bar(FrozenModel):
    """One final bar."""

    start: UtcNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity
    complete: bool = Field(description="false: the engine did not watch from the bar's start")


class Candles(FrozenModel):
    """The newest final bars of one instrument, oldest first."""

    instrument: InstrumentId
    timeframe: Timeframe
    bars: tuple[Bar, ...]


class DecisionApproval(FrozenModel):
    """How a decision stands that needs an operator's yes before its entries are sent."""

    decision_id: DecisionId
    approval: Approval


class Market(FrozenModel):
    """What every user may see of the newest trading day. Signals and decisions are the newest."""

    trading_date: date | None = Field(description="null before anything was told")
    clock: UtcNs = Field(description="market clock of the feed; 0 before its first record")
    opens: UtcNs | None = Field(
        description="when the day's first session begins; null while no instrument is known"
    )
    closes: UtcNs | None = Field(description="when its last session ends")
    replayed: bool = Field(description="`clock` is the only clock: the day is played again")
    feeds: tuple[Feed, ...]
    shortlist: Shortlist | None
    symbols: dict[str, str] = Field(
        description="by instrument: of what is asked for, held or signalled"
    )
    signals: tuple[Signal, ...]
    decisions: tuple[Decision, ...]
    approvals: tuple[DecisionApproval, ...] = Field(
        description="of the day's decisions that needed a yes, the newest"
    )


class OwnOrder(FrozenModel):
    """What one decision asked for, and what became of it."""

    intent: OrderIntent
    execution: Execution | None = Field(
        description="the outcome that counts now; null while there is none"
    )


class OwnResult(FrozenModel):
    """The day's profit or loss so far, in paise; an estimate until the broker's bill is there."""

    realised: Paise
    unrealised: Paise | None = Field(
        description="null where the price of something held is unknown"
    )
    charges: Paise | None = Field(description="of the fills so far; null where nobody knows them")
    thinking: Paise = Field(
        description="of the model calls behind the decisions that the user's orders are of, "
        "undivided by how many users they served"
    )
    after_charges: Paise | None = Field(description="what the account is left with")
    after_everything: Paise | None = Field(description="the same less the thinking")


class Own(FrozenModel):
    """One user's newest trading day, to that user alone."""

    user_id: UserId
    trading_date: date | None
    session: UserSession | None = Field(description="null where nothing was told lately")
    preflight: Preflight | None = Field(description="of the trading date; null without a look")
    result: OwnResult
    positions: tuple[Position, ...]
    orders: tuple[OwnOrder, ...] = Field(description="the newest")
    broker_orders: tuple[ObservedOrder, ...] = Field(
        description="the newest of the broker's book, legs of super orders by themselves"
    )
    trades: tuple[Trade, ...] = Field(description="the newest")
    exits: tuple[ExitOrder, ...] = Field(description="the newest")


class Today(FrozenModel):
    """All of it at one moment. Of a stream the first event, and again where events were lost."""

    market: Market
    own: Own
    prices: tuple[LastPrice, ...]


class DecisionStory(FrozenModel):
    """One decision with what it came from, and the asker's own order of it."""

    decision: Decision
    signal: Signal | None
    reports: tuple[Report, ...]
    order: OwnOrder | None
    approval: Approval | None = Field(description="null where no operator's yes was needed")


class Decisions(FrozenModel):
    """Decisions of the day, newest first."""

    trading_date: date | None
    decisions: tuple[DecisionStory, ...]
    more: bool = Field(description="earlier ones of the day follow behind the last")


class LinePoint(FrozenModel):
    """Averages at the close of one bar."""

    start: UtcNs
    values: dict[str, float] = Field(
        description="paise, by name: vwap, ema_9, ema_21; without what is not computed or warms up"
    )


class Lines(FrozenModel):
    """New points of the lines over one instrument's bars."""

    instrument: InstrumentId
    timeframe: Timeframe
    points: tuple[LinePoint, ...]


class OwnMarks(FrozenModel):
    """What one user did in one instrument on one day, to that user alone."""

    orders: tuple[OwnOrder, ...]
    trades: tuple[Trade, ...]
    exits: tuple[ExitOrder, ...] = Field(description="the newest")


class Chart(FrozenModel):
    """One day of one instrument: its final bars, what was seen in them, and what you did."""

    instrument: InstrumentId
    symbol: str = Field(description='"" where nobody named it')
    timeframe: Timeframe
    trading_date: date | None = Field(description="null before anything was told")
    days: tuple[date, ...] = Field(description="those that can be asked for")
    bars: tuple[Bar, ...]
    lines: tuple[LinePoint, ...]
    lines_known: bool = Field(description="false: they could not be read just now")
    signals: tuple[Signal, ...] = Field(description="of every timeframe")
    own: OwnMarks


class WhySection(FrozenModel):
    """What is long, and looked into on demand."""

    title: str
    lines: tuple[str, ...]


class WhyStep(FrozenModel):
    """One step of a story."""

    role: str
    text: str
    at: UtcNs | None = Field(description="when it was written, by the writer's clock")
    details: tuple[str, ...]
    sections: tuple[WhySection, ...]


class Why(FrozenModel):
    """One order of yours from the tick to the fill, in sentences, to you alone."""

    order: UUID
    instrument: InstrumentId
    symbol: str
    trading_date: date
    steps: tuple[WhyStep, ...]
    missing: tuple[str, ...] = Field(description="what should be recorded and is not")


class End(FrozenModel):
    """Why the gateway ends a stream."""

    reason: Annotated[
        str, Field(description="token_expired: come with a new one; stopping: come again")
    ]


class Refusal(FrozenModel):
    """Why a request got no answer."""

    error: str
    message: str


def json_of(view: FrozenModel) -> bytes:
    """Its JSON, sorted by name."""
    return orjson.dumps(view.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def id_of(text: str) -> UUID | None:
    """A UUID in its usual form of 36 characters; None where it is none."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None

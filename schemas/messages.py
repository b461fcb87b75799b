"""Every JSON message of every topic.

Frozen; producers may not invent fields, consumers ignore those of a newer version. Common to all:
`schema_version`, a deterministic `id`, `event_time` (market time, UTC ns), `causation_id` (the
message that caused this one; None where only ticks did, their offset stands in the record header,
see `schemas.lineage`) and `correlation_id` (the signal or scan that started the chain).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from schemas.ids import (
    CorrelationId,
    DecisionId,
    DhanOrderId,
    InstrumentId,
    OrderId,
    ReportId,
    ScanId,
    SignalId,
    UserId,
)
from schemas.market import Action, AgentType, Direction, ScanResult, Side, Timeframe
from schemas.units import Paise, Price, Quantity, UtcNs

Score = Annotated[
    int, Field(ge=-100, le=100, description="-100 wholly bearish, 100 wholly bullish")
]
Confidence = Annotated[int, Field(ge=0, le=100, description="percent")]
Count = Annotated[int, Field(ge=0, description="how many")]
ByName = Annotated[
    dict[str, float],
    Field(description="by name; paise where it is a price, else the measure's own unit"),
]
Text = Annotated[str, Field(max_length=4_000)]
Label = Annotated[str, Field(max_length=100)]


class FrozenModel(BaseModel):
    """A value that never changes once made: no unknown field, no conversion, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Message(FrozenModel):
    """What every message carries."""

    SCHEMA_VERSION: ClassVar[int] = 1

    schema_version: Literal[1] = Field(
        default=1, description="version of the message's schema; rises when it grows"
    )
    id: UUID
    event_time: UtcNs
    causation_id: UUID | None = None
    correlation_id: UUID | None = None


class FeedState(StrEnum):
    """What happened to a feed connection."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    GAP = "gap"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    MALFORMED = "malformed"
    STOPPED = "stopped"


class FeedEvent(Message):
    """`ats.feed`: the life of a connection.

    A gap names the market time span in which ticks may be missing.
    """

    gateway: int = Field(description="number of the connection")
    state: FeedState
    reason: Text = ""
    instruments: Count = 0
    packets: Count = 0
    gap_from: UtcNs | None = None
    gap_to: UtcNs | None = None


class Candle(Message):
    """`ats.candles`: a final bar. `event_time` is its end.

    `complete` is False when the engine was not watching from the bar's start, so the volume may be
    short.
    """

    instrument: InstrumentId
    timeframe: Timeframe
    start: UtcNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity
    ticks: int = Field(ge=1, description="how many")
    complete: bool


class Indicators(Message):
    """`ats.indicators`: values at bar close, by name such as `ema_9`; None during warm-up."""

    instrument: InstrumentId
    timeframe: Timeframe
    start: UtcNs
    close: Price
    values: dict[str, float | None] = Field(
        description="by name; paise where it is a price, else the indicator's own unit; "
        "null during warm-up"
    )


class Signal(Message):
    """`ats.signals`: a rule fired at bar close.

    `features` are what it looked at and what an analyst asks of the bar first,
    in paise where they are prices.
    """

    instrument: InstrumentId
    timeframe: Timeframe
    rule: Label
    direction: Direction
    price: Price
    features: ByName


class ScanEntry(FrozenModel):
    """The Scout's verdict on one symbol; `rank` counts from 1 among the shortlisted."""

    scan_id: ScanId
    instrument: InstrumentId
    symbol: Label
    result: ScanResult
    initial_signal: Direction
    rank: int | None = Field(default=None, description="from 1")
    reason: Text = ""
    features: ByName


class Scan(Message):
    """`ats.scans`: the Scout's list for one trading date."""

    trading_date: date
    origin: Literal["model", "rules"]
    entries: tuple[ScanEntry, ...]


class Report(Message):
    """`ats.reports`: one analyst's opinion on one signal."""

    id: ReportId
    signal_id: SignalId
    scan_id: ScanId
    instrument: InstrumentId
    symbol: Label
    agent_type: AgentType
    score: Score
    confidence: Confidence
    summary: Text
    data: dict[str, JsonValue] = Field(
        description="what the analyst looked at; its shape is the analyst's own"
    )


class CallOutcome(StrEnum):
    """How a model call ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNCLEAN = "unclean"
    TRANSPORT = "transport"
    REJECTED = "rejected"  # the provider would not take the request: key, model name or schema
    BUDGET = "budget"
    CANCELLED = "cancelled"  # the process was stopping; the question will be asked again
    STALE = "stale"  # nobody was asked: what it was about had grown too old


class LlmCall(Message):
    """`ats.llm`: one model call, journalled before its answer is used.

    `id` is the hash of the request.
    """

    agent: Label
    model: Label
    request: dict[str, JsonValue] = Field(description="the body as sent to the provider")
    response: str | None
    outcome: CallOutcome
    detail: Text = ""
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost: Paise = Field(
        default=Paise(0),
        description="paise, 100 are one rupee; of the tokens used, "
        "at the price that the settings give",
    )
    latency_ms: float = Field(ge=0, description="milliseconds")


class Origin(StrEnum):
    """Who made a decision: the agents, plain rules, or the safety net after a failure."""

    COMMITTEE = "committee"
    RULES = "rules"
    FAILSAFE = "failsafe"


class Decision(Message):
    """`ats.decisions`, the execution topic. Nothing may act on it at or after `valid_until`."""

    id: DecisionId
    signal_id: SignalId
    scan_id: ScanId | None
    instrument: InstrumentId
    symbol: Label
    action: Action
    reasoning: Text
    confidence: Confidence
    origin: Origin
    reason_code: Label
    reference_price: Price
    valid_until: UtcNs
    model: Label = ""
    prompt_version: Label = ""


class UserSession(Message):
    """`ats.sessions`, compacted by user: who is active. Never holds a token."""

    user_id: UserId
    active: bool
    reason: Label
    token_expiry: AwareDatetime | None = None


class OrderIntent(Message):
    """`ats.orders`: what one user shall do about one decision, before the gate has seen it."""

    id: OrderId
    decision_id: DecisionId
    user_id: UserId
    instrument: InstrumentId
    symbol: Label
    side: Side
    quantity: Annotated[Quantity, Field(ge=1)]
    price: Price
    stop: Price
    target: Price
    reference_price: Price
    valid_until: UtcNs
    dhan_correlation_id: CorrelationId


class Outcome(StrEnum):
    """How an intent ended.

    `unknown` is never an end: it becomes accepted, rejected or not_found.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"
    NOT_FOUND = "not_found"


class Execution(Message):
    """`ats.executions`: the one recorded outcome of an intent, or a later correction of it.

    A message whose id another one `corrects` no longer counts, whichever of the two is read first.
    """

    order_id: OrderId
    decision_id: DecisionId
    user_id: UserId
    instrument: InstrumentId
    symbol: Label
    side: Side
    quantity: Quantity
    price: Price
    outcome: Outcome
    reason_code: Label
    reason: Text = ""
    dhan_order_id: DhanOrderId | None = None
    # left out where it is null, so that repeats of older messages keep their bytes
    corrects: UUID | None = Field(
        default=None,
        exclude_if=lambda corrects: corrects is None,
        description="id of the execution that this one replaces; absent from a first outcome",
    )


class WithoutOrder(FrozenModel):
    """Why one user got no order of a decision."""

    user_id: UserId
    reason_code: Label


class FanOut(Message):
    """`ats.fanouts`: to whom a BUY or SELL went, and who got none and why.

    Its id follows from its content: a decision that is delivered again may find other users active,
    and says so.
    """

    decision_id: DecisionId
    instrument: InstrumentId
    symbol: Label
    action: Action
    orders: int = Field(ge=0, description="how many users got an order intent")
    without: tuple[WithoutOrder, ...] = Field(
        default=(), description="users without one, by user id; the first thousands"
    )
    more_without: int = Field(default=0, ge=0, description="users without one that are not listed")


class DeadLetter(Message):
    """`ats.deadletter`: what could not be read, verbatim (base64), with the reason."""

    topic: Label
    partition: int = Field(description="of the topic the record came from")
    offset: int = Field(description="of the record in that partition")
    reason: Text
    field: Label
    key: str | None
    value: str | None


Payload = dict[str, Any]

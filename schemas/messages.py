"""Every JSON message of every topic.

Frozen; producers may not invent fields, consumers ignore those of a newer version. Common to all:
`schema_version`, a deterministic `id`, `event_time` (market time, UTC ns), `causation_id` (the
message that caused this one; None where only ticks did, their offset stands in the record header,
see `schemas.lineage`) and `correlation_id` (the signal or scan that started the chain).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue, model_validator

from schemas.evidence import Evidence
from schemas.frozen import FrozenModel
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
from schemas.strategy import Strategy
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
# left out where there is none, so that messages of a file that says nothing keep their bytes
OfStrategy = Annotated[
    Strategy | None,
    Field(
        exclude_if=lambda strategy: strategy is None,
        description="what the rules file says of the rule; absent where it says nothing",
    ),
]
Label = Annotated[str, Field(max_length=100)]


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
    strategy: OfStrategy = None


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
    sent: bool = Field(
        default=True,
        description="whether a request left; true in records older than the field, whatever it was",
    )
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
    strategy: OfStrategy = None


class UserSession(Message):
    """`ats.sessions`: who is active, each change. `ats.sessions-latest`: the last of each user.

    Time and id are those of the cause. Each order worker tells all at its start, again with the
    same ids. Never holds a token.
    """

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
    strategy: OfStrategy = None


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
    strategy: Label | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="name of the strategy; absent where its rules file says nothing of it",
    )
    # left out where it is null, as `corrects` is
    evidence: Evidence | None = Field(
        default=None,
        exclude_if=lambda evidence: evidence is None,
        description="what the gate saw; absent where nobody wrote it down",
    )


class WithoutOrder(FrozenModel):
    """Why one user got no order of a decision."""

    user_id: UserId
    reason_code: Label


class ApprovalState(StrEnum):
    """What became of a decision that needs an operator's yes before its entries are sent."""

    WAITING = "waiting"
    YES = "yes"
    NO = "no"
    TIMED_OUT = "timed_out"  # nobody answered in time, which is a no


class Approval(FrozenModel):
    """Where a decision stands that needs an operator's yes."""

    state: ApprovalState
    until: UtcNs = Field(description="machine time of the deadline, by the database's clock")


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
    turns: Label | None = Field(
        default=None,
        description="rule by which the users' intents came one after another; null: by user id",
    )
    approval: Approval | None = Field(
        default=None,
        exclude_if=lambda approval: approval is None,
        description="null where the decision needed no operator's yes",
    )


class OrderStatus(StrEnum):
    """Where an order stands, in the exchange's and Dhan's words.

    Dhan adds words without notice: those are `OTHER`, and the word is kept beside it.
    """

    TRANSIT = "TRANSIT"  # on its way from Dhan to the exchange
    PENDING = "PENDING"  # resting
    TRIGGERED = "TRIGGERED"  # a stop whose trigger was reached
    PART_TRADED = "PART_TRADED"
    TRADED = "TRADED"
    CLOSED = "CLOSED"  # a super order whose position is closed again
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    OTHER = "OTHER"

    @property
    def final(self) -> bool:
        """Nothing will happen to the order any more."""
        return self in _FINAL


_FINAL: Final = frozenset(
    {
        OrderStatus.TRADED,
        OrderStatus.CLOSED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
    }
)


class Leg(StrEnum):
    """Which part of a super order an order is; a plain order is an entry."""

    ENTRY = "entry"
    STOP_LOSS = "stop_loss"
    TARGET = "target"


class ObservedBy(StrEnum):
    """How an observation reached us."""

    PLACEMENT = "placement"
    ORDER_UPDATE = "order_update"
    ORDER_BOOK = "order_book"
    TRADE_BOOK = "trade_book"


class ObservedOrder(FrozenModel):
    """One order, or one leg of a super order, as Dhan showed it at one moment."""

    dhan_order_id: DhanOrderId
    leg: Leg
    dhan_correlation_id: Annotated[str, Field(max_length=40)] = Field(
        default="", description="the name it was placed under; empty where none was told"
    )
    instrument: InstrumentId
    side: Side
    product: Label
    order_type: Label = Field(default="", description="LIMIT, STOP_LOSS, …; empty where not told")
    status: OrderStatus
    status_word: Label = Field(description="Dhan's own word")
    quantity: Quantity
    filled: Quantity = Quantity(0)
    filled_value: Paise = Field(
        default=Paise(0),
        description="paise; filled quantity times average price, to the nearest paisa. "
        "Dhan rounds averages, so trades are truer",
    )
    price: Paise = Field(default=Paise(0), description="limit in paise; 0 where there is none")
    trigger: Paise = Field(default=Paise(0), description="trigger in paise; 0 where there is none")
    updated_at: UtcNs = Field(
        default=UtcNs(0), description="the broker's own time of this state; 0 where not told"
    )
    super_order: DhanOrderId = Field(
        default=DhanOrderId(""),
        description="number of the super order that it is part of, which is its entry's number; "
        "empty for a plain order and where not told. A leg may have a number of its own",
    )
    reason: Text = ""


class ObservedFill(FrozenModel):
    """One trade at the exchange."""

    trade_id: Label = Field(description="the exchange's number of the trade")
    dhan_order_id: DhanOrderId
    instrument: InstrumentId
    side: Side
    product: Label
    quantity: Annotated[Quantity, Field(ge=1)]
    price: Price
    traded_at: UtcNs = Field(default=UtcNs(0), description="exchange time; 0 where not told")


class BrokerPosition(FrozenModel):
    """What Dhan says the account holds of one instrument."""

    instrument: InstrumentId
    product: Label
    net: int = Field(description="units; below zero is short")


class BookRead(FrozenModel):
    """The account's whole book was read: every order and trade of it was recorded before this."""

    whole: bool = Field(description="whether every row could be read")
    orders: Count
    trades: Count
    positions: tuple[BrokerPosition, ...] = Field(description="as the broker counts them")


class OrderEvent(Message):
    """`ats.order-events`: one observation, recorded before it is used.

    Exactly one of `order`, `fill` and `book` is there. Its id follows from what was observed, so
    the same observation is the same event however often and by whomever it is made.
    `event_time` is the market time of the observation.
    """

    user_id: UserId
    observed_by: ObservedBy
    trading_date: date = Field(description="the Indian day whose book this is of")
    order: ObservedOrder | None = None
    fill: ObservedFill | None = None
    book: BookRead | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if sum(part is not None for part in (self.order, self.fill, self.book)) != 1:
            raise ValueError("one of order, fill and book")
        return self


class Trade(Message):
    """`ats.trades`: a fill, once."""

    user_id: UserId
    trading_date: date
    fill: ObservedFill
    dhan_correlation_id: Annotated[str, Field(max_length=40)] = ""


class Position(Message):
    """`ats.positions`: what one user did and holds in one instrument on one day.

    Gross of charges. `realised` is what the closed part earned: the smaller of both quantities,
    times the difference of the two average prices, to the nearest paisa; exact when flat.
    """

    user_id: UserId
    trading_date: date
    instrument: InstrumentId
    bought: Quantity
    bought_value: Paise
    sold: Quantity
    sold_value: Paise
    net: int = Field(description="units; below zero is short")
    realised: Paise
    resting_stop: Quantity = Field(
        description="units that a stop resting at the broker would close, should it trigger"
    )
    by_trades: bool = Field(
        description="every filled unit is known trade by trade; else values are the broker's "
        "rounded averages"
    )
    agrees: bool | None = Field(
        description="whether the broker's own count, when it was last read, was the same; "
        "null before it was read, and where something changed since"
    )
    # left out where none was, so that repeats of older messages keep their bytes
    stop_outs: Count = Field(
        default=0, exclude_if=lambda stop_outs: not stop_outs, description="stops that traded"
    )
    stopped_out_at: UtcNs | None = Field(
        default=None,
        exclude_if=lambda at: at is None,
        description="when the last stop traded; absent where none did",
    )


class ExitReason(StrEnum):
    """Why something was sent that no decision asked for."""

    STOP_LOST = "stop_lost"  # no stop rests for all of the position
    STOP_EXCESS = "stop_excess"  # a stop rests that no position stands behind
    STOP_PASSED = "stop_passed"  # the market is beyond the stop, so none can rest
    UNPROTECTED = "unprotected"  # no stop could be placed in time
    SQUARE_OFF = "square_off"  # the day ends
    HALT = "halt"
    DEADLINE = "deadline"  # an entry did not fill before its decision expired
    DAY_LOSS = "day_loss"  # the day's loss is bounded at Dhan too


class ExitAction(StrEnum):
    """What was done about it."""

    PLACE_STOP = "place_stop"
    CHANGE_STOP = "change_stop"
    PLACE_CLOSE = "place_close"
    CANCEL = "cancel"
    FLAT = "flat"  # nothing: the broker's own book proved the account flat
    BROKER_KILL = "broker_kill"  # Dhan's own kill switch
    PNL_EXIT = "pnl_exit"  # Dhan's own exit at a loss: armed, or why not


class ExitOrder(Message):
    """`ats.exits`: what was sent without a decision, why, what was seen, what Dhan answered.

    Its id follows from its content; `event_time` is the market time at which it was sent.
    """

    user_id: UserId
    trading_date: date
    action: ExitAction
    reason_code: ExitReason
    instrument: InstrumentId | None = Field(description="null where it is about the whole account")
    side: Side | None = None
    quantity: Quantity = Quantity(0)
    price: Paise = Field(default=Paise(0), description="limit in paise; 0 where there is none")
    trigger: Paise = Field(default=Paise(0), description="trigger in paise; 0 where there is none")
    leg: Leg = Leg.ENTRY
    dhan_correlation_id: Annotated[str, Field(max_length=40)] = ""
    dhan_order_id: DhanOrderId | None = None
    net: int = Field(
        default=0, description="units held as the broker's own book showed them; below zero short"
    )
    uncovered: Count = Field(default=0, description="units of them without a resting stop")
    outcome: Label = Field(
        description="accepted, rejected, in_transit, not_sent or unknown; of `flat` proved; of "
        "`pnl_exit` armed, differs, rejected, not_sent or unknown"
    )
    code: Label = ""
    reason: Text = Field(default="", description="Dhan's words")
    waited_us: int = Field(
        default=0,
        ge=0,
        description="microseconds of machine time from sending to Dhan's answer; 0 where nothing "
        "was sent",
    )


class PreflightFacts(FrozenModel):
    """What was looked at before an account may enter anything, as it was judged."""

    now: UtcNs = Field(description="market time of the look")
    trading_date: date
    token_expiry: UtcNs | None = Field(description="null where no token is stored")
    session_close: UtcNs | None = Field(
        description="the end of the day's last session; null on a day without one"
    )
    address: Label = Field(
        description="where Dhan sees requests come from: as_registered, another or unverified"
    )
    funds: Paise | None = Field(description="paise that may still be used; null: Dhan did not say")
    instruments_of: date = Field(description="the day whose instrument master is used")
    day_known: bool = Field(description="the calendar knows the day")
    feed_clock: UtcNs | None = Field(description="null before the feed's first record")
    book_read: bool = Field(description="the day's whole book was read and recorded")
    book_agrees: bool = Field(description="no position is known to differ from the broker's")
    pnl_exit: Label = Field(
        description="Dhan's own exit at a loss: armed, unarmed, unknown or not_wanted"
    )


class Preflight(Message):
    """`ats.preflights`: whether one user may enter anything today, and why not.

    Told by each order worker when its verdict changed. Its id follows from the facts.
    """

    user_id: UserId
    trading_date: date
    green: bool
    reds: tuple[Label, ...] = Field(
        max_length=20, description="every reason; none where it is green"
    )
    facts: PreflightFacts


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

"""The messages of each topic. Amounts are paise, times UTC nanoseconds.

Made by `python -m tools.messages` from schemas/messages.py: change that, not this.
"""

from __future__ import annotations

from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from ats_client.base import Message, OpenEnum, Part


class Action(OpenEnum):
    """What the Commander decides."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class AgentType(OpenEnum):
    """Who wrote a report."""

    TECHNICAL = "TECHNICAL"
    SENTIMENT = "SENTIMENT"


class Answered(OpenEnum):
    """What came of a question to the outside."""

    OK = "ok"
    AWAY = "away"
    UNREADABLE = "unreadable"


class ApprovalState(OpenEnum):
    """What became of a decision that needs an operator's yes before its entries are sent."""

    WAITING = "waiting"
    YES = "yes"
    NO = "no"
    TIMED_OUT = "timed_out"


class BookFault(OpenEnum):
    """Why a packet's levels are no book."""

    EMPTY = "empty"
    PRICE = "price"
    QUANTITY = "quantity"
    ORDER = "order"
    CROSSED = "crossed"


class CallOutcome(OpenEnum):
    """How a model call ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNCLEAN = "unclean"
    TRANSPORT = "transport"
    REJECTED = "rejected"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    STALE = "stale"


class Direction(OpenEnum):
    """Which way a rule, a scan or an analyst leans."""

    BULLISH = "BULLISH"
    BEARISH = "BEARISH"


class ExitAction(OpenEnum):
    """What was done about it."""

    PLACE_STOP = "place_stop"
    CHANGE_STOP = "change_stop"
    PLACE_CLOSE = "place_close"
    CANCEL = "cancel"
    FLAT = "flat"
    BROKER_KILL = "broker_kill"
    PNL_EXIT = "pnl_exit"


class ExitReason(OpenEnum):
    """Why something was sent that no decision asked for."""

    STOP_LOST = "stop_lost"
    STOP_EXCESS = "stop_excess"
    STOP_PASSED = "stop_passed"
    UNPROTECTED = "unprotected"
    SQUARE_OFF = "square_off"
    HALT = "halt"
    DEADLINE = "deadline"
    DAY_LOSS = "day_loss"


class FeedState(OpenEnum):
    """What happened to a feed connection."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    GAP = "gap"
    STALE = "stale"
    DISCONNECTED = "disconnected"
    MALFORMED = "malformed"
    STOPPED = "stopped"


class Leg(OpenEnum):
    """Which part of a super order an order is; a plain order is an entry."""

    ENTRY = "entry"
    STOP_LOSS = "stop_loss"
    TARGET = "target"


class ObservedBy(OpenEnum):
    """How an observation reached us."""

    PLACEMENT = "placement"
    ORDER_UPDATE = "order_update"
    ORDER_BOOK = "order_book"
    TRADE_BOOK = "trade_book"


class OrderStatus(OpenEnum):
    """Where an order stands, in the exchange's and Dhan's words.

    Dhan adds words without notice: those are `OTHER`, and the word is kept beside it.
    """

    TRANSIT = "TRANSIT"
    PENDING = "PENDING"
    TRIGGERED = "TRIGGERED"
    PART_TRADED = "PART_TRADED"
    TRADED = "TRADED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    OTHER = "OTHER"


class Origin(OpenEnum):
    """Who made a decision: the agents, plain rules, or the safety net after a failure."""

    COMMITTEE = "committee"
    RULES = "rules"
    FAILSAFE = "failsafe"


class Outcome(OpenEnum):
    """How an intent ended.

    `unknown` is never an end: it becomes accepted, rejected or not_found.
    """

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"
    NOT_FOUND = "not_found"


class ScanResult(OpenEnum):
    """The Scout's verdict on one symbol."""

    SHORTLISTED = "SHORTLISTED"
    DISCARDED = "DISCARDED"


class Side(OpenEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"


class StrategyMode(OpenEnum):
    """How far the orders of a strategy go, most careful first."""

    OFF = "off"
    SHADOW = "shadow"
    PAPER = "paper"
    LIVE = "live"


class Timeframe(OpenEnum):
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


class Answer(Part):
    """When the order left and what kind of answer came; its words stand in the execution."""

    # microseconds of machine time since the claim
    sent: int
    # microseconds of machine time since the claim
    answered: int
    # accepted, rejected, not_sent or unknown
    kind: str


class Approval(Part):
    """Where a decision stands that needs an operator's yes."""

    state: ApprovalState
    # machine time of the deadline, by the database's clock
    until: int


class Book(Part):
    """The best bid and ask, and the units at the five best levels of each side.

    With a `fault` nothing else is known of it.
    """

    # market time at which its packet came
    at: int
    # the best; null where nobody buys
    bid: int | None = None
    # the best; null where nobody sells
    ask: int | None = None
    # shares or contract units, not lots
    bid_quantity: int = 0
    # shares or contract units, not lots
    ask_quantity: int = 0
    # null where the book is sound
    fault: BookFault | None = None


class BrokerPosition(Part):
    """What Dhan says the account holds of one instrument."""

    instrument: str
    product: str
    # units; below zero is short
    net: int


class BookRead(Part):
    """The account's whole book was read: every order and trade of it was recorded before this."""

    # whether every row could be read
    whole: bool
    # how many
    orders: int
    # how many
    trades: int
    # as the broker counts them
    positions: tuple[BrokerPosition, ...]


class DaySoFar(Part):
    """One instrument's day until `end`, of its one-minute bars."""

    # of the newest bar
    end: int
    # paise per unit traded; 100 are one rupee
    open: int
    # paise per unit traded; 100 are one rupee
    high: int
    # paise per unit traded; 100 are one rupee
    low: int
    # paise per unit traded; 100 are one rupee
    close: int
    # seen from the session's open on, so open and extremes count
    whole: bool
    # price 15 minutes before `end`
    close_15m: int | None = None
    # price 60 minutes before `end`
    close_60m: int | None = None


class DaysBefore(Part):
    """What daily bars say of the trading days before."""

    # of the last of them
    high: int
    # paise per unit traded; 100 are one rupee
    low: int
    # paise per unit traded; 100 are one rupee
    close: int
    # units a day, mean of the last 20
    average_volume: float
    # percent of the days known whose average true range, as a share of the close, was no greater
    # than the last one's; null where too few are known
    volatility_percentile: float | None


class SeenSession(Part):
    """One continuous session of the instrument; `close` is its first moment outside."""

    # nanoseconds since 1970-01-01T00:00:00 UTC
    open: int
    # nanoseconds since 1970-01-01T00:00:00 UTC
    close: int


class SeenQuote(Part):
    """The last trade, and its exchange time."""

    # paise per unit traded; 100 are one rupee
    price: int
    # nanoseconds since 1970-01-01T00:00:00 UTC
    traded_at: int


class SeenCounts(Part):
    """The account's orders so far: of the day those that open, of a second all."""

    # how many
    today: int
    # how many
    this_second: int
    # how many
    last_second: int
    # how many
    last_minute: int = 0
    # how many
    last_hour: int = 0
    # how many
    last_day: int = 0


class SeenLimits(Part):
    """The limits that the order was held to."""

    # paise; 100 are one rupee
    max_order_value: int
    # how many
    max_orders_per_day: int
    # limit price from the last trade, at most
    max_deviation: int
    # instruments; null, here and below: any
    max_open_positions: int | None = None
    # paise; 100 are one rupee
    max_symbol_exposure: int | None = None
    # paise; 100 are one rupee
    max_exposure: int | None = None
    # paise; 100 are one rupee
    max_daily_loss: int | None = None
    # those that may be traded, sorted
    segments: tuple[str, ...] | None = None
    products: tuple[str, ...] | None = None
    long_only: bool = False
    # minutes without an entry after a stop traded; null: none
    stop_out_cooldown: int | None = None
    # how many
    max_stop_outs_per_day: int | None = None
    # whether the user's own were known
    known: bool = True


class SeenExposure(Part):
    """What the user's orders and fills of the day came to before this order."""

    # units here when all buys fill; below zero short
    most: int = 0
    # units here when all sells fill; below zero short
    least: int = 0
    # paise in all other instruments
    elsewhere: int = 0
    # how many
    positions: int = 0


class SeenListed(Part):
    """What the day's instrument master and list of bans said of the instrument."""

    # of the day's price band; null: not told
    lower: int | None = None
    # paise per unit traded; 100 are one rupee
    upper: int | None = None
    # nothing is entered without a band
    band_needed: bool = False
    # units of one order that the exchange may reject; null: not told
    freeze_quantity: int | None = None
    # on its underlying: none, in_force or unknown
    ban: str = "none"


class SeenCrowd(Part):
    """The order among all users' of its decision, and the market's volume of the last minutes."""

    # units of the user's own order before anything cut it
    asked: int
    # units of all users' orders of the decision
    ordered: int
    # units of other decisions that were accepted lately
    others: int
    # units that traded in the market lately
    volume: int
    # of the volume that all users may order together
    most: int
    # shares or contract units, not lots
    lot: int


class Strategy(Part):
    """What a rules file says of one rule beyond its parameters."""

    # of the rule in the file
    name: str
    mode: StrategyMode = StrategyMode.LIVE
    # paise at stake at a time, of one user; null, here and below: any
    capital: int | None = None
    # instruments at a time
    max_open_positions: int | None = None
    # those that open
    max_orders_per_day: int | None = None
    # paise lost in a day, after which it enters nothing that day
    max_daily_loss: int | None = None


class SeenStrategy(Part):
    """What the strategy behind the order allowed, and how far this platform's orders go."""

    strategy: Strategy
    platform: StrategyMode
    # that open, sent by it today
    orders: int = 0
    exposure: SeenExposure = SeenExposure()
    # paise made or lost today in its instruments, before charges
    day_result: int = 0
    # its loss had reached its limit once today
    lost: bool = False


class SeenContext(Part):
    """All that the gate looks at, at one moment of market time."""

    # nanoseconds since 1970-01-01T00:00:00 UTC
    now: int
    # a halt of the user or of everybody was in force
    halted: bool
    # the running mode may trade the account
    mode_allows: bool
    user_active: bool
    token_refused: bool
    # whose the token is: as_stored, another or unverified
    account: str
    # the calendar knew the day for the instrument's segment
    day_known: bool
    # the instrument's own of the day; none when closed
    sessions: tuple[SeenSession, ...]
    # on Indian clocks
    square_off_cash: str
    # on Indian clocks
    square_off_fno: str
    # null before the feed's first record
    feed_clock: int | None
    quote: SeenQuote | None
    sent: SeenCounts
    limits: SeenLimits
    # units, by the orders of the day; below zero is short
    position: int
    # units, by the fills known; null where none is
    filled: int | None
    # the account's calls were answered, as far as was heard
    account_answers: bool = True
    # a halt that lets out nothing was in force
    stopped: bool = False
    exposure: SeenExposure = SeenExposure()
    # paise made or lost today, closed and open, before charges
    day_result: int = 0
    # declared, where the mode trades a family
    member: bool = True
    # where requests come from: as_registered, another or unverified
    address: str = "as_registered"
    # why today's checks of the account are red; empty: green, or none
    preflight: str = ""
    listed: SeenListed = SeenListed()
    # stops of the user that traded today
    stop_outs: int = 0
    # when the last did in this instrument; null: none did
    stopped_out_at: int | None = None
    # the day's book was read whole and agrees, as far as asked for
    reconciled: bool = True
    # null where nobody asked
    crowd: SeenCrowd | None = None
    # false: Dhan was asked and did not say
    funds_known: bool = True
    # paise free for entries; null: not asked for, or unknown
    funds: int | None = None
    # units the instrument is traded in
    lot: int = 1
    # the ledger had signed it, as far as asked for
    logged: bool = True
    # an operator's yes to the decision: waiting or yes; empty: none was needed
    approval: str = ""
    # absent where the rules file says nothing of the rule
    strategy: SeenStrategy | None = None


class Judgement(Part):
    """What the gate saw last before the order left, and what it said.

    An order that certainly did not leave is judged and tried again: then this is the last try.
    """

    seen: SeenContext
    # reason code of the denial; empty: it may leave
    verdict: str
    # microseconds from asking for the claim to having it
    claimed: int
    # microseconds of machine time since the claim
    judged: int
    # how many times it was judged
    tries: int
    # null where it was denied
    answer: Answer | None


class Evidence(Part):
    """What the record of an order says about why.

    `judgement` is absent where the gate never judged (the claim was refused, or came too late),
    and where the process died between sending and recording: then nobody knows what it saw last.
    """

    # before the claim; by it the order may have been cut
    asked: SeenContext
    # units that the intent asked for
    asked_quantity: int
    # what forbade the whole, so that only the exit was left of it
    cut_by: tuple[str, ...]
    # the decision's deadline
    valid_until: int
    # trigger of the order's stop
    stop: int | None = None
    judgement: Judgement | None = None


class InstrumentBook(Part):
    """The last book of an instrument within five seconds."""

    instrument: str
    book: Book


class LedgerEntry(Part):
    """One leaf: where a record stands, and what it is (`audit.ledger.entries`)."""

    topic: str
    # how many
    partition: int
    # how many
    offset: int
    # the record's own stamp, POSIX milliseconds
    published_ms: int
    # of topic, partition, key and value
    message: str
    # of the record's headers
    headers: str


class ManifestInput(Part):
    """One input: its digest, and what it was where that is short."""

    # SHA-256 of the canonical JSON
    digest: str
    # bytes of the canonical JSON
    size: int
    # the value stands in ats.manifest-contents, under its digest
    apart: bool
    # null where it stands apart
    value: Any = None


class ObservedFill(Part):
    """One trade at the exchange."""

    # the exchange's number of the trade
    trade_id: str
    dhan_order_id: str
    instrument: str
    side: Side
    product: str
    # shares or contract units, not lots
    quantity: int
    # paise per unit traded; 100 are one rupee
    price: int
    # exchange time; 0 where not told
    traded_at: int = 0


class ObservedOrder(Part):
    """One order, or one leg of a super order, as Dhan showed it at one moment."""

    dhan_order_id: str
    leg: Leg
    # the name it was placed under; empty where none was told
    dhan_correlation_id: str = ""
    instrument: str
    side: Side
    product: str
    # LIMIT, STOP_LOSS, …; empty where not told
    order_type: str = ""
    status: OrderStatus
    # Dhan's own word
    status_word: str
    # shares or contract units, not lots
    quantity: int
    # shares or contract units, not lots
    filled: int = 0
    # paise; filled quantity times average price, to the nearest paisa. Dhan rounds averages, so
    # trades are truer
    filled_value: int = 0
    # limit in paise; 0 where there is none
    price: int = 0
    # trigger in paise; 0 where there is none
    trigger: int = 0
    # the broker's own time of this state; 0 where not told
    updated_at: int = 0
    # number of the super order that it is part of, which is its entry's number; empty for a plain
    # order and where not told. A leg may have a number of its own
    super_order: str = ""
    reason: str = ""


class PreflightFacts(Part):
    """What was looked at before an account may enter anything, as it was judged."""

    # market time of the look
    now: int
    trading_date: date
    # null where no token is stored
    token_expiry: int | None
    # the end of the day's last session; null on a day without one
    session_close: int | None
    # where Dhan sees requests come from: as_registered, another or unverified
    address: str
    # paise that may still be used; null: Dhan did not say
    funds: int | None
    # the day whose instrument master is used
    instruments_of: date
    # the calendar knows the day
    day_known: bool
    # null before the feed's first record
    feed_clock: int | None
    # the day's whole book was read and recorded
    book_read: bool
    # no position is known to differ from the broker's
    book_agrees: bool
    # Dhan's own exit at a loss: armed, unarmed, unknown or not_wanted
    pnl_exit: str


class PriceSince(Part):
    """How far the price went after a moment."""

    # nanoseconds since 1970-01-01T00:00:00 UTC
    since: int
    # paise per unit traded; 100 are one rupee
    high: int
    # paise per unit traded; 100 are one rupee
    low: int


class RecentBars(Part):
    """The newest final bars of one timeframe. Columns of equal length, oldest first."""

    timeframe: Timeframe
    start: tuple[int, ...]
    # of the newest bar
    end: int
    open: tuple[int, ...]
    high: tuple[int, ...]
    low: tuple[int, ...]
    close: tuple[int, ...]
    volume: tuple[int, ...]
    # indicators of the newest bar; absent during warm-up
    values: dict[str, float]


class RecordedHeadline(Part):
    """One line of news, bounded as a model may see it."""

    # nanoseconds since 1970-01-01T00:00:00 UTC
    published_at: int
    source: str
    text: str


class ScanEntry(Part):
    """The Scout's verdict on one symbol; `rank` counts from 1 among the shortlisted."""

    scan_id: UUID
    instrument: str
    symbol: str
    result: ScanResult
    initial_signal: Direction
    # from 1
    rank: int | None = None
    reason: str = ""
    # by name; paise where it is a price, else the measure's own unit
    features: dict[str, float]


class SectorSoFar(Part):
    """The mean move of the other shares of an instrument's industry, each share alike."""

    # of the industry, as the operator's list has it
    name: str
    # others whose bars were known; each mean is of three at least
    shares: int
    # percent
    since_open: float | None = None
    # percent
    last_15m: float | None = None
    # percent
    last_60m: float | None = None


class SourceAnswer(Part):
    """What one of several sources of news last answered, before a signal was judged."""

    name: str
    # of the last time it was asked
    outcome: Answered
    # when it last answered well: its age is up to the signal; null for never
    answered_at: int | None
    # that it gave on the symbol and that may be seen
    headlines: int
    detail: str = ""


class VolumeSoFar(Part):
    """Volume of the day's finished quarters of an hour, beside that of the same ones before."""

    # finished ones of the day
    quarters: int
    # shares or contract units, not lots
    volume: int
    # units, mean of `days`; null where none is known
    usual: float | None
    # how many
    days: int


class WithoutOrder(Part):
    """Why one user got no order of a decision."""

    user_id: UUID
    reason_code: str


class Candle(Message):
    """`ats.candles`: a final bar. `event_time` is its end.

    `complete` is False when the engine was not watching from the bar's start, so the volume may
    be short.
    """

    instrument: str
    timeframe: Timeframe
    # nanoseconds since 1970-01-01T00:00:00 UTC
    start: int
    # paise per unit traded; 100 are one rupee
    open: int
    # paise per unit traded; 100 are one rupee
    high: int
    # paise per unit traded; 100 are one rupee
    low: int
    # paise per unit traded; 100 are one rupee
    close: int
    # shares or contract units, not lots
    volume: int
    # how many
    ticks: int
    complete: bool


class DailyBars(Message):
    """`ats.daily-bars`: the history of one instrument as the Scout of a trading date got it.

    Columns of equal length, oldest first.
    """

    trading_date: date
    instrument: str
    # of the span that was asked for, both ends included
    first: date
    last: date
    outcome: Answered
    detail: str = ""
    days: tuple[date, ...] = ()
    open: tuple[int, ...] = ()
    high: tuple[int, ...] = ()
    low: tuple[int, ...] = ()
    close: tuple[int, ...] = ()
    volume: tuple[int, ...] = ()


class DeadLetter(Message):
    """`ats.deadletter`: what could not be read, verbatim (base64), with the reason."""

    topic: str
    # of the topic the record came from
    partition: int
    # of the record in that partition
    offset: int
    reason: str
    field: str
    key: str | None
    value: str | None


class Decision(Message):
    """`ats.decisions`, the execution topic. Nothing may act on it at or after `valid_until`."""

    signal_id: UUID
    scan_id: UUID | None
    instrument: str
    symbol: str
    action: Action
    reasoning: str
    # percent
    confidence: int
    origin: Origin
    reason_code: str
    # paise per unit traded; 100 are one rupee
    reference_price: int
    # nanoseconds since 1970-01-01T00:00:00 UTC
    valid_until: int
    model: str = ""
    prompt_version: str = ""
    # what the rules file says of the rule; absent where it says nothing
    strategy: Strategy | None = None


class Depth(Message):
    """`ats.depth`: the last books of five seconds of market time; `event_time` is the newest's."""

    books: tuple[InstrumentBook, ...]


class Execution(Message):
    """`ats.executions`: the one recorded outcome of an intent, or a later correction of it.

    A message whose id another one `corrects` no longer counts, whichever of the two is read
    first.
    """

    order_id: UUID
    decision_id: UUID
    user_id: UUID
    instrument: str
    symbol: str
    side: Side
    # shares or contract units, not lots
    quantity: int
    # paise per unit traded; 100 are one rupee
    price: int
    outcome: Outcome
    reason_code: str
    reason: str = ""
    dhan_order_id: str | None = None
    # id of the execution that this one replaces; absent from a first outcome
    corrects: UUID | None = None
    # name of the strategy; absent where its rules file says nothing of it
    strategy: str | None = None
    # what the gate saw; absent where nobody wrote it down
    evidence: Evidence | None = None


class ExitOrder(Message):
    """`ats.exits`: what was sent without a decision, why, what was seen, what Dhan answered.

    Its id follows from its content; `event_time` is the market time at which it was sent.
    """

    user_id: UUID
    trading_date: date
    action: ExitAction
    reason_code: ExitReason
    # null where it is about the whole account
    instrument: str | None
    side: Side | None = None
    # shares or contract units, not lots
    quantity: int = 0
    # limit in paise; 0 where there is none
    price: int = 0
    # trigger in paise; 0 where there is none
    trigger: int = 0
    leg: Leg = Leg.ENTRY
    dhan_correlation_id: str = ""
    dhan_order_id: str | None = None
    # units held as the broker's own book showed them; below zero short
    net: int = 0
    # units of them without a resting stop
    uncovered: int = 0
    # accepted, rejected, in_transit, not_sent or unknown; of `flat` proved; of `pnl_exit` armed,
    # differs, rejected, not_sent or unknown
    outcome: str
    code: str = ""
    # Dhan's words
    reason: str = ""
    # microseconds of machine time from sending to Dhan's answer; 0 where nothing was sent
    waited_us: int = 0


class FanOut(Message):
    """`ats.fanouts`: to whom a BUY or SELL went, and who got none and why.

    Its id follows from its content: a decision that is delivered again may find other users
    active, and says so.
    """

    decision_id: UUID
    instrument: str
    symbol: str
    action: Action
    # how many users got an order intent
    orders: int
    # users without one, by user id; the first thousands
    without: tuple[WithoutOrder, ...] = ()
    # users without one that are not listed
    more_without: int = 0
    # rule by which the users' intents came one after another; null: by user id
    turns: str | None = None
    # null where the decision needed no operator's yes
    approval: Approval | None = None


class FeedEvent(Message):
    """`ats.feed`: the life of a connection.

    A gap names the market time span in which ticks may be missing.
    """

    # number of the connection
    gateway: int
    state: FeedState
    reason: str = ""
    # how many
    instruments: int = 0
    # how many
    packets: int = 0
    # nanoseconds since 1970-01-01T00:00:00 UTC
    gap_from: int | None = None
    # nanoseconds since 1970-01-01T00:00:00 UTC
    gap_to: int | None = None


class Indicators(Message):
    """`ats.indicators`: values at bar close, by name such as `ema_9`; None during warm-up."""

    instrument: str
    timeframe: Timeframe
    # nanoseconds since 1970-01-01T00:00:00 UTC
    start: int
    # paise per unit traded; 100 are one rupee
    close: int
    # by name; paise where it is a price, else the indicator's own unit; null during warm-up
    values: dict[str, float | None]


class LedgerBatch(Message):
    """`ats.ledger`: leaves of one day's log, in their order.

    It counts where it continues the log as the topic has it: `first` is the size of the log
    before.
    """

    # trading date of the records
    day: date
    # index of the first leaf
    first: int
    entries: tuple[LedgerEntry, ...]


class LedgerCheckpoint(Message):
    """`ats.checkpoints`: the head of one day's log, signed by the ledger or by a witness too."""

    day: date
    # how many leaves
    size: int
    # the signed note (c2sp.org/tlog-checkpoint)
    note: str
    # index of the first leaf that `seals` are of
    since: int
    # of each leaf since, the ledger's signature
    seals: tuple[str, ...] = ()
    # TOPIC-PARTITION@OFFSET of each leaf since
    places: tuple[str, ...] = ()


class LlmCall(Message):
    """`ats.llm`: one model call, journalled before its answer is used.

    `id` is the hash of the request.
    """

    agent: str
    model: str
    # the body as sent to the provider
    request: dict[str, Any]
    response: str | None
    outcome: CallOutcome
    detail: str = ""
    # whether a request left; true in records older than the field, whatever it was
    sent: bool = True
    # how many
    input_tokens: int = 0
    # how many
    output_tokens: int = 0
    # paise, 100 are one rupee; of the tokens used, at the price that the settings give
    cost: int = 0
    # milliseconds
    latency_ms: float


class Manifest(Message):
    """`ats.manifest`: what decides the output of one service, at each start and each change.

    Its id follows from the service and the digests, so equal configuration has one id for ever.
    `event_time` is the begin of the trading date, on Indian clocks, for which it was written.
    The records that a service writes name it in the header `ats-manifest`.
    """

    service: str
    # by name, such as rules or calendar
    inputs: dict[str, ManifestInput]


class ManifestContent(Message):
    """`ats.manifest-contents`, compacted by digest: one input that is too long for a manifest."""

    # SHA-256 of the canonical JSON
    digest: str
    # the canonical JSON, zlib-compressed, in base64
    packed: str


class MarketContext(Message):
    """`ats.market-context`: what was known of the market when a signal was judged.

    One a signal: whoever judges it again sees the same.
    """

    signal_id: UUID
    instrument: str
    # by timeframe, the shortest first
    frames: tuple[RecentBars, ...] = ()
    day: DaySoFar | None = None
    before: DaysBefore | None = None
    volume: VolumeSoFar | None = None
    # since each of our own last decisions
    since_decisions: tuple[PriceSince, ...] = ()
    # of NIFTY 50
    index: DaySoFar | None = None
    # absent where nobody said which shares are of one industry
    sector: SectorSoFar | None = None
    # the newest order book before the signal; absent where none came that day
    depth: Book | None = None


class NewsAnswer(Message):
    """`ats.news`: what was known of a symbol when a signal was judged.

    One a signal: whoever judges it again sees the same.
    """

    signal_id: UUID
    instrument: str
    symbol: str
    outcome: Answered
    detail: str = ""
    # headlines that the source gave, future ones too
    answered: int = 0
    # those that may be seen, newest first
    headlines: tuple[RecordedHeadline, ...] = ()
    # each source, where there are several
    sources: tuple[SourceAnswer, ...] = ()


class OrderEvent(Message):
    """`ats.order-events`: one observation, recorded before it is used.

    Exactly one of `order`, `fill` and `book` is there. Its id follows from what was observed, so
    the same observation is the same event however often and by whomever it is made. `event_time`
    is the market time of the observation.
    """

    user_id: UUID
    observed_by: ObservedBy
    # the Indian day whose book this is of
    trading_date: date
    order: ObservedOrder | None = None
    fill: ObservedFill | None = None
    book: BookRead | None = None


class OrderIntent(Message):
    """`ats.orders`: what one user shall do about one decision, before the gate has seen it."""

    decision_id: UUID
    user_id: UUID
    instrument: str
    symbol: str
    side: Side
    # shares or contract units, not lots
    quantity: int
    # paise per unit traded; 100 are one rupee
    price: int
    # paise per unit traded; 100 are one rupee
    stop: int
    # paise per unit traded; 100 are one rupee
    target: int
    # paise per unit traded; 100 are one rupee
    reference_price: int
    # nanoseconds since 1970-01-01T00:00:00 UTC
    valid_until: int
    dhan_correlation_id: str
    # what the rules file says of the rule; absent where it says nothing
    strategy: Strategy | None = None


class Position(Message):
    """`ats.positions`: what one user did and holds in one instrument on one day.

    Gross of charges. `realised` is what the closed part earned: the smaller of both quantities,
    times the difference of the two average prices, to the nearest paisa; exact when flat.
    """

    user_id: UUID
    trading_date: date
    instrument: str
    # shares or contract units, not lots
    bought: int
    # paise; 100 are one rupee
    bought_value: int
    # shares or contract units, not lots
    sold: int
    # paise; 100 are one rupee
    sold_value: int
    # units; below zero is short
    net: int
    # paise; 100 are one rupee
    realised: int
    # units that a stop resting at the broker would close, should it trigger
    resting_stop: int
    # every filled unit is known trade by trade; else values are the broker's rounded averages
    by_trades: bool
    # whether the broker's own count, when it was last read, was the same; null before it was read,
    # and where something changed since
    agrees: bool | None
    # stops that traded
    stop_outs: int = 0
    # when the last stop traded; absent where none did
    stopped_out_at: int | None = None


class Preflight(Message):
    """`ats.preflights`: whether one user may enter anything today, and why not.

    Told by each order worker when its verdict changed. Its id follows from the facts.
    """

    user_id: UUID
    trading_date: date
    green: bool
    # every reason; none where it is green
    reds: tuple[str, ...]
    facts: PreflightFacts


class Report(Message):
    """`ats.reports`: one analyst's opinion on one signal."""

    signal_id: UUID
    scan_id: UUID
    instrument: str
    symbol: str
    agent_type: AgentType
    # -100 wholly bearish, 100 wholly bullish
    score: int
    # percent
    confidence: int
    summary: str
    # what the analyst looked at; its shape is the analyst's own
    data: dict[str, Any]


class Scan(Message):
    """`ats.scans`: the Scout's list for one trading date."""

    trading_date: date
    origin: str
    entries: tuple[ScanEntry, ...]


class Signal(Message):
    """`ats.signals`: a rule fired at bar close.

    `features` are what it looked at and what an analyst asks of the bar first, in paise where
    they are prices.
    """

    instrument: str
    timeframe: Timeframe
    rule: str
    direction: Direction
    # paise per unit traded; 100 are one rupee
    price: int
    # by name; paise where it is a price, else the measure's own unit
    features: dict[str, float]
    # what the rules file says of the rule; absent where it says nothing
    strategy: Strategy | None = None


class Trade(Message):
    """`ats.trades`: a fill, once."""

    user_id: UUID
    trading_date: date
    fill: ObservedFill
    dhan_correlation_id: str = ""


class UserSession(Message):
    """`ats.sessions`: who is active, each change. `ats.sessions-latest`: the last of each user.

    Time and id are those of the cause. Each order worker tells all at its start, again with the
    same ids. Never holds a token.
    """

    user_id: UUID
    active: bool
    reason: str
    token_expiry: datetime | None = None


TOPICS: Final = MappingProxyType(
    {
        "ats.feed": FeedEvent,
        "ats.depth": Depth,
        "ats.candles": Candle,
        "ats.indicators": Indicators,
        "ats.signals": Signal,
        "ats.daily-bars": DailyBars,
        "ats.scans": Scan,
        "ats.market-context": MarketContext,
        "ats.news": NewsAnswer,
        "ats.reports": Report,
        "ats.llm": LlmCall,
        "ats.decisions": Decision,
        "ats.sessions": UserSession,
        "ats.sessions-latest": UserSession,
        "ats.orders": OrderIntent,
        "ats.executions": Execution,
        "ats.order-events": OrderEvent,
        "ats.trades": Trade,
        "ats.positions": Position,
        "ats.exits": ExitOrder,
        "ats.preflights": Preflight,
        "ats.fanouts": FanOut,
        "ats.manifest": Manifest,
        "ats.manifest-contents": ManifestContent,
        "ats.ledger": LedgerBatch,
        "ats.checkpoints": LedgerCheckpoint,
        "ats.deadletter": DeadLetter,
    }
)
"""What stands on each topic."""

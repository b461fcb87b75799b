"""Why an order left or did not: what the gate saw, so that anybody can judge again.

Numbers and short codes only: no token, no account, nothing that grows. A field that a newer version
adds is left out by older writers, and means its default then.

The models here are for readers. Order workers write thousands of these in a second and read none,
so they keep them as `Written`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field

from schemas.frozen import FrozenModel
from schemas.strategy import Strategy, StrategyMode
from schemas.units import BasisPoints, Paise, Price, Quantity, UtcNs

MOST_SESSIONS: Final = 2  # of one day and instrument (`schemas.calendar`)

# Evidence or a part of it as JSON has it: what its model dumps, field for field. Never changed.
Written: TypeAlias = Mapping[str, Any]

Code = Annotated[str, Field(max_length=100)]
Count = Annotated[int, Field(ge=0, description="how many")]
Micros = Annotated[int, Field(ge=0, description="microseconds of machine time since the claim")]
ClockTime = Annotated[
    str, Field(pattern=r"^\d\d:\d\d:\d\d(\.\d{6})?$", description="on Indian clocks")
]


class SeenQuote(FrozenModel):
    """The last trade, and its exchange time."""

    price: Price
    traded_at: UtcNs


class SeenCounts(FrozenModel):
    """The account's orders so far: of the day those that open, of a second all."""

    today: Count
    this_second: Count
    last_second: Count
    last_minute: Count = 0
    last_hour: Count = 0
    last_day: Count = 0


class SeenLimits(FrozenModel):
    """The limits that the order was held to."""

    max_order_value: Paise
    max_orders_per_day: int = Field(description="how many")
    max_deviation: BasisPoints = Field(description="limit price from the last trade, at most")
    max_open_positions: Count | None = Field(
        default=None, description="instruments; null, here and below: any"
    )
    max_symbol_exposure: Paise | None = None
    max_exposure: Paise | None = None
    max_daily_loss: Paise | None = None
    segments: tuple[Code, ...] | None = Field(
        default=None, max_length=20, description="those that may be traded, sorted"
    )
    products: tuple[Code, ...] | None = Field(default=None, max_length=20)
    long_only: bool = False
    stop_out_cooldown: Count | None = Field(
        default=None, description="minutes without an entry after a stop traded; null: none"
    )
    max_stop_outs_per_day: Count | None = None
    known: bool = Field(default=True, description="whether the user's own were known")


class SeenExposure(FrozenModel):
    """What the user's orders and fills of the day came to before this order."""

    most: int = Field(default=0, description="units here when all buys fill; below zero short")
    least: int = Field(default=0, description="units here when all sells fill; below zero short")
    elsewhere: Paise = Field(default=Paise(0), description="paise in all other instruments")
    positions: Count = 0


class SeenListed(FrozenModel):
    """What the day's instrument master and list of bans said of the instrument."""

    lower: Price | None = Field(default=None, description="of the day's price band; null: not told")
    upper: Price | None = None
    band_needed: bool = Field(default=False, description="nothing is entered without a band")
    freeze_quantity: Quantity | None = Field(
        default=None, description="units of one order that the exchange may reject; null: not told"
    )
    ban: Code = Field(default="none", description="on its underlying: none, in_force or unknown")


class SeenCrowd(FrozenModel):
    """The order among all users' of its decision, and the market's volume of the last minutes."""

    asked: Quantity = Field(description="units of the user's own order before anything cut it")
    ordered: Quantity = Field(description="units of all users' orders of the decision")
    others: Quantity = Field(description="units of other decisions that were accepted lately")
    volume: Quantity = Field(description="units that traded in the market lately")
    most: BasisPoints = Field(description="of the volume that all users may order together")
    lot: Quantity


class SeenStrategy(FrozenModel):
    """What the strategy behind the order allowed, and how far this platform's orders go."""

    strategy: Strategy
    platform: StrategyMode
    orders: Count = Field(default=0, description="that open, sent by it today")
    exposure: SeenExposure = SeenExposure()
    day_result: int = Field(
        default=0, description="paise made or lost today in its instruments, before charges"
    )
    lost: bool = Field(default=False, description="its loss had reached its limit once today")


class SeenSession(FrozenModel):
    """One continuous session of the instrument; `close` is its first moment outside."""

    open: UtcNs
    close: UtcNs


class SeenContext(FrozenModel):
    """All that the gate looks at, at one moment of market time."""

    now: UtcNs
    halted: bool = Field(description="a halt of the user or of everybody was in force")
    mode_allows: bool = Field(description="the running mode may trade the account")
    user_active: bool
    token_refused: bool
    account: Code = Field(description="whose the token is: as_stored, another or unverified")
    day_known: bool = Field(description="the calendar knew the day for the instrument's segment")
    sessions: tuple[SeenSession, ...] = Field(
        max_length=MOST_SESSIONS, description="the instrument's own of the day; none when closed"
    )
    square_off_cash: ClockTime
    square_off_fno: ClockTime
    feed_clock: UtcNs | None = Field(description="null before the feed's first record")
    quote: SeenQuote | None
    sent: SeenCounts
    limits: SeenLimits
    position: int = Field(description="units, by the orders of the day; below zero is short")
    filled: int | None = Field(description="units, by the fills known; null where none is")
    account_answers: bool = Field(
        default=True, description="the account's calls were answered, as far as was heard"
    )
    stopped: bool = Field(default=False, description="a halt that lets out nothing was in force")
    exposure: SeenExposure = SeenExposure()
    day_result: int = Field(
        default=0, description="paise made or lost today, closed and open, before charges"
    )
    member: bool = Field(default=True, description="declared, where the mode trades a family")
    address: Code = Field(
        default="as_registered",
        description="where requests come from: as_registered, another or unverified",
    )
    preflight: Code = Field(
        default="", description="why today's checks of the account are red; empty: green, or none"
    )
    listed: SeenListed = SeenListed()
    stop_outs: Count = Field(default=0, description="stops of the user that traded today")
    stopped_out_at: UtcNs | None = Field(
        default=None, description="when the last did in this instrument; null: none did"
    )
    reconciled: bool = Field(
        default=True, description="the day's book was read whole and agrees, as far as asked for"
    )
    crowd: SeenCrowd | None = Field(default=None, description="null where nobody asked")
    funds_known: bool = Field(default=True, description="false: Dhan was asked and did not say")
    funds: Paise | None = Field(
        default=None, description="paise free for entries; null: not asked for, or unknown"
    )
    lot: Quantity = Field(default=Quantity(1), description="units the instrument is traded in")
    logged: bool = Field(default=True, description="the ledger had signed it, as far as asked for")
    approval: Code = Field(
        default="",
        exclude_if=lambda approval: not approval,
        description="an operator's yes to the decision: waiting or yes; empty: none was needed",
    )
    # left out where it is null, so that orders of a file that says nothing keep their bytes
    strategy: SeenStrategy | None = Field(
        default=None,
        exclude_if=lambda strategy: strategy is None,
        description="absent where the rules file says nothing of the rule",
    )


class Answer(FrozenModel):
    """When the order left and what kind of answer came; its words stand in the execution."""

    sent: Micros
    answered: Micros
    kind: Code = Field(description="accepted, rejected, not_sent or unknown")


class Judgement(FrozenModel):
    """What the gate saw last before the order left, and what it said.

    An order that certainly did not leave is judged and tried again: then this is the last try.
    """

    seen: SeenContext
    verdict: Code = Field(description="reason code of the denial; empty: it may leave")
    claimed: Micros = Field(description="microseconds from asking for the claim to having it")
    judged: Micros
    tries: Annotated[int, Field(ge=1, description="how many times it was judged")]
    answer: Answer | None = Field(description="null where it was denied")


class Evidence(FrozenModel):
    """What the record of an order says about why.

    `judgement` is absent where the gate never judged (the claim was refused, or came too late), and
    where the process died between sending and recording: then nobody knows what it saw last.
    """

    asked: SeenContext = Field(description="before the claim; by it the order may have been cut")
    asked_quantity: Quantity = Field(description="units that the intent asked for")
    cut_by: tuple[Code, ...] = Field(
        max_length=20, description="what forbade the whole, so that only the exit was left of it"
    )
    valid_until: UtcNs = Field(description="the decision's deadline")
    stop: Price | None = Field(default=None, description="trigger of the order's stop")
    judgement: Judgement | None = None

"""What the gate is shown of the system, the market and the user before an order leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from executors.risk.crowd import Crowd
from executors.risk.exposure import Exposure
from executors.risk.listed import Listed
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.risk.strategy import StrategyContext
from schemas.calendar import Calendar
from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise, Price, Quantity, UtcNs

DAILY: Final = SquareOff()
ONE: Final = Quantity(1)


class Account(Enum):
    """What Dhan said about the account that the order would go to."""

    AS_STORED = "as_stored"
    ANOTHER = "another"
    UNVERIFIED = "unverified"


class Address(Enum):
    """What Dhan said about where the account's requests come from."""

    AS_REGISTERED = "as_registered"
    ANOTHER = "another"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Funds:
    """What the account may still enter for.

    Attributes:
        known: False where Dhan was to be asked and did not say, or said it too long ago.
        free: Paise; None where nobody asks: paper money, or unknown.
    """

    known: bool = True
    free: Paise | None = None


NOT_ASKED: Final = Funds()


class Approval(Enum):
    """Whether an operator has said yes to the order's decision."""

    NOT_NEEDED = ""
    WAITING = "waiting"
    GIVEN = "yes"


@dataclass(frozen=True, slots=True)
class Quote:
    """Last trade of an instrument and its exchange time."""

    price: Price
    traded_at: UtcNs


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """The user's orders so far.

    Attributes:
        today: On this trading day, without those that only closed (`closes`).
        this_second: All requests, in this calendar second of the market's clock; Zerodha counts so.
        last_second: In any second around now; others count so.
        last_minute, last_hour, last_day: Likewise, of windows that roll.
    """

    today: int = 0
    this_second: int = 0
    last_second: int = 0
    last_minute: int = 0
    last_hour: int = 0
    last_day: int = 0


class Order(Protocol):
    """What the gate looks at of an order; an intent is one, and what was recorded of it another."""

    @property
    def instrument(self) -> InstrumentId: ...

    @property
    def side(self) -> Side: ...

    @property
    def quantity(self) -> Quantity: ...

    @property
    def price(self) -> Price: ...

    @property
    def stop(self) -> Price | None: ...

    @property
    def valid_until(self) -> UtcNs: ...


@dataclass(frozen=True, slots=True)
class PreTradeContext:
    """What is known at `now` (market time) about the system, the market and the user.

    Attributes:
        mode_allows: The running mode may trade this user's account.
        user_active: Switch on and token alive, as far as the last look at the database knows.
        account: Whether the token is of the account that the user named, as far as the mode asks.
        account_answers: Dhan answers calls for the account, as far as was heard lately.
        member: The account is declared as a member of the family, where the mode trades one.
        address: Whether its requests come from the address registered for it, as far as the mode
            asks.
        preflight: Why the account's checks of today are red; "" where they are green, or not asked
            for.
        token_refused: Dhan refused the token that the order would leave with.
        calendar: When the exchanges trade, closing-auction shares included.
        square_off: When the day's positions are closed, so that none is opened any more.
        halted: A halt of the user, or of everybody, is in force: only what closes leaves.
        stopped: One is in force that lets out nothing at all.
        feed_clock: How far the feed's own clock has come; None before its first record.
        position: Units of this instrument that the user's orders of the day add up to; below zero
            they are sold short.
        filled: The same by the fills that are known; None when none is.
        exposure: What the user's orders and fills of the day come to, in this instrument and
            elsewhere.
        day_result: Paise made or lost today, closed and open, before charges.
        listed: What the day's instrument master and lists say of the instrument.
        stop_outs: Stops of the user that traded today.
        stopped_out_at: When the last of them did in this instrument.
        reconciled: The user's book of today was read whole and agrees with the broker's, as far as
            the mode asks.
        crowd: The order among all users' of its decision; None where nobody asks.
        funds: What the account may still enter for.
        lot: Units that the instrument is traded in.
        logged: The ledger has signed the intent, as far as that is asked for.
        approval: Whether an operator has said yes to the decision, as far as that is asked for.
        strategy: Of the decision behind the order; None where its rules file says nothing of it.
    """

    now: UtcNs
    mode_allows: bool
    user_active: bool
    calendar: Calendar
    feed_clock: UtcNs | None
    quote: Quote | None
    sent: OrderCounts
    limits: UserLimits
    position: int = 0
    token_refused: bool = False
    account: Account = Account.AS_STORED
    account_answers: bool = True
    square_off: SquareOff = DAILY
    halted: bool = False
    filled: int | None = None
    exposure: Exposure = field(default_factory=Exposure)
    day_result: int = 0
    member: bool = True
    address: Address = Address.AS_REGISTERED
    preflight: str = ""
    stopped: bool = False
    listed: Listed = field(default_factory=Listed)
    stop_outs: int = 0
    stopped_out_at: UtcNs | None = None
    reconciled: bool = True
    crowd: Crowd | None = None
    funds: Funds = NOT_ASKED
    lot: Quantity = ONE
    logged: bool = True
    approval: Approval = Approval.NOT_NEEDED
    strategy: StrategyContext | None = None

    @property
    def closable(self) -> int:
        """Units that are held for certain, by orders and by fills.

        An order may have been accepted and never filled, and a stop may have closed what was. What
        "closes" such a position would open another, past every halt.
        """
        return closable(self.position, self.filled)


def closes(side: Side, quantity: int, position: int) -> bool:
    """Whether such an order only makes `position` smaller.

    Limits on entries must not keep anybody in a position.
    """
    held = position if side is Side.SELL else -position
    return 0 < quantity <= held


def opens(side: Side, position: int) -> bool:
    """Whether an order of `side` closes nothing; one that turns a position over does both."""
    return position == 0 or (position > 0) is (side is Side.BUY)


def closable(position: int, filled: int | None) -> int:
    """The smaller of two counts of one position; nothing where they are of different sides."""
    if filled is None:
        return position
    if (position > 0) is not (filled > 0) or not filled:
        return 0
    return min(position, filled, key=abs)

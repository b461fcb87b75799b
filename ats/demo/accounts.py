"""What each user's day came to, and whether our books say the same as the broker's. Pure.

In go the trades and positions that `ats books` published and the broker's own book; out come the
figures of the summary and two promises.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

from ats.demo.broker_book import BrokerBook, BrokerOrder, BrokerPosition
from executors.charges.book import fills_of
from executors.charges.charges import charges, estimate
from executors.charges.day import DayTrades, Fill
from executors.charges.rates import NoRate, Rates
from executors.charges.result import NetResult, net_result
from executors.orders.exits import ExitKind, is_ours
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.messages import ExitReason, Position, Trade
from schemas.units import Paise
from simulator.matching.enums import Source


class BookPromise(StrEnum):
    """What is checked against the broker's own book, in the words of the summary."""

    SAME_BOOKS = "our trades and P&L equal the broker's to the paisa"
    FLAT = "everybody is flat by the broker's own book, and the broker had nothing to close"


class Closing(StrEnum):
    """What closed a position, or a part of it."""

    TARGET = "target"
    STOP = "stop"
    SQUARE_OFF = "square-off"
    DECISION = "closing decision"
    HALT = "halt"
    NO_STOP = "no stop could rest"
    GUARDIAN = "guardian"
    BROKER = "broker's square-off"
    BY_HAND = "order from the phone"


_BY_REASON: Final = {
    ExitReason.SQUARE_OFF: Closing.SQUARE_OFF,
    ExitReason.HALT: Closing.HALT,
    ExitReason.STOP_PASSED: Closing.NO_STOP,
    ExitReason.UNPROTECTED: Closing.NO_STOP,
}


@dataclass(frozen=True, slots=True)
class Account:
    """One user's day as we and as the broker tell it.

    Attributes:
        trades: By `ats.trades`, each once.
        positions: The last of `ats.positions` of each instrument.
        exits: Why the guardian sent its closing orders, by their names at Dhan.
    """

    name: str
    book: BrokerBook
    trades: Sequence[Trade] = ()
    positions: Mapping[InstrumentId, Position] = field(default_factory=dict)
    exits: Mapping[str, ExitReason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PositionDay:
    """One instrument's day. `closings` counts the orders that closed some of it.

    Attributes:
        realised: Paise earned by what was closed, before charges.
    """

    symbol: str
    bought: int
    sold: int
    realised: Paise
    closings: Mapping[Closing, int]

    @property
    def open(self) -> int:
        """Units held; below zero is short."""
        return self.bought - self.sold

    @property
    def end(self) -> str:
        """How it was closed, in words."""
        parts = [f"{n} × {by}" if n > 1 else str(by) for by, n in self.closings.items()]
        return ", ".join([*parts, f"open: {self.open:+}"] if self.open else parts)


@dataclass(frozen=True, slots=True)
class AccountDay:
    """What one user's day came to.

    Attributes:
        result: None where nobody knows the charges; `unknown` says why.
        charged_by: The day whose rates the charges follow.
    """

    name: str
    positions: tuple[PositionDay, ...]
    trades: int
    gross: Paise
    result: NetResult | None
    charged_by: date
    unknown: str = ""


def account_day(account: Account, day: date, rates: Rates, thinking: Paise) -> AccountDay:
    """The figures of `day` (India). `thinking` is what the decisions cost."""
    closings = closings_of(account.book, account.exits)
    symbols = account.book.symbols
    positions = tuple(
        PositionDay(
            symbols.get(instrument, str(instrument)),
            position.bought,
            position.sold,
            position.realised,
            closings.get(instrument, {}),
        )
        for instrument, position in account.positions.items()
        if position.bought or position.sold
    )
    gross = Paise(sum(each.realised for each in positions))
    flat = not any(each.open for each in positions)
    charged_by, result, unknown = day, None, ""
    try:
        charged_by = _day_of_rates(account.trades, day, rates)
        trades = DayTrades(charged_by, _fills(account.trades))
        bill = charges(trades, rates) if flat else estimate(trades, rates)
        result = net_result(gross, bill, thinking)
    except (NoRate, Unreadable) as error:
        unknown = str(error)
    positions = tuple(sorted(positions, key=lambda each: each.symbol))
    return AccountDay(
        account.name, positions, len(account.trades), gross, result, charged_by, unknown
    )


def _fills(trades: Iterable[Trade]) -> tuple[Fill, ...]:
    return fills_of(trade.fill for trade in trades)


def _day_of_rates(trades: Sequence[Trade], day: date, rates: Rates) -> date:
    """`day`, or the newest day on which a rate changed when none are known for a day long past."""
    try:
        estimate(DayTrades(day, _fills(trades)), rates)
    except NoRate:
        return max(row.valid_from for row in rates.rows)
    return day


def closings_of(
    book: BrokerBook, exits: Mapping[str, ExitReason]
) -> dict[InstrumentId, dict[Closing, int]]:
    """How many orders of which kind made a position smaller, by instrument."""
    orders = book.order_by_number
    held = Counter[InstrumentId]()
    closed: dict[InstrumentId, dict[str, Closing]] = defaultdict(dict)
    for trade in book.trades:
        units = trade.quantity if trade.side is Side.BUY else -trade.quantity
        if held[trade.instrument] * units < 0:
            closed[trade.instrument][trade.order] = _closing(orders[trade.order], exits)
        held[trade.instrument] += units
    return {each: dict(Counter(by_order.values())) for each, by_order in closed.items()}


def _closing(order: BrokerOrder, exits: Mapping[str, ExitReason]) -> Closing:
    name = order.name or ""
    if order.is_target:
        return Closing.TARGET
    if order.is_stop or (is_ours(name) and name.startswith(ExitKind.STOP)):
        return Closing.STOP
    if order.source is Source.PHONE:
        return Closing.BY_HAND
    if not is_ours(name):
        return Closing.BROKER
    if name.startswith(ExitKind.CLOSE):
        reason = exits.get(name)
        return _BY_REASON.get(reason, Closing.GUARDIAN) if reason else Closing.GUARDIAN
    return Closing.DECISION


class _Traded(NamedTuple):
    """What both books must say of a trade; `value` in paise."""

    trade_id: str
    order: DhanOrderId
    instrument: InstrumentId
    side: Side
    quantity: int
    value: Fraction


def disagreements(account: Account) -> list[str]:
    """Where our trades and positions are not the broker's, each in one line."""
    return [f"{account.name}: {what}" for what in (*_of_trades(account), *_of_positions(account))]


def _of_trades(account: Account) -> Iterator[str]:
    ours = Counter(
        _Traded(
            fill.trade_id,
            fill.dhan_order_id,
            fill.instrument,
            fill.side,
            fill.quantity,
            Fraction(fill.quantity * fill.price),
        )
        for fill in (trade.fill for trade in account.trades)
    )
    theirs = Counter(
        _Traded(each.trade_id, each.order, each.instrument, each.side, each.quantity, each.value)
        for each in account.book.trades
    )
    if missing := (theirs - ours).total():
        yield f"{missing} of the broker's {theirs.total()} trades are not among ours"
    if extra := (ours - theirs).total():
        yield f"{extra} of our {ours.total()} trades are not among the broker's"


def _of_positions(account: Account) -> Iterator[str]:
    by_instrument: dict[InstrumentId, list[BrokerPosition]] = defaultdict(list)
    for position in account.book.positions:
        by_instrument[position.instrument].append(position)
    symbols = account.book.symbols
    for instrument in sorted(by_instrument.keys() | account.positions.keys()):
        rows, ours = by_instrument.get(instrument, []), account.positions.get(instrument)
        theirs = _counted(rows)
        mine = _of_ours(ours) if ours else _NOTHING
        symbol = symbols.get(instrument, str(instrument))
        if mine != theirs:
            yield f"{symbol}: we count {_in_words(*mine)}, the broker {_in_words(*theirs)}"
        # over several products the broker nets each by itself
        elif ours and len(rows) == 1 and ours.realised != round(rows[0].realised):
            theirs_earned = f"the broker {rows[0].realised} paise"
            yield f"{symbol}: we count a P&L of {int(ours.realised)} paise, {theirs_earned}"


_NOTHING: Final = (0, Fraction(0), 0, Fraction(0))


def _counted(rows: Iterable[BrokerPosition]) -> tuple[int, Fraction, int, Fraction]:
    bought, bought_value, sold, sold_value = _NOTHING
    for row in rows:
        bought, bought_value = bought + row.bought, bought_value + row.bought_value
        sold, sold_value = sold + row.sold, sold_value + row.sold_value
    return bought, bought_value, sold, sold_value


def _of_ours(position: Position) -> tuple[int, Fraction, int, Fraction]:
    bought_value, sold_value = Fraction(position.bought_value), Fraction(position.sold_value)
    return position.bought, bought_value, position.sold, sold_value


def _in_words(bought: int, bought_value: Fraction, sold: int, sold_value: Fraction) -> str:
    return f"{bought:d} bought for {bought_value} paise and {sold:d} sold for {sold_value}"


def not_flat(account: Account) -> list[str]:
    """What the account still holds, or what may still trade, by the broker's own book."""
    symbols = account.book.symbols
    held = [
        f"{account.name} holds {row.net:+} {symbols.get(row.instrument, str(row.instrument))}"
        for row in account.book.positions
        if row.net
    ]
    live = sum(order.live for order in account.book.orders)
    return [*held, f"{account.name} has {live} orders that may still trade"] if live else held


def left_to_the_broker(account: Account) -> list[str]:
    """What the broker squared off itself, because we had not."""
    symbols, closings = account.book.symbols, closings_of(account.book, account.exits)
    return [
        f"{account.name}: the broker itself squared off {symbols.get(instrument, str(instrument))}"
        for instrument, counts in closings.items()
        if Closing.BROKER in counts
    ]

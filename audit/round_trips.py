"""Fills matched first in, first out: what was entered, and what left it again. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from schemas.ids import InstrumentId, UserId
from schemas.market import Side
from schemas.messages import Trade


class Holding(NamedTuple):
    """One user's day in one instrument."""

    user: UserId
    instrument: InstrumentId
    day: date


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Units of one fill that one other fill closed, or that are still held.

    Attributes:
        exit: None while held.
    """

    entry: Trade
    exit: Trade | None
    quantity: int

    @property
    def side(self) -> Side:
        """Of the entry."""
        return self.entry.fill.side

    @property
    def gross(self) -> int:
        """Paise that it earned, before charges; nothing while held."""
        if self.exit is None:
            return 0
        sign = 1 if self.side is Side.BUY else -1
        return sign * (self.exit.fill.price - self.entry.fill.price) * self.quantity

    @property
    def turnover(self) -> int:
        """Paise bought and sold."""
        closed = self.exit.fill.price if self.exit else 0
        return (self.entry.fill.price + closed) * self.quantity


def fills_by_holding(trades: Iterable[Trade]) -> Mapping[Holding, list[Trade]]:
    """Each fill once, in the order of the exchange's time."""
    found: dict[Holding, list[Trade]] = defaultdict(list)
    for each in {each.id: each for each in trades}.values():
        found[Holding(each.user_id, each.fill.instrument, each.trading_date)].append(each)
    for fills in found.values():
        fills.sort(key=lambda each: (each.fill.traded_at, each.fill.trade_id))
    return found


def round_trips(fills: Iterable[Trade]) -> list[RoundTrip]:
    """Of the fills of one holding, in their order; what is still held comes last."""
    found: list[RoundTrip] = []
    lots = deque[tuple[Trade, int]]()
    for trade in fills:
        left = int(trade.fill.quantity)
        while left and lots and lots[0][0].fill.side is not trade.fill.side:
            entry, units = lots.popleft()
            closed = min(left, units)
            found.append(RoundTrip(entry, trade, closed))
            left -= closed
            if units > closed:
                lots.appendleft((entry, units - closed))
        if left:
            lots.append((trade, left))
    return found + [RoundTrip(entry, None, units) for entry, units in lots]

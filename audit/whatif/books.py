"""What each user holds on one side of a what-if, by estimated trades. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from audit.whatif.paths import OPPOSITE, Path, Step, Trade, path_of
from schemas.ids import DecisionId, InstrumentId, UserId
from schemas.market import Side
from schemas.messages import OrderIntent
from schemas.units import Quantity, UtcNs


class OrderName(NamedTuple):
    """One order of either side; both sides name it alike."""

    decision: DecisionId
    user: UserId


@dataclass(frozen=True, slots=True)
class Holding:
    """What a user holds at a moment, seen from one instrument.

    Attributes:
        units: Here; below zero sold short.
        elsewhere: Paise in all other instruments, at the prices paid.
        positions: Other instruments in which something is held.
        result: Paise of trades that ended, before charges.
        counted: Orders that left so far.
    """

    units: int = 0
    elsewhere: int = 0
    positions: int = 0
    result: int = 0
    counted: int = 0

    def less(self, other: Holding) -> Holding:
        """What this has more than `other`."""
        return Holding(
            self.units - other.units,
            self.elsewhere - other.elsewhere,
            self.positions - other.positions,
            self.result - other.result,
            self.counted - other.counted,
        )


@dataclass(frozen=True, slots=True)
class _Open:
    order: OrderName
    trade: Trade  # as it ends unless an opposite order comes first

    @property
    def signed(self) -> int:
        return self.trade.quantity if self.trade.side is Side.BUY else -self.trade.quantity


@dataclass(slots=True)
class Book:
    """The trades of all users on one side, placed in the order of time.

    Attributes:
        ended: By order, its trades that are over.
    """

    paths: Mapping[InstrumentId, Path]
    ended: dict[OrderName, list[Trade]] = field(default_factory=lambda: defaultdict(list))
    _open: dict[UserId, dict[InstrumentId, list[_Open]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    _results: dict[UserId, int] = field(default_factory=lambda: defaultdict(int))
    _left: dict[UserId, list[UtcNs]] = field(default_factory=lambda: defaultdict(list))

    def count(self, user: UserId, moment: UtcNs) -> None:
        """Note an order that left at `moment`, filled or not."""
        self._left[user].append(moment)

    def place(
        self, order: OrderName, intent: OrderIntent, quantity: Quantity, due: UtcNs | None
    ) -> bool:
        """Fill `quantity` of `intent`: what is held against it closes first; whether it filled.

        `due` is when the day's positions are closed.
        """
        path = path_of(self.paths, intent.instrument)
        entered = path.entry(intent.side, intent.price, intent.event_time, intent.valid_until)
        if entered is None:
            return False
        mine = self._open[order.user][intent.instrument]
        self._end(order.user, intent.instrument, entered.at)
        left = self._close_against(mine, intent.side, quantity, entered, order.user)
        if not left:
            return True
        ends = path.exit(intent.side, entered.at, intent.stop, intent.target, due)
        if ends is None:
            return left < quantity
        step, why = ends
        trade = Trade(intent.instrument, intent.side, left, entered, step, why)
        mine.append(_Open(order, trade))
        return True

    def _close_against(
        self, mine: list[_Open], side: Side, quantity: Quantity, at: Step, user: UserId
    ) -> Quantity:
        """Close what is open against `side`, oldest first; returns what is left of `quantity`."""
        left = int(quantity)
        for each in [held for held in mine if held.trade.side is not side]:
            units = min(left, each.trade.quantity)
            if not units:
                break
            left -= units
            closed = replace(each.trade, quantity=Quantity(units), left=at, why=OPPOSITE)
            self._note(user, each.order, closed)
            place = mine.index(each)
            rest = each.trade.quantity - units
            mine[place : place + 1] = (
                [_Open(each.order, replace(each.trade, quantity=Quantity(rest)))] if rest else []
            )
        return Quantity(left)

    def _end(self, user: UserId, instrument: InstrumentId, at: int) -> None:
        """Take out what has ended by tick `at`."""
        mine = self._open[user][instrument]
        for each in [held for held in mine if held.trade.left.at <= at]:
            mine.remove(each)
            self._note(user, each.order, each.trade)

    def _note(self, user: UserId, order: OrderName, trade: Trade) -> None:
        self.ended[order].append(trade)
        self._results[user] += trade.gross

    def holding(self, user: UserId, instrument: InstrumentId, moment: UtcNs) -> Holding:
        """What `user` holds at `moment`; moments may not fall."""
        here, elsewhere, positions = 0, 0, 0
        for each in list(self._open[user]):
            times = path_of(self.paths, each).times
            self._end(user, each, int(np.searchsorted(times, moment, side="right")) - 1)
            held = self._open[user][each]
            units = sum(one.signed for one in held)
            if each == instrument:
                here = units
            elif units:
                positions += 1
                elsewhere += sum(one.trade.quantity * one.trade.entered.price for one in held)
        counted = sum(each < moment for each in self._left[user])
        return Holding(here, elsewhere, positions, self._results[user], counted)

    def finish(self) -> None:
        """End what is still open, each trade as it ends by itself."""
        for user, held in self._open.items():
            for mine in held.values():
                for each in mine:
                    self._note(user, each.order, each.trade)
                mine.clear()

"""Remembers each Dhan account's orders of the day.

How many entries, what they add up to, and how many requests in each second, minute, hour and day.
Every instance follows `ats.executions`, so that all but the seconds survive a restart and a
rebalance: a restart takes longer than one. Requests of others are counted at their market time.

Limits and rate are the account's. Until a user's account is known their orders are counted under
the user; then they are the account's, also after another user has connected it.

Where the guarantee stops: `ats.executions` names users and no accounts, so after a restart the
orders of a user who changed accounts on the same day count for the account they have now. A
position is what accepted orders add up to, not what was filled, and only of this day. An order that
was accepted and never filled leaves a position here that the account does not hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeAlias
from uuid import UUID

from executors.risk.denial import Denial
from executors.risk.exposure import Ordered
from executors.risk.requests import CLOSING_A_SECOND, DAY, HOUR, MINUTE, SECOND, WORKERS, Requests
from executors.risk.situation import OrderCounts, closes
from executors.risk.strategy import StrategyOrders
from schemas.ids import DhanClientId, InstrumentId, OrderId, UserId
from schemas.market import Side, trading_day
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import Quantity, UtcNs

_REACHED_DHAN: Final = frozenset({Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_FOUND})


@dataclass(slots=True)
class _Day:
    """One account's orders of one trading day.

    Each order is told entry from exit once, when it is first heard of.
    """

    date: date
    known: set[OrderId] = field(default_factory=set)
    entries: set[OrderId] = field(default_factory=set)
    # signed quantity: bought above zero, sold below
    accepted: dict[OrderId, int] = field(default_factory=dict)
    # executions that a later one corrects; a repeat of them says nothing any more
    replaced: set[UUID] = field(default_factory=set)
    positions: defaultdict[InstrumentId, int] = field(default_factory=lambda: defaultdict(int))
    ordered: dict[InstrumentId, Ordered] = field(default_factory=dict)
    # orders that left and whose outcome is not known
    unanswered: dict[OrderId, OrderIntent] = field(default_factory=dict)
    # of orders whose decision has a strategy; those that ran into its loss today
    placed_by: dict[OrderId, tuple[str, InstrumentId]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def hear_of(
        self, order: OrderId, instrument: InstrumentId, side: Side, quantity: Quantity
    ) -> bool:
        """Whether it is heard of for the first time."""
        if order in self.known:
            return False
        self.known.add(order)
        if not closes(side, quantity, self.positions[instrument]):
            self.entries.add(order)
        return True

    def record_outcome(
        self, order: OrderId, instrument: InstrumentId, signed: int, price: int
    ) -> None:
        """What `order` adds to the position. Said again, the last word counts."""
        before, sums = self.accepted.get(order, 0), self.ordered.get(instrument, Ordered())
        self.positions[instrument] += signed - before
        self.ordered[instrument] = Ordered(
            sums.bought + max(signed, 0) - max(before, 0),
            sums.sold + max(-signed, 0) - max(-before, 0),
            price,
        )
        self.accepted[order] = signed

    def placed_for(self, strategy: str, apart_from: OrderId) -> StrategyOrders:
        """What it ordered; `apart_from` is an order that is tried again."""
        own = {
            order: instrument
            for order, (name, instrument) in self.placed_by.items()
            if name == strategy and order != apart_from
        }
        signed = self.accepted | {order: each.quantity for order, each in self.unanswered.items()}
        held = {instrument for order, instrument in own.items() if signed.get(order)}
        units = Counter[InstrumentId]()
        for order, instrument in own.items():
            units[instrument] += abs(self.accepted.get(order, 0))
        return StrategyOrders(
            entries=len(self.entries & own.keys()),
            instruments=frozenset(held),
            shared=frozenset(each for each in held if self._units(each) > units[each]),
            lost=strategy in self.lost,
        )

    def _units(self, instrument: InstrumentId) -> int:
        """Accepted, bought and sold together, whoever decided."""
        sums = self.ordered.get(instrument, Ordered())
        return sums.bought + sums.sold

    def take_in(self, other: _Day) -> None:
        """Add the orders of `other`, which are others and of the same day."""
        self.known |= other.known
        self.entries |= other.entries
        self.accepted |= other.accepted
        self.unanswered |= other.unanswered
        self.replaced |= other.replaced
        self.placed_by |= other.placed_by
        self.lost |= other.lost
        for instrument, signed in other.positions.items():
            self.positions[instrument] += signed
        for instrument, theirs in other.ordered.items():
            ours = self.ordered.get(instrument, Ordered())
            self.ordered[instrument] = Ordered(
                ours.bought + theirs.bought, ours.sold + theirs.sold, theirs.price
            )


# Whose orders are counted together: an account's, or those of a user whose account nobody knows.
_Counted: TypeAlias = DhanClientId | UserId


class OrderRate:
    """One instance's memory of orders sent."""

    def __init__(self) -> None:
        self._days: dict[_Counted, _Day] = {}
        self._requests: defaultdict[_Counted, Requests] = defaultdict(Requests)
        self._closing: defaultdict[_Counted, Requests] = defaultdict(Requests)
        self._accounts: dict[UserId, DhanClientId] = {}
        self._earlier: defaultdict[UserId, set[DhanClientId]] = defaultdict(set)

    def connected(self, user: UserId, account: DhanClientId) -> None:
        """`user` trades `account` from now on; what they sent before stays where it was counted."""
        known = self._accounts.get(user)
        if known == account:
            return
        self._accounts[user] = account
        if known is None:
            self._move(user, account)
        else:
            self._earlier[user].add(known)

    def _move(self, user: UserId, account: DhanClientId) -> None:
        """Count for `account` what was counted for `user` alone."""
        for requests in (self._requests, self._closing):
            requests[account].take_in(requests.pop(user, Requests()))
        moved, day = self._days.pop(user, None), self._days.get(account)
        if moved is None or (day and day.date > moved.date):
            return
        if day and day.date == moved.date:
            day.take_in(moved)
        else:
            self._days[account] = moved

    def _counted(self, user: UserId) -> _Counted:
        return self._accounts.get(user, user)

    def observe(self, execution: Execution) -> None:
        """Take in an outcome of any instance, or the correction of one. Seen twice, it counts once.

        A correction changes the position and leaves the count: the order was sent.
        """
        for account in (self._counted(execution.user_id), *self._earlier[execution.user_id]):
            if account in self._days:
                self._days[account].unanswered.pop(execution.order_id, None)
        date = trading_day(execution.event_time)
        self._note_loss(execution, date)
        if execution.outcome not in _REACHED_DHAN:
            return
        if day := self._day_of(execution.order_id, execution.user_id, date):
            sign = 1 if execution.side is Side.BUY else -1
            signed = sign * execution.quantity if execution.outcome is Outcome.ACCEPTED else 0
            if day.hear_of(
                execution.order_id, execution.instrument, execution.side, execution.quantity
            ):  # sent by another process, or in an earlier life; it may have closed something
                counted = self._counted(execution.user_id)
                self._requests[counted].note(execution.event_time)
                self._closing[counted].note(execution.event_time)
            if execution.strategy:
                day.placed_by[execution.order_id] = execution.strategy, execution.instrument
            if execution.corrects:
                day.replaced.add(execution.corrects)
            if execution.id not in day.replaced:
                day.record_outcome(
                    execution.order_id, execution.instrument, signed, execution.price
                )

    def spend(self, intent: OrderIntent, now: UtcNs, *, closing: bool = False) -> None:
        """Note that the order of `intent` leaves now; one that is `closing` only closes."""
        if day := self._day(intent.user_id, trading_day(now)):
            day.hear_of(intent.id, intent.instrument, intent.side, intent.quantity)
            day.unanswered[intent.id] = intent
            if intent.strategy:
                day.placed_by[intent.id] = intent.strategy.name, intent.instrument
        counted = self._counted(intent.user_id)
        self._requests[counted].note(now)
        if closing:
            self._closing[counted].note(now)

    def _note_loss(self, execution: Execution, date: date) -> None:
        """A strategy that was denied an order for its loss enters nothing more that day."""
        strategy, code = execution.strategy, execution.reason_code
        if strategy is None or code != Denial.STRATEGY_LOSS_REACHED.value:
            return
        if day := self._day(execution.user_id, date):
            day.lost.add(strategy)

    def placed_for(
        self, user: UserId, strategy: str, now: UtcNs, apart_from: OrderId
    ) -> StrategyOrders:
        """The user's orders of the day of one strategy; `apart_from` is one that is tried again."""
        day = self._days.get(self._counted(user))
        if day is None or day.date != trading_day(now):
            return StrategyOrders()
        return day.placed_for(strategy, apart_from)

    def sent(self, user: UserId, now: UtcNs) -> OrderCounts:
        counted = self._counted(user)
        day, requests = self._days.get(counted), self._requests[counted]
        return OrderCounts(
            today=len(day.entries) if day and day.date == trading_day(now) else 0,
            this_second=requests.in_second(now),
            last_second=requests.within(SECOND, now),
            last_minute=requests.within(MINUTE, now),
            last_hour=requests.within(HOUR, now),
            last_day=requests.within(DAY, now),
        )

    def position(self, user: UserId, instrument: InstrumentId, now: UtcNs) -> int:
        """Units that the user's accepted orders of the day add up to.

        Above zero bought, below zero sold.
        """
        day = self._days.get(self._counted(user))
        return day.positions.get(instrument, 0) if day and day.date == trading_day(now) else 0

    def ordered(
        self, user: UserId, now: UtcNs, apart_from: OrderId | None = None
    ) -> Mapping[InstrumentId, Ordered]:
        """The user's orders of the day that were accepted or may have been, by instrument.

        `apart_from` is one that is tried again, and certainly did not leave.
        """
        day = self._days.get(self._counted(user))
        if day is None or day.date != trading_day(now):
            return {}
        sums = dict(day.ordered)
        for order in day.unanswered.values():
            if order.id == apart_from:
                continue
            so_far, buys = sums.get(order.instrument, Ordered()), order.side is Side.BUY
            sums[order.instrument] = Ordered(
                so_far.bought + (order.quantity if buys else 0),
                so_far.sold + (0 if buys else order.quantity),
                order.price,
            )
        return sums

    def next_slot(self, user: UserId, now: UtcNs, *, closing: bool = False) -> UtcNs:
        """The first moment from `now` on at which a second of the account has room for one more.

        Minutes and longer are the gate's: nobody waits for them.
        """
        slot, counted = now, self._counted(user)
        requests, closings = self._requests[counted], self._closing[counted]
        while True:
            busiest = max(requests.in_second(slot), requests.within(SECOND, slot))
            held = closing and closings.within(SECOND, slot) >= CLOSING_A_SECOND
            if busiest < WORKERS.second and not held:
                return slot
            slot = UtcNs((slot // SECOND + 1) * SECOND)

    def _day_of(self, order: OrderId, user: UserId, date: date) -> _Day | None:
        """Where `order` was counted when it was first heard of, else the user's day."""
        for account in self._earlier.get(user, ()):
            day = self._days.get(account)
            if day and order in day.known:
                return day
        return self._day(user, date)

    def _day(self, user: UserId, date: date) -> _Day | None:
        """The user's day, a new one when `date` is later than the last; None when it is earlier."""
        counted = self._counted(user)
        day = self._days.get(counted)
        if day is None or date > day.date:
            day = self._days[counted] = _Day(date)
        return day if date == day.date else None

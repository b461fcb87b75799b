"""Remembers how many orders each user sent: today, and around each second of the market's clock.

Every instance follows `ats.executions`, so the day's count survives a restart and a rebalance. The seconds are kept in
memory only: a restart takes longer than one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import date
from typing import Final

from executors.gate import ORDERS_PER_SECOND, Sent
from schemas.ids import OrderId, UserId
from schemas.market import trading_day
from schemas.messages import Execution, Outcome
from schemas.units import NS_PER_SECOND, UtcNs

_REMEMBERED: Final = 256  # stamps a user: 32 seconds of the full rate, far more than the two a count looks at
_REACHED_DHAN: Final = frozenset({Outcome.ACCEPTED, Outcome.REJECTED, Outcome.NOT_FOUND})


class OrderBudget:
    """One instance's memory of orders sent."""

    def __init__(self) -> None:
        self._days: dict[UserId, tuple[date, set[OrderId]]] = {}
        self._stamps: dict[UserId, deque[int]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def observe(self, execution: Execution) -> None:
        """Count an outcome of any instance. Seen twice, it counts once."""
        if execution.outcome in _REACHED_DHAN:
            self._count(execution.user_id, trading_day(execution.event_time), execution.order_id)

    def spend(self, user: UserId, order: OrderId, now: UtcNs) -> None:
        """Note that `order` leaves now."""
        self._count(user, trading_day(now), order)
        self._stamps[user].append(now)

    def sent(self, user: UserId, now: UtcNs) -> Sent:
        day, orders = self._days.get(user, (None, ()))
        stamps = self._stamps[user]
        second = now // NS_PER_SECOND
        return Sent(
            today=len(orders) if day == trading_day(now) else 0,
            this_second=sum(stamp // NS_PER_SECOND == second for stamp in stamps),
            last_second=sum(abs(now - stamp) < NS_PER_SECOND for stamp in stamps),
        )

    def next_slot(self, user: UserId, now: UtcNs) -> UtcNs:
        """The first moment from `now` on at which the user's rate allows one more order."""
        slot = now
        while True:
            sent = self.sent(user, slot)
            if max(sent.this_second, sent.last_second) < ORDERS_PER_SECOND:
                return slot
            slot = UtcNs((slot // NS_PER_SECOND + 1) * NS_PER_SECOND)

    def _count(self, user: UserId, day: date, order: OrderId) -> None:
        known, orders = self._days.get(user, (day, set()))
        if day > known:
            orders = set()
        if day >= known:
            orders.add(order)
            self._days[user] = (day, orders)

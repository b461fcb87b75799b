"""Stops and closings of one account: asks the guardian's cores what is due, and does it at once.

The way to flat follows `executors.orders.guardian`: the next rung of the ladder once the last
closing order left more than it should have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from backtest.exchange import Exchange
from backtest.market import DayMarket
from backtest.observed import ObservedBook
from backtest.setup import Setup
from backtest.trade import Ending
from executors.orders.exits import (
    ExitKind,
    PlaceClose,
    PlaceStop,
    Step,
    entries,
    exit_name,
)
from executors.orders.flatten import Market, flatten
from executors.orders.plans import Plans, expired, stop_of
from executors.orders.protection import protect, take_away
from schemas.ids import InstrumentId, UserId
from schemas.units import UtcNs


@dataclass(slots=True)
class _Leaving:
    """An instrument on its way to flat.

    Attributes:
        left: Units that the last closing order leaves, if it trades whole.
    """

    why: Ending
    rung: int = 0
    left: int | None = None


@dataclass(slots=True)
class Closing:
    """The guardian of one account and day.

    Attributes:
        sent: Why each of its orders was sent, by the number at the exchange.
        halted: No entry may fill any more.
    """

    account: str
    user: UserId
    market: DayMarket
    setup: Setup
    exchange: Exchange
    observed: ObservedBook
    plans: Plans
    sent: dict[str, Ending] = field(default_factory=dict)
    halted: bool = False
    _leaving: dict[InstrumentId, _Leaving] = field(default_factory=dict)
    _attempts: dict[ExitKind, count[int]] = field(
        default_factory=lambda: {kind: count() for kind in ExitKind}
    )

    def look(self, instrument: InstrumentId, second: int) -> bool:
        """Do what is due for one instrument; whether to look again when the market has moved."""
        now = UtcNs.seconds(second)
        if now >= self.market.session.close:
            return False
        self.exchange.catch_up(instrument, second)
        self.exchange.expire(second)
        closing = self.setup.closing(self.market.session.day, instrument)
        if closing is not None and second >= closing:
            self._leaving.setdefault(instrument, _Leaving(Ending.SQUARE_OFF))
        if instrument in self._leaving:
            return self._leave(instrument, second)
        if self.setup.plain:
            return False
        return self._protect(instrument, second)

    def _protect(self, instrument: InstrumentId, second: int) -> bool:
        now, book = UtcNs.seconds(second), self.observed.book
        master = self.market.instruments[instrument]
        quote = self.market.quote_at(instrument, second)
        stop = stop_of(book, instrument, master, self.plans.by_name)
        answer = protect(book, instrument, stop, now=now, last=quote.price if quote else None)
        if answer.passed:
            self._leaving[instrument] = _Leaving(Ending.STOP)
            return self._leave(instrument, second)
        self._send(answer.steps, instrument, second, Ending.STOP)
        late = list(expired(book, instrument, self.plans.by_name, now))
        gone = entries(book, instrument) if self.halted else late
        ending = [step for bracket in gone for step in take_away(bracket)]
        self._send(ending, instrument, second, Ending.STOP)
        return False

    def _leave(self, instrument: InstrumentId, second: int) -> bool:
        leaving, book = self._leaving[instrument], self.observed.book
        net = book.holding(instrument).net
        if leaving.left is not None and abs(net) > leaving.left:
            leaving.rung += 1
            leaving.left = None
        answer = flatten(book, instrument, net, self._price(instrument, second), rung=leaving.rung)
        if answer.flat:
            if leaving.why is not Ending.SQUARE_OFF:
                del self._leaving[instrument]
            return False
        self._send(answer.steps, instrument, second, leaving.why)
        for step in answer.steps:
            if isinstance(step, PlaceClose):
                leaving.left = abs(net) - step.quantity
        return True

    def _price(self, instrument: InstrumentId, second: int) -> Market:
        master = self.market.instruments[instrument]
        quote = self.market.quote_at(instrument, second)
        assert quote is not None, "what was ordered has a price"
        return Market(quote.price, master.tick_size, master.band)

    def _send(
        self, steps: Iterable[Step], instrument: InstrumentId, second: int, why: Ending
    ) -> None:
        for step in steps:
            placed = self.exchange.leave(
                self.account, step, instrument, self._name(step, instrument), second
            )
            if placed:
                self.sent[placed.order_id] = why

    def _name(self, step: Step, instrument: InstrumentId) -> str:
        if not isinstance(step, PlaceStop | PlaceClose):
            return ""
        kind = ExitKind.STOP if isinstance(step, PlaceStop) else ExitKind.CLOSE
        day, attempt = self.market.session.day, next(self._attempts[kind])
        return exit_name(kind, self.user, instrument, day, attempt)

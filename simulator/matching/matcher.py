"""Matches orders against the market: what trades now, what rests, what waits for its trigger.

Simulated users trade with the market, never with one another. At each print every waiting order may
take from the print's ladder: better limits first, then older ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.ids import InstrumentId
from schemas.market import Instrument, Side, to_tick
from schemas.units import BasisPoints, Price, Quantity
from simulator.matching.enums import Validity
from simulator.matching.ladder import Ladder
from simulator.matching.order import Order
from simulator.matching.rules import Circuits

_WHOLE = 10_000  # basis points


class Outcome(Protocol):
    """Who is told what the matcher did. It must not call the matcher back, except in `done`."""

    def filled(self, order: Order, price: Price, quantity: Quantity, second: int) -> None:
        """`quantity` units of `order` traded at `price`."""

    def triggered(self, order: Order, second: int) -> None:
        """The market reached the trigger of `order`."""

    def dropped(self, order: Order, second: int) -> None:
        """An immediate-or-cancel order, or what is left of it, found nothing."""

    def done(self, second: int) -> None:
        """One waiting order had its turn at a print."""


@dataclass(slots=True)
class InstrumentQueue:
    """One instrument: its last price and who waits for another."""

    instrument: Instrument
    circuits: Circuits | None
    last: Price | None = None
    second: int = 0
    ladder: Ladder | None = None
    resting: list[Order] = field(default_factory=list)
    armed: list[Order] = field(default_factory=list)


class Matcher:
    """All orders at the exchange.

    `protection` is how far from the last price a market order may trade.
    """

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        circuits: Mapping[InstrumentId, Circuits],
        protection: BasisPoints,
        outcome: Outcome,
    ) -> None:
        self._counters = {
            id_: InstrumentQueue(instrument, circuits.get(id_))
            for id_, instrument in instruments.items()
        }
        self._protection = protection
        self._outcome = outcome

    def last(self, instrument: InstrumentId) -> Price | None:
        """The last price of `instrument`, None before its first print."""
        counter = self._counters.get(instrument)
        return counter.last if counter else None

    def print(self, instrument: InstrumentId, price: int, second: int) -> None:
        """The market traded: triggers first, then everybody who waits meets the new ladder."""
        counter = self._counters[instrument]
        counter.last, counter.second, counter.ladder = Price(price), second, None
        if counter.armed:
            for order in [order for order in counter.armed if reached(order, price)]:
                counter.armed.remove(order)
                self._trigger(order, second)
                counter.resting.append(order)
        if counter.resting:
            self._match_resting(counter, second)

    def enter(self, order: Order, second: int) -> None:
        """Take an order in at the exchange.

        It trades what it can at once; the rest waits or, if immediate, is dropped.
        """
        counter = self._counters[order.request.instrument]
        if order.armed:
            if counter.last is None or not reached(order, counter.last):
                counter.armed.append(order)
                return
            self._trigger(order, second)
        self._sweep(counter, order, second)
        self._keep(counter, order, second)

    def leave(self, order: Order) -> None:
        """Take an order out, wherever it waits; nothing happens when it does not."""
        counter = self._counters[order.request.instrument]
        for waiting in (counter.resting, counter.armed):
            if order in waiting:
                waiting.remove(order)

    def interest(self, instrument: InstrumentId) -> tuple[float, float]:
        """Two prices: no print between them, itself outside, changes an order of `instrument`."""
        counter, low, high = self._counters[instrument], -math.inf, math.inf
        for order in counter.resting:
            if order.limit is None:
                return math.inf, -math.inf
            if order.request.side is Side.BUY:
                low = max(low, order.limit)
            else:
                high = min(high, order.limit)
        for order in counter.armed:
            if order.request.side is Side.BUY:
                high = min(high, order.request.trigger)
            else:
                low = max(low, order.request.trigger)
        return low, high

    def replenish(self, instrument: InstrumentId) -> None:
        """Put back what orders took from the last print.

        While the market stands still, its orders do not run out.
        """
        self._counters[instrument].ladder = None

    def protected(self, order: Order, price: int) -> Price:
        """The limit a market order gets when the market stands at `price`."""
        away = self._protection if order.request.side is Side.BUY else -self._protection
        limit = to_tick(price * (_WHOLE + away) / _WHOLE, order.instrument.tick_size)
        circuits = self._counters[order.request.instrument].circuits
        return limit if circuits is None else min(max(limit, circuits.lower), circuits.upper)

    def _match_resting(self, counter: InstrumentQueue, second: int) -> None:
        """Match the waiting orders against the last print, one after another.

        Whoever acts on one order's fills does so before the next order's turn, which it may cancel.
        """
        for order in sorted(counter.resting, key=_precedence):
            if order in counter.resting:
                counter.resting.remove(order)
                self._sweep(counter, order, second)
                self._keep(counter, order, second)
                self._outcome.done(second)

    def _sweep(self, counter: InstrumentQueue, order: Order, second: int) -> None:
        if counter.last is None:
            return
        if order.limit is None:
            order.limit = self.protected(order, counter.last)
        if not _may_meet(order, counter.last):
            return
        if counter.ladder is None:
            tick_size = counter.instrument.tick_size
            counter.ladder = Ladder.around(
                counter.last,
                counter.second,
                tick_size,
                counter.circuits,
                lot=counter.instrument.lot_size,
            )
        for price, quantity in counter.ladder.take(
            order.request.side, order.limit, order.remaining
        ):
            self._outcome.filled(order, price, quantity, second)

    def _keep(self, counter: InstrumentQueue, order: Order, second: int) -> None:
        if not order.status.live:
            return
        if order.request.validity is Validity.IOC:
            self._outcome.dropped(order, second)
        else:
            counter.resting.append(order)

    def _trigger(self, order: Order, second: int) -> None:
        order.armed = False
        if order.limit is None:
            order.limit = self.protected(order, order.request.trigger)
        self._outcome.triggered(order, second)


def reached(order: Order, price: int) -> bool:
    """Whether `price` sets a stop off: one to buy waits for a rise, one to sell for a fall."""
    trigger = order.request.trigger
    return price >= trigger if order.request.side is Side.BUY else price <= trigger


def _may_meet(order: Order, last: int) -> bool:
    """Cheap test before a ladder is made: no level is better than the last price."""
    assert order.limit is not None, "a limit is set before matching"
    return order.limit >= last if order.request.side is Side.BUY else order.limit <= last


def _precedence(order: Order) -> tuple[float, int]:
    if order.limit is None:
        return -math.inf, order.priority
    return (-order.limit if order.request.side is Side.BUY else order.limit), order.priority

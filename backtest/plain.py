"""Fills as other backtesters have them: whole, at the next print, whatever the order's limit."""

from __future__ import annotations

import math

from schemas.ids import InstrumentId
from schemas.units import Price, Quantity
from simulator.matching.matcher import Matcher
from simulator.matching.order import Order


class PlainMatcher(Matcher):
    """All orders at an exchange where everything is to be had at the last price."""

    def enter(self, order: Order, second: int) -> None:  # noqa: ARG002 - of the base class
        """Let an order wait for the next print."""
        self._counters[order.request.instrument].resting.append(order)

    def print(self, instrument: InstrumentId, price: int, second: int) -> None:
        """The market traded: everybody who waited gets all they want, in the order they came."""
        counter = self._counters[instrument]
        counter.last, counter.second = Price(price), second
        waiting, counter.resting = counter.resting, []
        for order in waiting:
            self._outcome.filled(order, Price(price), Quantity(order.remaining), second)
            self._outcome.done(second)

    def interest(self, instrument: InstrumentId) -> tuple[float, float]:
        """Every print matters to who waits for one."""
        if self._counters[instrument].resting:
            return math.inf, -math.inf
        return -math.inf, math.inf

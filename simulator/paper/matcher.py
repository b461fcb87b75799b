"""Matches paper orders against a tape: what traded after an order arrived is what it may have.

Nothing trades when an order arrives, for a tape shows no depth. The order waits for prints:

- of a trade later than its arrival, by the market's clock, and received later than it, by ours;
- at its limit or better. It gets the price that traded there;
- at most what is known to have traded there. All accounts share it, better limits first.

So no fill is better than the tape. Many are worse than the real market's, which has depth.
Triggers look at every print; what a print triggers meets the next second's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.ids import InstrumentId
from schemas.units import NS_PER_SECOND, Price, Quantity, UtcNs
from simulator.matching.enums import Validity
from simulator.matching.ladder import Ladder, Level
from simulator.matching.matcher import InstrumentQueue, Matcher, reached
from simulator.matching.order import Order
from simulator.paper.tape import Print

# Nanoseconds an immediate order waits for the first trade after it: an active share trades every
# second, and the feed shows it once a second.
IMMEDIATE: Final = 3 * NS_PER_SECOND


class Moment(NamedTuple):
    """A point in time by our clock, and what the market's clock was then."""

    wall: UtcNs
    market: UtcNs


@dataclass(slots=True)
class _Waiting:
    since: Moment
    met: bool = False  # a trade after its arrival, be it at its price or not


class TapeMatcher(Matcher):
    """All paper orders at the exchange.

    Attributes:
        now: Set before each call that may bring an order in.
    """

    now = Moment(UtcNs(0), UtcNs(0))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._waiting: dict[Order, _Waiting] = {}
        self._shown: Print | None = None
        self._traded = 0
        self._ladder = Ladder((), ())

    def show(self, shown: Print, quantity: int) -> None:
        """The print that the next `print` is about, and how many units traded there."""
        self._shown = shown
        counter = self._counters[shown.instrument]
        self._traded = whole = Quantity(quantity - quantity % counter.instrument.lot_size)
        # each trade has a buyer and a seller, so both sides had as much
        levels = [Level(shown.price, whole)] if whole else []
        self._ladder = Ladder(levels, levels)

    def print(self, instrument: InstrumentId, price: int, second: int) -> None:
        """The market traded: whoever waited meets it, then it may trigger stops."""
        counter = self._counters[instrument]
        counter.last, counter.second, counter.ladder = Price(price), second, self._ladder
        if counter.resting:
            self._match_resting(counter, second)
        for order in [order for order in counter.armed if reached(order, price)]:
            counter.armed.remove(order)
            self._trigger(order, second)
            self._rest(order)
            self._outcome.done(second)

    def enter(self, order: Order, second: int) -> None:
        """Let an order wait for the tape; a stop whose trigger is passed already is triggered."""
        counter = self._counters[order.request.instrument]
        if order.armed:
            if counter.last is None or not reached(order, counter.last):
                counter.armed.append(order)
                return
            self._trigger(order, second)
        self._rest(order)

    def leave(self, order: Order) -> None:
        """Take an order out, wherever it waits; nothing happens when it does not."""
        super().leave(order)
        self._waiting.pop(order, None)

    def interest(self, instrument: InstrumentId) -> tuple[float, float]:
        """As the exchange's; an immediate order is decided on by whatever trades first."""
        resting = self._counters[instrument].resting
        if any(order.request.validity is Validity.IOC for order in resting):
            return math.inf, -math.inf
        return super().interest(instrument)

    def replenish(self, instrument: InstrumentId) -> None:
        """Nothing: what traded once does not trade again."""

    @property
    def next_expiry(self) -> UtcNs | None:
        """When the first immediate order has waited long enough, by our clock."""
        since = (
            waiting.since.wall
            for order, waiting in self._waiting.items()
            if order.request.validity is Validity.IOC
        )
        first = min(since, default=None)
        return None if first is None else UtcNs(first + IMMEDIATE)

    def expire(self, wall: UtcNs, second: int) -> None:
        """Drop the immediate orders that have found no trade in their time."""
        for order, waiting in list(self._waiting.items()):
            immediate = order.request.validity is Validity.IOC
            if immediate and waiting.since.wall + IMMEDIATE <= wall:
                self.leave(order)
                self._outcome.dropped(order, second)
                self._outcome.done(second)

    def _rest(self, order: Order) -> None:
        self._counters[order.request.instrument].resting.append(order)
        self._waiting[order] = _Waiting(self.now)

    def _sweep(self, counter: InstrumentQueue, order: Order, second: int) -> None:
        shown, waiting = self._shown, self._waiting[order]
        assert shown is not None, "show() comes before print()"
        if shown.received_at < waiting.since.wall:
            # we are behind: this was on its way when the order came, and so was the market's clock
            waiting.since = waiting.since._replace(market=max(waiting.since.market, shown.clock))
            return
        if shown.traded_at <= waiting.since.market or not self._traded:
            return
        waiting.met = True
        immediate = order.request.validity is Validity.IOC
        if immediate and shown.received_at > waiting.since.wall + IMMEDIATE:
            return  # it is over: we read this late
        super()._sweep(counter, order, second)

    def _keep(self, counter: InstrumentQueue, order: Order, second: int) -> None:
        if not order.status.live:
            self._waiting.pop(order, None)
            return
        if order.request.validity is Validity.IOC and self._waiting[order].met:
            self._waiting.pop(order)
            self._outcome.dropped(order, second)
        else:
            counter.resting.append(order)

"""The simulator's exchange of one day, shown only the prints that matter to its orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from backtest.fills import Fills
from backtest.market import DayMarket
from backtest.plain import PlainMatcher
from dhan.orders import NewOrder
from dhan.super_orders import NewSuperOrder
from executors.orders.exits import Cancel, ChangeStop, PlaceClose, PlaceStop, Step
from schemas.ids import InstrumentId
from schemas.messages import Leg
from schemas.units import NS_PER_SECOND, Paise, Price, UtcNs
from simulator.matching import enums
from simulator.matching.enums import OrderType, Product, Validity
from simulator.matching.matcher import Matcher
from simulator.matching.order import Modification, Order, OrderRequest, OrderSnapshot
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Rules
from simulator.matching.super_orders import Exits, SuperOrders
from simulator.paper.matcher import Moment, TapeMatcher
from simulator.paper.tape import Print
from simulator.refusals import Refusal

LEGS: Final[Mapping[Leg, enums.Leg]] = {
    Leg.ENTRY: enums.Leg.ENTRY,
    Leg.STOP_LOSS: enums.Leg.STOP_LOSS,
    Leg.TARGET: enums.Leg.TARGET,
}
_MATCHERS: Final[Mapping[Fills, type[Matcher]]] = {
    Fills.BOOK: Matcher,
    Fills.TAPE: TapeMatcher,
    Fills.PLAIN: PlainMatcher,
}
# The clock of the backtest ends what rests; margin is not asked for, as ATS uses no leverage.
_RULES: Final = Rules(market_hours=False, margin=False)


class Exchange:
    """Orders of some accounts. Seconds are market time, UTC."""

    def __init__(
        self,
        market: DayMarket,
        fills: Fills,
        on_change: Callable[[OrderSnapshot], None],
    ) -> None:
        self._market = market
        self._matcher: Matcher
        self._orders = OrderManager(
            market.session.day,
            market.instruments,
            circuits=market.circuits,
            rules=_RULES,
            matcher=self._matcher_of(fills),
        )
        self._super_orders = SuperOrders(self._orders)
        self._orders.on_change(self._changed)
        self._tell = on_change
        self._next: dict[InstrumentId, int] = {}  # place on its tape of the first print not shown
        self._due: dict[InstrumentId, int | None] = {}  # place of the next print that matters
        self._orders.open(market.session.open // NS_PER_SECOND)

    # The market's side

    def next_second(self) -> int | None:
        """When the next print comes that may change an order; None for never."""
        found = self._earliest()
        return found[0] if found else None

    def step(self) -> None:
        """Show that print."""
        found = self._earliest()
        assert found is not None, "next_second() says whether there is one"
        _, instrument = found
        at = self._due[instrument]
        assert at is not None, "what is due has a place"
        self._show(instrument, at)

    def catch_up(self, instrument: InstrumentId, second: int) -> None:
        """Let the exchange know the last price until `second`; no print between mattered."""
        own = self._market.tapes[instrument]
        last = int(np.searchsorted(own.seconds, second, side="right")) - 1
        if last >= self._next.get(instrument, 0):
            self._show(instrument, last)

    def expire(self, second: int) -> None:
        """Drop immediate orders that have waited for a trade in vain."""
        if isinstance(self._matcher, TapeMatcher):
            self._at(second)
            self._matcher.expire(UtcNs.seconds(second), second)

    # The accounts' side

    def enter(self, account: str, new: NewOrder | NewSuperOrder, second: int) -> Order | Refusal:
        """Send what an order worker would send; where fills are plain without its exits."""
        self._begin(new.instrument, second)
        exits = None
        if isinstance(new, NewSuperOrder) and not isinstance(self._matcher, PlainMatcher):
            exits = Exits(Paise(new.exits.target), Paise(new.exits.stop_loss))
        request = OrderRequest(
            client_id=account,
            correlation_id=new.correlation_id,
            side=new.side,
            instrument=new.instrument,
            product=Product.INTRADAY,
            order_type=OrderType.LIMIT,
            validity=Validity.DAY if exits else Validity.IOC,
            quantity=new.quantity,
            price=Paise(new.price),
        )
        if exits:
            return self._super_orders.place(request, exits, second)
        return self._orders.place(request, second)

    def leave(
        self, account: str, step: Step, instrument: InstrumentId, name: str, second: int
    ) -> Order | None:
        """Do what a guardian would do; returns the order where that placed one.

        What has ended meanwhile stays as it is.
        """
        self._begin(instrument, second)
        match step:
            case Cancel(number, leg, True):
                self._super_orders.cancel(account, number, LEGS[leg], second)
            case Cancel(number):
                self._orders.cancel(account, number, second)
            case ChangeStop(number, quantity, trigger, price):
                wish = Modification(quantity=quantity, price=Paise(price), trigger=Paise(trigger))
                self._orders.modify(account, number, wish, second)
            case PlaceStop() | PlaceClose():
                placed = self._orders.place(_exit(account, step, instrument, name), second)
                return placed if isinstance(placed, Order) else None
        return None

    def waiting(self) -> Iterator[Order]:
        """Orders that may still trade."""
        for account in self._orders.clients():
            yield from self._orders.live(account)

    # Within

    def _matcher_of(self, fills: Fills) -> Callable[..., Matcher]:
        def made(*args: Any) -> Matcher:
            self._matcher = _MATCHERS[fills](*args)
            return self._matcher

        return made

    def _begin(self, instrument: InstrumentId, second: int) -> None:
        self.catch_up(instrument, second)
        self._at(second)

    def _at(self, second: int) -> None:
        if isinstance(self._matcher, TapeMatcher):
            moment = UtcNs.seconds(second)
            self._matcher.now = Moment(moment, moment)

    def _show(self, instrument: InstrumentId, at: int) -> None:
        own = self._market.tapes[instrument]
        second, price = int(own.seconds[at]), Price(int(own.prices[at]))
        self._next[instrument] = at + 1
        self._due.pop(instrument, None)
        if isinstance(self._matcher, TapeMatcher):
            moment, traded = UtcNs.seconds(second), int(own.quantities[at])
            shown = Print(instrument, price, traded, traded, moment, moment, moment)
            self._matcher.show(shown, traded)
            self._at(second)
        self._orders.on_price(instrument, price, second)

    def _changed(self, snapshot: OrderSnapshot) -> None:
        self._due.pop(snapshot.request.instrument, None)
        self._tell(snapshot)

    def _earliest(self) -> tuple[int, InstrumentId] | None:
        found = None
        for instrument in dict.fromkeys(each.request.instrument for each in self.waiting()):
            at = self._place_due(instrument)
            if at is None:
                continue
            second = int(self._market.tapes[instrument].seconds[at])
            if found is None or (second, instrument) < found:
                found = second, instrument
        return found

    def _place_due(self, instrument: InstrumentId) -> int | None:
        """Where on its tape the next print stands that may change one of its orders."""
        if instrument not in self._due:
            low, high = self._matcher.interest(instrument)
            first = self._next.get(instrument, 0)
            prices = self._market.tapes[instrument].prices[first:]
            (places,) = np.nonzero((prices <= low) | (prices >= high))
            self._due[instrument] = first + int(places[0]) if len(places) else None
        return self._due[instrument]


def _exit(
    account: str, step: PlaceStop | PlaceClose, instrument: InstrumentId, name: str
) -> OrderRequest:
    stop = isinstance(step, PlaceStop)
    return OrderRequest(
        client_id=account,
        correlation_id=name,
        side=step.side,
        instrument=instrument,
        product=Product.INTRADAY,
        order_type=OrderType.STOP_LOSS if stop else OrderType.LIMIT,
        validity=Validity.DAY if stop else Validity.IOC,
        quantity=step.quantity,
        price=Paise(step.price),
        trigger=Paise(step.trigger) if isinstance(step, PlaceStop) else Paise(0),
    )

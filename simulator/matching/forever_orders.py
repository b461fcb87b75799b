"""Forever orders, which are sent to the exchange when the market reaches their trigger.

Of a pair, the first that is sent ends the other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from schemas.ids import InstrumentId
from schemas.units import Paise
from simulator.matching.enums import Leg, Product, Status
from simulator.matching.order import Modification, Order, OrderRequest
from simulator.matching.order_manager import OrderManager
from simulator.refusals import NO_SUCH_ORDER, Code, Refusal

# portal and classic pages agree on these two
_PRODUCTS: Final = frozenset({Product.CNC, Product.MTF})


class Flag(StrEnum):
    """One trigger or two."""

    SINGLE = "SINGLE"
    OCO = "OCO"


@dataclass(slots=True, eq=False)
class ForeverLeg:
    """One trigger and what it sends.

    Attributes:
        request: The order to send; its trigger is the price that sends it.
        rising: Whether the market must rise to the trigger; None until it has a price.
        order: What was sent.
        ended: CANCELLED or REJECTED before anything was sent.
    """

    leg: Leg
    request: OrderRequest
    symbol: str
    rising: bool | None = None
    order: Order | None = None
    ended: Status | None = None

    @property
    def waits(self) -> bool:
        """Whether the leg is neither sent nor ended."""
        return self.order is None and self.ended is None

    @property
    def status(self) -> Status:
        """That of its order once sent; before, CONFIRM, or how it ended."""
        if self.order is not None:
            return self.order.status
        return self.ended or Status.CONFIRM


@dataclass(slots=True, eq=False)
class ForeverOrder:
    """One forever order; one leg, or two for an OCO."""

    order_id: str
    flag: Flag
    legs: tuple[ForeverLeg, ...]
    created_at: int
    updated_at: int

    @property
    def client_id(self) -> str:
        """Whose order this is."""
        return self.legs[0].request.client_id

    def leg(self, name: Leg) -> ForeverLeg | None:
        """Dhan's pages call the first leg ENTRY_LEG or TARGET_LEG, the second TARGET_LEG or
        STOP_LOSS_LEG: a leg by its own name, else the only or first one by ENTRY_LEG.
        """
        for leg in self.legs:
            if leg.leg is name:
                return leg
        return self.legs[0] if name is Leg.ENTRY else None


class ForeverOrders:
    """All forever orders of one book."""

    def __init__(self, book: OrderManager) -> None:
        self._orders = book
        self._all: dict[str, ForeverOrder] = {}
        self._waiting: defaultdict[InstrumentId, list[ForeverOrder]] = defaultdict(list)
        book.add_observer(self)

    def place(
        self, first: OrderRequest, second_leg: OrderRequest | None, second: int
    ) -> ForeverOrder | Refusal:
        """Take a forever order in; with `second_leg` it is an OCO."""
        for request in (first, second_leg):
            if request and (refusal := self._refusal(request)):
                return refusal
        requests = [(Leg.TARGET, first)] + ([(Leg.STOP_LOSS, second_leg)] if second_leg else [])
        legs = tuple(
            ForeverLeg(leg, request, self._symbol(request), self._rising(request))
            for leg, request in requests
        )
        order_id = f"5{self._orders.day:%y%m%d}{len(self._all) + 1:07d}"
        made = ForeverOrder(order_id, Flag.OCO if second_leg else Flag.SINGLE, legs, second, second)
        self._all[order_id] = made
        self._waiting[first.instrument].append(made)
        return made

    def modify(
        self, client_id: str, order_id: str, name: Leg, wish: Modification, second: int
    ) -> ForeverOrder | Refusal:
        """Change the leg `name` of an order; refused once the leg is sent or ended."""
        made = self.by_id(client_id, order_id)
        leg = made.leg(name) if made else None
        if made is None or leg is None:
            return NO_SUCH_ORDER
        if not leg.waits:
            return Refusal(Code.ORDER, f"Forever order cannot be modified: it is {leg.status}")
        request = wish.applied_to(leg.request)
        if refusal := self._refusal(request):
            return refusal
        leg.request, leg.rising, made.updated_at = request, self._rising(request), second
        return made

    def cancel(self, client_id: str, order_id: str, second: int) -> ForeverOrder | Refusal:
        """End the legs that wait; refused when none does."""
        made = self.by_id(client_id, order_id)
        if made is None:
            return NO_SUCH_ORDER
        if not any(leg.waits for leg in made.legs):
            return Refusal(
                Code.ORDER, f"Forever order cannot be cancelled: it is {made.legs[0].status}"
            )
        self._end(made, second)
        return made

    def cancel_all(self, client_id: str, second: int) -> None:
        """End every waiting leg of the user."""
        for made in self.of(client_id):
            self._end(made, second)

    def by_id(self, client_id: str, order_id: str) -> ForeverOrder | None:
        """The user's forever order with this id, or None; nobody sees another's."""
        made = self._all.get(order_id)
        return made if made and made.client_id == client_id else None

    def of(self, client_id: str) -> list[ForeverOrder]:
        """All forever orders of the user, oldest first."""
        return [made for made in self._all.values() if made.client_id == client_id]

    def on_order(self, _: Order, __: int) -> None:
        """Nothing: a forever order's part ends when its order is sent."""

    def on_price(self, instrument: InstrumentId, price: int, second: int) -> None:
        """Send the legs whose trigger `price` (paise) has reached."""
        if not self._waiting or not (waiting := self._waiting.get(instrument)):
            return
        for made in tuple(waiting):
            for leg in made.legs:
                if leg.waits and _reached(leg, price):
                    self._send(made, leg, second)
            if not any(leg.waits for leg in made.legs):
                waiting.remove(made)

    def _send(self, made: ForeverOrder, leg: ForeverLeg, second: int) -> None:
        made.updated_at = second
        request = replace(leg.request, trigger=Paise(0), leg=leg.leg)
        sent = self._orders.place(request, second, parent_id=made.order_id)
        if isinstance(sent, Refusal):
            leg.ended = Status.REJECTED
        else:
            leg.order = sent
        self._end(made, second)

    @staticmethod
    def _end(made: ForeverOrder, second: int) -> None:
        for leg in made.legs:
            if leg.waits:
                leg.ended, made.updated_at = Status.CANCELLED, second

    def _refusal(self, request: OrderRequest) -> Refusal | None:
        if request.product not in _PRODUCTS:
            return Refusal(Code.INPUT, "productType of a forever order is CNC or MTF")
        if not request.trigger:
            return Refusal(Code.INPUT, "triggerPrice of a forever order is required")
        return self._orders.refusal(request)

    def _symbol(self, request: OrderRequest) -> str:
        instrument = self._orders.instrument(request.instrument)
        return instrument.symbol if instrument else ""

    def _rising(self, request: OrderRequest) -> bool | None:
        last = self._orders.last(request.instrument)
        return None if last is None else request.trigger > last


def _reached(leg: ForeverLeg, price: int) -> bool:
    if leg.rising is None:
        leg.rising = leg.request.trigger > price
    return price >= leg.request.trigger if leg.rising else price <= leg.request.trigger

"""Super orders: an entry with a target and a trailing stop, of which one trade takes from the
other.

Both exits stand at the exchange as soon as the entry has traded, always for exactly what is still
open.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from schemas.ids import InstrumentId
from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import Leg, OrderType, Status, Validity
from simulator.matching.order import Modification, Order, OrderRequest
from simulator.matching.order_manager import OrderManager
from simulator.refusals import IN_TRANSIT, NO_SUCH_ORDER, Code, Refusal

REMARKS: Final = "Super Order"  # in the order updates of its entry and its exits
EXITS: Final = (Leg.STOP_LOSS, Leg.TARGET)
_NO_PRICE: Final = Paise(0)


@dataclass(frozen=True, slots=True)
class Exits:
    """Where a super order leaves. 0 is none: no target, no stop, no trail."""

    target: Paise = _NO_PRICE
    stop: Paise = _NO_PRICE
    jump: Paise = _NO_PRICE

    def price(self, leg: Leg) -> Paise:
        """The price of the leg `leg` in paise, 0 when there is none."""
        return self.target if leg is Leg.TARGET else self.stop


@dataclass(slots=True, eq=False)
class SuperOrder:
    """One super order, named by its entry's order id.

    Attributes:
        legs: The exits that were sent; of each leg the latest.
        sent: All of them: a leg is sent again when its entry trades on after it has left.
        cancelled: Exits taken away for good.
        followed: The price the stop has trailed up to; None before the entry traded.
    """

    entry: Order
    exits: Exits
    legs: dict[Leg, Order] = field(default_factory=dict)
    sent: list[Order] = field(default_factory=list)
    cancelled: set[Leg] = field(default_factory=set)
    followed: int | None = None

    @property
    def exited(self) -> int:
        """Units that the exits have closed."""
        return sum(order.filled for order in self.sent)

    @property
    def open(self) -> int:
        """Units bought (or sold) and not yet left."""
        return self.entry.filled - self.exited

    @property
    def status(self) -> Status:
        """CLOSED once an exit has left with everything; else the entry's own."""
        finished = not self.entry.status.live and self.exited and not self.open
        return Status.CLOSED if finished else self.entry.status

    def leg_status(self, leg: Leg) -> Status:
        """The status of an exit leg, as Dhan shows it beside the entry."""
        order = self.legs.get(leg)
        if leg in self.cancelled or not self.exits.price(leg):
            return Status.CANCELLED
        if order is None:
            return Status.PENDING if self.entry.status.live else Status.CANCELLED
        if order.status.live and not order.armed and (order.trades or leg is Leg.STOP_LOSS):
            return Status.TRIGGERED
        return order.status


class SuperOrders:
    """All super orders of one book."""

    def __init__(self, book: OrderManager) -> None:
        self._orders = book
        self._all: dict[str, SuperOrder] = {}
        self._by_order: dict[str, SuperOrder] = {}
        self._trailing: defaultdict[InstrumentId, list[SuperOrder]] = defaultdict(list)
        book.add_observer(self)

    def place(
        self, request: OrderRequest, exits: Exits, second: int, *, hold: bool = False
    ) -> Order | Refusal:
        """Place the entry; refused when target or stop are on its wrong side.

        With `hold` it stays in TRANSIT until the book's `release`.
        """
        if refusal := self._refusal(request, request.price, exits):
            return refusal
        entry = self._orders.place(
            replace(request, leg=Leg.ENTRY, remarks=REMARKS), second, hold=True
        )
        if isinstance(entry, Refusal):
            return entry
        made = SuperOrder(entry, exits)
        self._all[entry.order_id] = self._by_order[entry.order_id] = made
        self._trailing[request.instrument].append(made)
        if not hold:
            self._orders.release(entry, second)
        return entry

    def modify(
        self,
        client_id: str,
        order_id: str,
        leg: Leg,
        wish: Modification,
        *,
        exits: Exits,
        second: int,
    ) -> Refusal | None:
        """Change one leg.

        Of `exits` a leg takes what is its own: the stop its price and the jump, the entry all.
        """
        found = self.by_id(client_id, order_id)
        if found is None:
            return NO_SUCH_ORDER
        asked = _asked(found.exits, leg, exits)
        if leg is not Leg.ENTRY and (
            found.leg_status(leg) not in {Status.PENDING, Status.PART_TRADED}
        ):
            return Refusal(Code.ORDER, f"{leg} cannot be modified: it is {found.leg_status(leg)}")
        price = (wish.price if leg is Leg.ENTRY else None) or found.entry.request.price
        if refusal := self._refusal(found.entry.request, 0 if found.entry.trades else price, asked):
            return refusal
        if leg is Leg.ENTRY:
            changed = self._orders.modify(client_id, order_id, wish, second)
            if isinstance(changed, Refusal):
                return changed
        found.exits = asked
        self._tend(found, second)
        return None

    def cancel(self, client_id: str, order_id: str, leg: Leg, second: int) -> Refusal | None:
        """Cancel one exit for good, or with the entry everything."""
        found = self.by_id(client_id, order_id)
        if found is None:
            return NO_SUCH_ORDER
        status = found.entry.status if leg is Leg.ENTRY else found.leg_status(leg)
        if status is Status.TRANSIT:
            return IN_TRANSIT
        if not status.live and status is not Status.TRIGGERED:
            return Refusal(Code.ORDER, f"{leg} cannot be cancelled: it is {status}")
        if leg is Leg.ENTRY:
            self.abandon(found, second)
        else:
            found.cancelled.add(leg)
            self._tend(found, second)
        return None

    def by_id(self, client_id: str, order_id: str) -> SuperOrder | None:
        """The user's super order with this id, or None; nobody sees another's."""
        found = self._all.get(order_id)
        return found if found and found.entry.request.client_id == client_id else None

    def of(self, client_id: str) -> list[SuperOrder]:
        """All super orders of the user, oldest first."""
        return [made for made in self._all.values() if made.entry.request.client_id == client_id]

    def cancel_all(self, client_id: str, second: int) -> None:
        """Take every exit and every waiting entry of an account away."""
        for made in self.of(client_id):
            self.abandon(made, second)

    def abandon(self, made: SuperOrder, second: int) -> None:
        """Take its exits and, if it waits, its entry away; what it holds stays.

        An entry in TRANSIT cannot be reached, and keeps its exits.
        """
        if made.entry.status is Status.TRANSIT:
            return
        made.cancelled |= set(EXITS)
        self._orders.withdraw(made.entry, second)
        self._tend(made, second)

    def on_order(self, order: Order, second: int) -> None:
        """Look after the super order that a changed order is part of."""
        if made := self._by_order.get(order.order_id):
            self._tend(made, second)

    def on_price(self, instrument: InstrumentId, price: int, second: int) -> None:
        """Let the stops trail."""
        if not self._trailing or not (trailing := self._trailing.get(instrument)):
            return
        for made in tuple(trailing):
            if made.status is Status.CLOSED or (
                made.entry.status in _NEVER and not made.entry.trades
            ):
                trailing.remove(made)
            elif self._trail(made, price):
                self._tend(made, second)

    def _refusal(self, request: OrderRequest, price: int, exits: Exits) -> Refusal | None:
        instrument = self._orders.instrument(request.instrument)
        if instrument and any(
            value % instrument.tick_size for value in (exits.target, exits.stop, exits.jump)
        ):
            return Refusal(
                Code.ORDER,
                f"Target, stop and jump must be multiples of the tick size {instrument.tick_size}",
            )
        return _unsound(request.side, price, exits)

    @staticmethod
    def _trail(made: SuperOrder, price: int) -> bool:
        """Move the stop by whole jumps after the price; says whether it moved."""
        jump, up = made.exits.jump, made.entry.request.side is Side.BUY
        if made.followed is None or not jump or not made.exits.stop:
            return False
        jumps = (price - made.followed if up else made.followed - price) // jump
        if jumps <= 0:
            return False
        moved = jumps * jump if up else -jumps * jump
        made.followed += moved
        made.exits = replace(made.exits, stop=Paise(made.exits.stop + moved))
        return True

    def _tend(self, made: SuperOrder, second: int) -> None:
        """Make the exits stand for exactly what is open, where they should stand."""
        if made.followed is None and made.entry.trades:
            made.followed = made.entry.traded_price
        if made.exited and made.entry.status.live:
            self._orders.withdraw(made.entry, second)
        for leg in EXITS:
            self._tend_leg(made, leg, second)

    def _tend_leg(self, made: SuperOrder, leg: Leg, second: int) -> None:
        order = made.legs.get(leg)
        stands = bool(made.exits.price(leg)) and leg not in made.cancelled and made.open > 0
        if order is None or order.status is Status.TRADED:
            if stands:
                self._send(made, leg, second)
        elif order.status.live and not stands:
            self._orders.withdraw(order, second)
        elif order.status.live:
            wanted = _exit_request(made, leg, order.filled + made.open)
            settled = order.request if not order.armed and leg is Leg.STOP_LOSS else wanted
            settled = replace(
                settled,
                quantity=wanted.quantity,
                correlation_id=order.request.correlation_id,
            )
            if settled != order.request:
                self._orders.change(order, settled, second)

    def _send(self, made: SuperOrder, leg: Leg, second: int) -> None:
        order = self._orders.draft(_exit_request(made, leg, made.open), second, made.entry.order_id)
        made.legs[leg] = order
        made.sent.append(order)
        self._by_order[order.order_id] = made
        self._orders.release(order, second)


_NEVER: Final = frozenset({Status.REJECTED, Status.CANCELLED, Status.EXPIRED})


def _exit_request(made: SuperOrder, leg: Leg, quantity: int) -> OrderRequest:
    entry, is_target = made.entry.request, leg is Leg.TARGET
    return replace(
        entry,
        correlation_id="",
        side=Side.SELL if entry.side is Side.BUY else Side.BUY,
        order_type=OrderType.LIMIT if is_target else OrderType.STOP_LOSS_MARKET,
        validity=Validity.DAY,
        quantity=Quantity(quantity),
        price=Paise(made.exits.target) if is_target else _NO_PRICE,
        trigger=_NO_PRICE if is_target else Paise(made.exits.stop),
        disclosed=Quantity(0),
        after_market=False,
        leg=leg,
    )


def _asked(now: Exits, leg: Leg, wanted: Exits) -> Exits:
    if leg is Leg.ENTRY:
        return wanted
    if leg is Leg.TARGET:
        return replace(now, target=wanted.target)
    return replace(now, stop=wanted.stop, jump=wanted.jump)


def _unsound(side: Side, price: int, exits: Exits) -> Refusal | None:
    """Stop, entry and target must lie in this order for a purchase, the other way round for a sale;
    0 is left out.
    """
    ordered = [value for value in (exits.stop, price, exits.target) if value]
    if side is Side.SELL:
        ordered.reverse()
    if any(low >= high for low, high in pairwise(ordered)):
        return Refusal(Code.INPUT, "Stop loss, price and target do not lie in this order")
    return (
        None
        if exits.target or exits.stop
        else Refusal(Code.INPUT, "A super order needs a target or a stop loss")
    )

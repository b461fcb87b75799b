"""What the exchange did, as the order state machine hears it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from executors.orders.book import DayBook, FillKey, KnownOrder, OrderKey
from executors.risk.exposure import Filled
from schemas.ids import DhanOrderId, InstrumentId
from schemas.messages import Leg, ObservedBy, ObservedFill, ObservedOrder, OrderStatus
from schemas.units import Paise, UtcNs
from simulator.matching import enums
from simulator.matching.order import OrderSnapshot

_UPDATE: Final = ObservedBy.ORDER_UPDATE
_LEGS: Final = {
    None: Leg.ENTRY,
    enums.Leg.ENTRY: Leg.ENTRY,
    enums.Leg.STOP_LOSS: Leg.STOP_LOSS,
    enums.Leg.TARGET: Leg.TARGET,
}


@dataclass(slots=True)
class ObservedBook:
    """One account's book of the day, each change of an order heard once and in order.

    Attributes:
        touched: Instruments with an order, and the second (UTC) of its last change.
    """

    book: DayBook = field(default_factory=DayBook)
    touched: dict[InstrumentId, int] = field(default_factory=dict)
    _filled: dict[InstrumentId, Filled] = field(default_factory=dict)

    def hear(self, snapshot: OrderSnapshot) -> None:
        """Take one change in."""
        seen = observed_order(snapshot)
        key, now = OrderKey(seen.dhan_order_id, seen.leg), KnownOrder.of(seen, _UPDATE)
        known = self.book.orders.get(key)
        self.book.put_order(key, known.join(now) if known else now)
        if snapshot.trade:
            fill = observed_fill(snapshot)
            self.book.put_fill(FillKey.of(fill), fill)
        instrument = snapshot.request.instrument
        self._filled.pop(instrument, None)
        self.touched[instrument] = snapshot.updated_at

    def filled(self, instrument: InstrumentId) -> Filled:
        """What the account bought and sold of an instrument today."""
        if instrument not in self._filled:
            held = self.book.holding(instrument)
            self._filled[instrument] = Filled(
                held.bought,
                held.bought_value,
                held.sold,
                held.sold_value,
                held.stop_outs,
                held.stopped_out_at,
            )
        return self._filled[instrument]


def observed_order(snapshot: OrderSnapshot) -> ObservedOrder:
    """An order or a leg as the broker tells of one change."""
    request = snapshot.request
    parent = snapshot.parent_id or (snapshot.order_id if request.leg else "")
    return ObservedOrder(
        dhan_order_id=DhanOrderId(snapshot.order_id),
        leg=_LEGS[request.leg],
        dhan_correlation_id=request.correlation_id,
        instrument=request.instrument,
        side=request.side,
        product=request.product.value,
        order_type=snapshot.order_type.value,
        status=OrderStatus(snapshot.status.value),
        status_word=snapshot.status.value,
        quantity=request.quantity,
        filled=snapshot.filled,
        filled_value=snapshot.traded_value,
        price=Paise(request.price),
        trigger=Paise(request.trigger),
        updated_at=UtcNs.seconds(snapshot.updated_at),
        super_order=DhanOrderId(parent),
        reason=snapshot.reason,
    )


def observed_fill(snapshot: OrderSnapshot) -> ObservedFill:
    """The trade that a change is about."""
    trade, request = snapshot.trade, snapshot.request
    assert trade is not None, "asked for fills only"
    return ObservedFill(
        trade_id=trade.trade_id,
        dhan_order_id=DhanOrderId(snapshot.order_id),
        instrument=request.instrument,
        side=request.side,
        product=request.product.value,
        quantity=trade.quantity,
        price=trade.price,
        traded_at=UtcNs.seconds(trade.second),
    )

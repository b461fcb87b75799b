"""Valid wholes for the tests of `executors/`; each test breaks one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from hypothesis import strategies as st

from bus.records import Record
from executors.risk.situation import OrderCounts, PreTradeContext, Quote
from executors.risk.sizing import UserLimits, limit_price
from executors.risk.square_off import SquareOff
from schemas import ids, ticks
from schemas.calendar import EVERY_DAY, Calendar
from schemas.codec import encode
from schemas.ids import InstrumentId, Segment, SignalId, UserId, decision_id
from schemas.market import Action, Instrument, Side
from schemas.messages import Decision, Message, OrderIntent, Origin
from schemas.topics import ORDERS, Topic
from schemas.units import BasisPoints, Paise, Price, Quantity, UtcNs

USER = UserId(UUID("11111111-1111-4111-8111-111111111111"))
RELIANCE = Instrument(
    InstrumentId(Segment.NSE_EQ, 2885),
    "RELIANCE",
    "Reliance Industries",
    "EQUITY",
    Quantity(1),
    Paise(5),
    has_derivatives=True,
)
NIFTY = Instrument(
    InstrumentId(Segment.IDX_I, 13), "NIFTY", "Nifty 50", "INDEX", Quantity(1), Paise(5)
)
TEN_O_CLOCK = UtcNs.seconds(1_784_003_400)  # 2026-07-14 10:00:00 IST, a Tuesday


class _Never(SquareOff):
    def due(self, calendar: Calendar, now: UtcNs, instrument: InstrumentId) -> bool:  # noqa: ARG002
        return False


NEVER = _Never()  # for tests of the exchanges' own hours
LIMITS = UserLimits(max_order_value=Paise(5_000_000), max_orders_per_day=40)


def a_decision(**changes: Any) -> Decision:
    signal = SignalId(changes.pop("signal", None) or uuid4())
    fields: dict[str, Any] = {
        "id": decision_id(signal),
        "event_time": TEN_O_CLOCK,
        "causation_id": signal,
        "correlation_id": signal,
        "signal_id": signal,
        "scan_id": None,
        "instrument": RELIANCE.id,
        "symbol": "RELIANCE",
        "action": Action.BUY,
        "reasoning": "both analysts agree",
        "confidence": 70,
        "origin": Origin.COMMITTEE,
        "reason_code": "agreed",
        "reference_price": Price(150_000),
        "valid_until": UtcNs(TEN_O_CLOCK + UtcNs.minutes(5)),
    }
    return Decision(**(fields | changes))


def an_intent(user: UserId = USER, decision: Decision | None = None, **changes: Any) -> OrderIntent:
    decision = decision or a_decision()
    order = ids.order_id(decision.id, user)
    fields: dict[str, Any] = {
        "id": order,
        "event_time": decision.event_time,
        "causation_id": decision.id,
        "correlation_id": decision.correlation_id,
        "decision_id": decision.id,
        "user_id": user,
        "instrument": decision.instrument,
        "symbol": decision.symbol,
        "side": Side.BUY,
        "quantity": Quantity(10),
        "price": Price(150_300),
        "stop": Price(148_800),
        "target": Price(153_300),
        "reference_price": decision.reference_price,
        "valid_until": decision.valid_until,
        "dhan_correlation_id": ids.correlation_id(order),
    }
    return OrderIntent(**(fields | changes))


def the_situation_for(intent: OrderIntent, **changes: Any) -> PreTradeContext:
    """One in which `intent` may leave."""
    now = UtcNs(intent.event_time + UtcNs.seconds(1))
    context = PreTradeContext(
        now=now,
        mode_allows=True,
        user_active=True,
        calendar=EVERY_DAY,
        feed_clock=now,
        quote=Quote(intent.reference_price, now),
        sent=OrderCounts(),
        limits=LIMITS,
    )
    return replace(context, **changes)


def a_record(message: Message, key: object, topic: Topic = ORDERS, **changes: Any) -> Record:
    record = Record(topic.name, 0, 7, str(key).encode(), encode(message), UtcNs(0), {})
    return replace(record, **changes)


def some_ticks(*prints: tuple[Instrument, int, int], clock: int | None = None) -> ticks.Batch:
    """A micro-batch of (instrument, exchange time, price in paise), in order of arrival."""
    rows = np.zeros(len(prints), ticks.TICK)
    highest = max([clock or 0, *(at for _, at, _ in prints)])
    for row, (instrument, at, price) in zip(rows, prints, strict=True):
        row["exchange_time"], row["price"], row["clock"] = at, price, highest
        row["segment"], row["security_id"] = instrument.id.segment.code, instrument.id.security_id
    return ticks.Batch(UtcNs(highest), UtcNs(0), 1, rows)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    lot, tick = (
        draw(st.sampled_from([1, 25, 65, 1800])),
        draw(st.sampled_from([1, 5, 10, 50, 100, 500])),
    )
    return replace(RELIANCE, lot_size=Quantity(lot), tick_size=Paise(tick))


@st.composite
def orders_to_plan(draw: st.DrawFn) -> tuple[Decision, Instrument, UserLimits]:
    """A decision that makes an order under these limits: two ticks of price leave room for the
    exits, and one lot is paid.
    """
    instrument = draw(instruments())
    reference = Price(draw(st.integers(2 * instrument.tick_size, 10_000_000)))
    action, collar = (
        draw(st.sampled_from([Action.BUY, Action.SELL])),
        BasisPoints(draw(st.integers(0, 500))),
    )
    one_lot = (
        limit_price(Side(action.value), reference, collar, instrument.tick_size)
        * instrument.lot_size
    )
    allowed = UserLimits(
        max_order_value=Paise(one_lot + draw(st.integers(0, 10**9))),
        max_orders_per_day=draw(st.integers(0, 100)),
        collar=collar,
        stop=BasisPoints(draw(st.integers(1, 2_000))),
        target=BasisPoints(draw(st.integers(1, 2_000))),
    )
    return a_decision(action=action, reference_price=reference), instrument, allowed

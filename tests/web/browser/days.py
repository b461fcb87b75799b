"""Days as the gateway tells them to one user: an open market, a mute one, a closed one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

from schemas.ids import DhanOrderId, InstrumentId, Segment, UserId
from schemas.market import Instrument, Side
from schemas.messages import (
    Execution,
    FeedEvent,
    FeedState,
    Leg,
    Message,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Outcome,
    Position,
    Preflight,
    Trade,
)
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, a_decision, an_intent, some_ticks
from tests.gateway.filled import DAY, Marks, filled
from tests.web.browser.place import Place

INFY = Instrument(
    InstrumentId(Segment.NSE_EQ, 1594), "INFY", "Infosys", "EQUITY", Quantity(1), Paise(5)
)
TCS = Instrument(
    InstrumentId(Segment.NSE_EQ, 11536), "TCS", "Tata Consultancy", "EQUITY", Quantity(1), Paise(5)
)
MARKS = Marks("d", 10**6)
NUMBER = "112111182045"  # Dhan's, of the entry that was filled
SOON_AFTER = UtcNs(TEN_O_CLOCK + UtcNs.seconds(42))
CLOSE = UtcNs(TEN_O_CLOCK + UtcNs.minutes(5 * 60 + 30))  # half past three


def feed(state: FeedState, place: Place) -> None:
    """The one connection says how it is."""
    place.gate.tell(filled(FeedEvent, MARKS, gateway=1).model_copy(update={"state": state}))


def quiet(state: FeedState = FeedState.SUBSCRIBED) -> Callable[[Place, UUID], Awaitable[None]]:
    """Nothing was done yet."""

    async def arrange(place: Place, _: UUID) -> None:
        feed(state, place)
        place.gate.tell(a_decision())
        place.gate.tell_prices(some_ticks((TCS, TEN_O_CLOCK, 312_000)))

    return arrange


def busy(
    state: FeedState = FeedState.SUBSCRIBED, last: int = 151_250, at: UtcNs = SOON_AFTER
) -> Callable[[Place, UUID], Awaitable[None]]:
    """One position is open, with its stop and target; one order waits, one was denied."""

    async def arrange(place: Place, user: UUID) -> None:
        feed(state, place)
        for message in the_day_of(UserId(user)):
            place.gate.tell(message)
        place.gate.tell_prices(some_ticks((RELIANCE, at, last)))

    return arrange


def the_day_of(user: UserId) -> list[Message]:
    """The messages of that day, in order."""
    filled_order = _intent(user, RELIANCE)
    waiting = _intent(user, INFY, side=Side.SELL, quantity=Quantity(26), price=189_345)
    denied = _intent(user, TCS, quantity=Quantity(3), price=312_100)
    fill = _fill()
    return [
        filled_order,
        waiting,
        denied,
        _outcome(filled_order, Outcome.ACCEPTED, dhan_order_id=NUMBER),
        _outcome(waiting, Outcome.ACCEPTED, dhan_order_id="112111182046"),
        _outcome(denied, Outcome.DENIED, reason_code="funds_too_small", reason=""),
        _seen(user, NUMBER, Leg.ENTRY, OrderStatus.TRADED, filled=10, filled_value=1_500_000),
        _seen(user, NUMBER, Leg.STOP_LOSS, OrderStatus.PENDING, side=Side.SELL, trigger=148_800),
        _seen(user, NUMBER, Leg.TARGET, OrderStatus.PENDING, side=Side.SELL, price=153_300),
        _seen(
            user, "112111182046", Leg.ENTRY, OrderStatus.PENDING,
            instrument=INFY.id, side=Side.SELL, quantity=26, price=189_345,
        ),
        filled(Trade, MARKS, user_id=str(user)).model_copy(update={"fill": fill}),
        _held(user, RELIANCE, bought=10, bought_value=1_500_000, net=10, resting_stop=10),
        _held(
            user, TCS, bought=3, bought_value=936_000, sold=3, sold_value=940_500, realised=4_500
        ),
        filled(Preflight, MARKS, user_id=str(user), green=True, reds=[]),
    ]  # fmt: skip


def an_order(user: UUID) -> OrderIntent:
    """One more that a decision asks for."""
    return _intent(UserId(user), RELIANCE)


def _intent(user: UserId, instrument: Instrument, **changes: Any) -> OrderIntent:
    decision = a_decision(instrument=instrument.id, symbol=instrument.symbol)
    return an_intent(user, decision, **changes)


def _outcome(intent: OrderIntent, outcome: Outcome, **changes: Any) -> Execution:
    named = {
        "id": uuid4(), "order_id": intent.id, "evidence": None, "corrects": None,
        "outcome": outcome, "reason_code": "", "symbol": intent.symbol,
    }  # fmt: skip
    made = filled(Execution, MARKS, user_id=str(intent.user_id))
    return made.model_copy(update=named | changes)


def _seen(user: UserId, number: str, leg: Leg, status: OrderStatus, **changes: Any) -> OrderEvent:
    fields: dict[str, Any] = {
        "dhan_order_id": number, "leg": leg, "instrument": RELIANCE.id, "side": Side.BUY,
        "product": "INTRADAY", "status": status, "status_word": status.value, "quantity": 10,
    }  # fmt: skip
    order = ObservedOrder(**(fields | changes))
    return OrderEvent(
        id=uuid4(),
        event_time=TEN_O_CLOCK,
        user_id=user,
        observed_by=ObservedBy.ORDER_UPDATE,
        trading_date=DAY,
        order=order,
    )


def _fill() -> ObservedFill:
    return ObservedFill(
        trade_id="1",
        dhan_order_id=DhanOrderId(NUMBER),
        instrument=RELIANCE.id,
        side=Side.BUY,
        product="INTRADAY",
        quantity=Quantity(10),
        price=Price(150_000),
    )


def _held(user: UserId, instrument: Instrument, **changes: Any) -> Position:
    nothing = {
        "bought": 0, "bought_value": 0, "sold": 0, "sold_value": 0, "net": 0, "realised": 0,
        "resting_stop": 0, "agrees": True, "instrument": instrument.id,
    }  # fmt: skip
    return filled(Position, MARKS, user_id=str(user)).model_copy(update=nothing | changes)

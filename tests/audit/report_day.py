"""A day of two users for tests of the report: what was decided, ordered, traded and left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid5

from audit.report.record import DayRecord
from audit.story import Recorded
from schemas.ids import (
    CorrelationId,
    DecisionId,
    DhanOrderId,
    InstrumentId,
    OrderId,
    SignalId,
    UserId,
    derive,
)
from schemas.market import Action, Direction, Side, Timeframe
from schemas.messages import (
    CallOutcome,
    Decision,
    Execution,
    ExitAction,
    ExitOrder,
    ExitReason,
    FanOut,
    LlmCall,
    Message,
    ObservedFill,
    OrderIntent,
    Origin,
    Outcome,
    Position,
    Signal,
    Trade,
    WithoutOrder,
)
from schemas.topics import CATALOGUE
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.audit.scorecard_days import MINUTE, MONDAY, TCS, a_day, opens

SPACE = UUID(int=7)
ANN, BOB = (UserId(uuid5(SPACE, name)) for name in ("ann", "bob"))
TOPIC_OF = {topic.message: topic.name for topic in CATALOGUE if topic.message}


def at(minute: float) -> UtcNs:
    """Market time on Monday, minutes after the open."""
    return UtcNs(opens(MONDAY) + round(minute * MINUTE))


def a_trade(
    number: int,
    side: Side,
    quantity: int,
    price: int,
    minute: float,
    *,
    user: UserId = ANN,
    name: str = "",
    order: str = "",
    instrument: InstrumentId = TCS,
) -> Trade:
    fill = ObservedFill(
        trade_id=str(number),
        dhan_order_id=DhanOrderId(order or f"D{number}"),
        instrument=instrument,
        side=side,
        product="INTRADAY",
        quantity=Quantity(quantity),
        price=Price(price),
        traded_at=at(minute),
    )
    return Trade(
        id=uuid5(SPACE, f"{user} {number}"),
        event_time=fill.traded_at,
        user_id=user,
        trading_date=MONDAY,
        fill=fill,
        dhan_correlation_id=name,
    )


def decided() -> list[Message]:
    """One decision to buy, a call that it cost, and a fan-out to both and past a third."""
    signal = Signal(
        id=SignalId(uuid5(SPACE, "signal")), event_time=at(1), instrument=TCS,
        timeframe=Timeframe.M1, rule="ema_cross", direction=Direction.BULLISH, price=Price(10_000),
        features={},
    )  # fmt: skip
    call = LlmCall(
        id=uuid5(SPACE, "call"), event_time=at(1), causation_id=signal.id, agent="commander",
        model="m", request={}, response="{}", outcome=CallOutcome.OK, input_tokens=900,
        output_tokens=90, cost=Paise(101), latency_ms=1.0,
    )  # fmt: skip
    decision = Decision(
        id=DecisionId(uuid5(SPACE, "decision")), event_time=at(1), signal_id=SignalId(signal.id),
        scan_id=None, instrument=TCS, symbol="TCS", action=Action.BUY,
        reasoning="The trend <is> up.", confidence=70, origin=Origin.COMMITTEE, reason_code="ok",
        reference_price=Price(10_000), valid_until=at(3),
    )  # fmt: skip
    fan_out = FanOut(
        id=uuid5(SPACE, "fan-out"), event_time=at(1), decision_id=decision.id, instrument=TCS,
        symbol="TCS", action=Action.BUY, orders=2,
        without=(WithoutOrder(user_id=BOB, reason_code="user_inactive"),),
    )  # fmt: skip
    return [signal, call, decision, fan_out]


def of_user(user: UserId, *fills: Trade) -> list[Message]:
    """An order that was accepted, its fills, and a square-off that left."""
    name = CorrelationId(f"c{str(user)[:8]}")
    order = OrderId(uuid5(SPACE, f"order {user}"))
    decision = DecisionId(uuid5(SPACE, "decision"))
    intent = OrderIntent(
        id=order, event_time=at(1), decision_id=decision, user_id=user, instrument=TCS,
        symbol="TCS", side=Side.BUY, quantity=Quantity(10), price=Price(10_010),
        stop=Price(9_900), target=Price(10_300), reference_price=Price(10_000),
        valid_until=at(3), dhan_correlation_id=name,
    )  # fmt: skip
    outcome = Execution(
        id=uuid5(SPACE, f"outcome {user}"), event_time=at(1), order_id=order,
        decision_id=decision, user_id=user, instrument=TCS, symbol="TCS", side=Side.BUY,
        quantity=Quantity(10), price=Price(10_010), outcome=Outcome.ACCEPTED,
        reason_code="accepted", dhan_order_id=DhanOrderId(f"E{str(user)[:6]}"),
    )  # fmt: skip
    closing = ExitOrder(
        id=uuid5(SPACE, f"exit {user}"), event_time=at(4), user_id=user, trading_date=MONDAY,
        action=ExitAction.PLACE_CLOSE, reason_code=ExitReason.SQUARE_OFF, instrument=TCS,
        side=Side.SELL, quantity=Quantity(10), dhan_order_id=DhanOrderId(f"X{str(user)[:6]}"),
        net=10, outcome="accepted",
    )  # fmt: skip
    entry = a_trade(1, Side.BUY, 10, 10_020, 1.5, user=user, name=name, order=f"E{str(user)[:6]}")
    left = a_trade(2, Side.SELL, 10, 10_220, 4.5, user=user, order=f"X{str(user)[:6]}")
    return [intent, outcome, entry, closing, left, *fills]


def held(minute: float, net: int, stop: int, *, user: UserId = ANN) -> Position:
    return Position(
        id=derive("position", str(user), minute), event_time=at(minute), user_id=user,
        trading_date=MONDAY, instrument=TCS, bought=Quantity(10), bought_value=Paise(100_200),
        sold=Quantity(10 - net), sold_value=Paise(0 if net else 102_200), net=net,
        realised=Paise(0 if net else 2_000), resting_stop=Quantity(stop),
        by_trades=True, agrees=True,
    )  # fmt: skip


def the_day(user: UserId | None = ANN) -> list[Message]:
    """All of it: a bar a minute from 100 to 102.20 rupees, and what both users did."""
    people = [ANN, BOB] if user is None else [user]
    bars = a_day([10_000, 10_020, 10_100, 10_050, 10_200, 10_220, 10_210])
    return [*bars, *decided(), *(each for who in people for each in of_user(who))]


def recorded(messages: Iterable[Message], user: UserId | None = ANN) -> DayRecord:
    return DayRecord(MONDAY, user, written(messages))


def written(messages: Iterable[Message]) -> Sequence[Recorded]:
    """Each on its topic, when its market time was."""
    return [
        Recorded(TOPIC_OF[type(each)], 0, nth, each.event_time, each)
        for nth, each in enumerate(messages)
    ]

"""A chain of valid messages, as records; each test changes one thing."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import numpy as np

from bus.records import Record
from schemas.codec import encode
from schemas.ids import (
    DhanOrderId,
    InstrumentId,
    Segment,
    SignalId,
    UserId,
    correlation_id,
    decision_id,
    derive,
    order_id,
    scan_id,
)
from schemas.manifest import HEADER as MANIFEST_HEADER
from schemas.manifest import manifest_of
from schemas.market import Action, Direction, Side, Timeframe
from schemas.messages import Decision, Execution, Message, OrderIntent, Origin, Outcome, Signal
from schemas.ticks import TICK, Batch
from schemas.ticks import encode as encode_ticks
from schemas.topics import Topic
from schemas.units import Price, Quantity, UtcNs
from simulator.market.session import market_session

TCS = InstrumentId(Segment.NSE_EQ, 11_536)
DAY = date(2026, 11, 20)
OPEN = market_session(DAY).open
ASHA = UserId(UUID(int=1))
MADE_UNDER = manifest_of("test", {}, OPEN)


def a_record(topic: Topic, value: bytes, *, offset: int = 0, published_at: int = 0) -> Record:
    return Record(
        topic=topic.name,
        partition=0,
        offset=offset,
        key=b"key",
        value=value,
        published_at=UtcNs(published_at),
        headers={MANIFEST_HEADER: str(MADE_UNDER.id).encode()},
    )


def recorded(topic: Topic, message: Message, *, published_at: int = 0) -> Record:
    return a_record(topic, encode(message), published_at=published_at)


def a_signal() -> Signal:
    return Signal(
        id=derive("signal", "test"),
        event_time=UtcNs(OPEN + UtcNs.minutes(5)),
        instrument=TCS,
        timeframe=Timeframe.M5,
        rule="ema_cross",
        direction=Direction.BULLISH,
        price=Price(300_000),
        features={"ema_9": 1.0},
    )


def a_decision(**changes: object) -> Decision:
    signal = a_signal()
    whole = {
        "id": decision_id(SignalId(signal.id)),
        "event_time": signal.event_time,
        "signal_id": signal.id,
        "scan_id": scan_id(DAY, TCS),
        "instrument": TCS,
        "symbol": "TCS",
        "action": Action.BUY,
        "reasoning": "the trend is up",
        "confidence": 70,
        "origin": Origin.COMMITTEE,
        "reason_code": "agreed",
        "reference_price": Price(300_000),
        "valid_until": UtcNs(signal.event_time + UtcNs.minutes(2)),
    }
    return Decision.model_validate(whole | changes)


def an_intent(user: UserId = ASHA) -> OrderIntent:
    decision = a_decision()
    order = order_id(decision.id, user)
    return OrderIntent(
        id=order,
        event_time=decision.event_time,
        decision_id=decision.id,
        user_id=user,
        instrument=TCS,
        symbol="TCS",
        side=Side.BUY,
        quantity=Quantity(10),
        price=Price(300_100),
        stop=Price(297_000),
        target=Price(306_000),
        reference_price=Price(300_000),
        valid_until=decision.valid_until,
        dhan_correlation_id=correlation_id(order),
    )


def an_execution(**changes: object) -> Execution:
    intent = an_intent()
    whole = {
        "id": derive("execution", intent.id),
        "event_time": intent.event_time,
        "order_id": intent.id,
        "decision_id": intent.decision_id,
        "user_id": intent.user_id,
        "instrument": TCS,
        "symbol": "TCS",
        "side": Side.BUY,
        "quantity": Quantity(10),
        "price": Price(300_100),
        "outcome": Outcome.ACCEPTED,
        "reason_code": "accepted",
        "dhan_order_id": DhanOrderId("1"),
    }
    return Execution.model_validate(whole | changes)


def a_batch(rows: int) -> bytes:
    ticks = np.zeros(rows, TICK)
    ticks["exchange_time"] = ticks["clock"] = OPEN
    ticks["price"], ticks["segment"] = 100, 1
    return encode_ticks(Batch(OPEN, UtcNs(0), 1, ticks))

"""A morning of one share, from its bars to a trade that a decision made, as topics tell it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from schemas.ids import DhanOrderId, InstrumentId, UserId, correlation_id, derive, order_id, scan_id
from schemas.market import Action, AgentType, Direction, ScanResult, Side, Timeframe
from schemas.messages import (
    CallOutcome,
    Candle,
    Decision,
    Execution,
    FeedEvent,
    FeedState,
    Indicators,
    Leg,
    LlmCall,
    Message,
    ObservedBy,
    ObservedFill,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Origin,
    Outcome,
    Position,
    Report,
    Scan,
    ScanEntry,
    Signal,
    Trade,
)
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.gateway.filled import DAY, INSTRUMENT, NOW, Marks, filled

SHARE: Final = InstrumentId.parse(INSTRUMENT)
MINUTE: Final = UtcNs.minutes(1)
OPEN: Final = UtcNs(NOW - 45 * MINUTE)  # 09:15 IST
BARS: Final = 150
SIGNALLED, ENTERED, LEFT = 62, 63, 96  # minutes after the open
SYMBOLS: Final = {2885: "RELIANCE", 1594: "INFY", 11536: "TCS", 1333: "HDFCBANK"}


def minute(number: int) -> UtcNs:
    return UtcNs(OPEN + number * MINUTE)


def price_at(number: float) -> int:
    """Paise: a fall, a turn, a rise, and noise that is always the same."""
    wave = -900 * math.sin(number / 34) + 260 * math.sin(number / 7) + 90 * math.sin(number * 2.3)
    return round(150_000 + wave + number * 6)


def bars(count: int = BARS, *, begin: int = 0) -> list[Candle]:
    return [a_bar(number) for number in range(begin, begin + count)]


def a_bar(number: int) -> Candle:
    first, last = price_at(number), price_at(number + 1)
    high = max(first, last) + 40 + number % 7 * 12
    low = min(first, last) - 40 - number % 5 * 14
    return Candle.model_validate(
        {
            "id": derive("bar", number), "event_time": minute(number + 1), "instrument": SHARE,
            "timeframe": Timeframe.M1, "start": minute(number), "open": first, "high": high,
            "low": low, "close": last, "volume": 4_000 + number % 11 * 700, "ticks": 55,
            "complete": True,
        }
    )  # fmt: skip


def lines(count: int = BARS) -> list[Indicators]:
    return [a_row(number) for number in range(count)]


def a_row(number: int) -> Indicators:
    mean = [price_at(at) for at in range(max(0, number - 20), number + 2)]
    values: dict[str, float | None] = {
        "vwap": sum(price_at(at) for at in range(number + 2)) / (number + 2),
        "ema_9": sum(mean[-9:]) / len(mean[-9:]) if number > 8 else None,
        "ema_21": sum(mean) / len(mean) if number > 20 else None,
        "rsi_14": 58.25,
    }
    return Indicators(
        id=derive("row", number), event_time=minute(number + 1), instrument=SHARE,
        timeframe=Timeframe.M1, start=minute(number), close=Price(price_at(number + 1)),
        values=values,
    )  # fmt: skip


def a_signal(number: int = SIGNALLED, direction: Direction = Direction.BULLISH) -> Signal:
    features = {"ema_9": 149_512.0, "ema_21": 149_480.4, "rsi_14": 58.25, "volume": 9_600.0}
    return Signal(
        id=derive("signal", number), event_time=minute(number), instrument=SHARE,
        timeframe=Timeframe.M1, rule="ema_cross", direction=direction,
        price=Price(price_at(number)), features=features,
    )  # fmt: skip


def a_report(signal: Signal, agent: AgentType, score: int, summary: str) -> Report:
    data: dict[str, Any] = {"bias": "BULLISH" if score > 0 else "BEARISH"}
    if agent is AgentType.TECHNICAL:
        data |= {"setup": "breakout", "key_levels": ["vwap", "day_high"], "invalidation": "vwap"}
    return Report.model_validate(
        {
            "id": derive("report", signal.id, agent), "event_time": signal.event_time,
            "signal_id": signal.id, "scan_id": scan_id(DAY, SHARE), "instrument": SHARE,
            "symbol": SYMBOLS[2885], "agent_type": agent, "score": score, "confidence": 64,
            "summary": summary, "data": data,
        }
    )  # fmt: skip


def a_decision(signal: Signal, action: Action, reasoning: str, **changes: Any) -> Decision:
    made = {
        "id": derive("decision", signal.id), "event_time": signal.event_time,
        "signal_id": signal.id, "scan_id": scan_id(DAY, SHARE), "instrument": SHARE,
        "symbol": SYMBOLS[2885], "action": action, "reasoning": reasoning, "confidence": 68,
        "origin": Origin.COMMITTEE, "reason_code": "decided", "reference_price": signal.price,
        "valid_until": UtcNs(signal.event_time + 2 * MINUTE), "model": "simulated-1",
    }  # fmt: skip
    return Decision.model_validate(made | changes)


def a_call(signal: Signal) -> LlmCall:
    return LlmCall(
        id=derive("call", signal.id), event_time=signal.event_time, causation_id=signal.id,
        correlation_id=signal.id, agent="technical", model="simulated-1", request={},
        response="{}", outcome=CallOutcome.OK, latency_ms=842.0, input_tokens=1_900,
        output_tokens=140, cost=Paise(12),
    )  # fmt: skip


def a_scan() -> Scan:
    entries = [
        ScanEntry(
            scan_id=scan_id(DAY, InstrumentId(SHARE.segment, number)),
            instrument=InstrumentId(SHARE.segment, number), symbol=symbol,
            result=ScanResult.SHORTLISTED, initial_signal=lean, rank=rank,
            reason=reason, features={},
        )
        for rank, (number, symbol, lean, reason) in enumerate(
            (
                (2885, "RELIANCE", Direction.BULLISH, "Closed above its 20-day average."),
                (1594, "INFY", Direction.BEARISH, "Fell three days in a row on volume."),
                (11536, "TCS", Direction.BULLISH, "Near its highest close of the month."),
            ),
            1,
        )
    ]  # fmt: skip
    return Scan(
        id=derive("scan", DAY.isoformat()), event_time=OPEN, trading_date=DAY, origin="model",
        entries=tuple(entries),
    )  # fmt: skip


RISE = a_signal()
FALL = a_signal(20, Direction.BEARISH)
AGAIN = a_signal(120)
BUY = a_decision(
    RISE, Action.BUY,
    "Both averages have turned up and the price holds above VWAP; the news does not speak "
    "against it. The stop below VWAP risks little.",
)  # fmt: skip


def public() -> list[Message]:
    """What everybody may see of that morning."""
    return [
        a_scan(),
        *bars(),
        FALL,
        a_report(FALL, AgentType.TECHNICAL, -45, "The price broke below VWAP."),
        a_report(FALL, AgentType.SENTIMENT, 30, "An order win was announced at nine."),
        a_decision(FALL, Action.HOLD, "The analysts disagree, so nothing is done."),
        RISE,
        a_call(RISE),
        a_report(
            RISE, AgentType.TECHNICAL, 62,
            "EMA 9 crossed EMA 21 upwards at rising volume; RSI 58 leaves room.",
        ),
        a_report(RISE, AgentType.SENTIMENT, -12, "One downgrade this week, no news today."),
        BUY,
        AGAIN,
        a_decision(
            AGAIN, Action.HOLD, "No model answered.", origin=Origin.FAILSAFE,
            reason_code="timeout", confidence=0,
        ),
    ]  # fmt: skip


def own(user: UserId) -> list[Message]:
    """What one user made of it: bought after the signal, sold at the target."""
    intent = an_order(user)
    entry, target = DhanOrderId("112111182045"), DhanOrderId("112111182046")
    bought, sold = price_at(ENTERED), price_at(LEFT)
    return [
        intent,
        Execution(
            id=derive("execution", intent.id), event_time=intent.event_time, order_id=intent.id,
            decision_id=intent.decision_id, user_id=user, instrument=SHARE,
            symbol=intent.symbol, side=Side.BUY, quantity=intent.quantity, price=intent.price,
            outcome=Outcome.ACCEPTED, reason_code="accepted", dhan_order_id=entry,
        ),
        seen(user, entry, Leg.ENTRY, OrderStatus.TRADED, filled=10, price=int(intent.price),
             filled_value=10 * bought),
        a_trade(user, entry, Side.BUY, bought, ENTERED),
        seen(user, target, Leg.TARGET, OrderStatus.TRADED, side=Side.SELL, filled=10, price=sold,
             super_order=entry),
        a_trade(user, target, Side.SELL, sold, LEFT),
        Position(
            id=derive("position", user), event_time=minute(LEFT + 1), user_id=user,
            trading_date=DAY, instrument=SHARE, bought=Quantity(10),
            bought_value=Paise(10 * bought), sold=Quantity(10), sold_value=Paise(10 * sold),
            net=0, realised=Paise(10 * (sold - bought)), resting_stop=Quantity(0),
            by_trades=True, agrees=True,
        ),
    ]  # fmt: skip


def an_order(user: UserId) -> OrderIntent:
    order = order_id(BUY.id, user)
    price = price_at(SIGNALLED)
    return OrderIntent(
        id=order, event_time=minute(SIGNALLED), decision_id=BUY.id, user_id=user,
        instrument=SHARE, symbol=BUY.symbol, side=Side.BUY, quantity=Quantity(10),
        price=Price(price + 150), stop=Price(price - 900), target=Price(price + 1_000),
        reference_price=Price(price), valid_until=BUY.valid_until,
        dhan_correlation_id=correlation_id(order),
    )  # fmt: skip


def seen(user: UserId, number: str, leg: Leg, status: OrderStatus, **changes: Any) -> OrderEvent:
    order = {
        "dhan_order_id": number, "leg": leg, "instrument": SHARE, "side": Side.BUY,
        "product": "INTRADAY", "status": status, "status_word": status.value, "quantity": 10,
    }  # fmt: skip
    return OrderEvent(
        id=derive("event", user, number), event_time=minute(ENTERED), user_id=user,
        observed_by=ObservedBy.ORDER_UPDATE, trading_date=DAY,
        order=ObservedOrder.model_validate(order | changes),
    )  # fmt: skip


def a_trade(user: UserId, number: DhanOrderId, side: Side, price: int, at: int) -> Trade:
    fill = ObservedFill.model_validate(
        {
            "trade_id": f"T{number}", "dhan_order_id": number, "instrument": SHARE, "side": side,
            "product": "INTRADAY", "quantity": 10, "price": price,
            "traded_at": minute(at) + 7_000_000_000,
        }
    )  # fmt: skip
    return Trade(
        id=derive("trade", user, number), event_time=minute(at), user_id=user, trading_date=DAY,
        fill=fill,
    )  # fmt: skip


def morning(user: UUID) -> Iterator[Message]:
    """All of it, in the order in which a gateway may read it."""
    yield filled(FeedEvent, Marks("f", 1), gateway=1, state=FeedState.SUBSCRIBED)
    yield from public()
    yield from own(UserId(user))

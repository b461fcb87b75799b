"""A small market and decisions in it, for tests of the score card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from audit.scorecard.card import Card, card_of
from audit.scorecard.forecasts import Recorded, forecasts_of
from audit.scorecard.prices import Prices
from schemas.calendar import EVERY_DAY
from schemas.ids import DecisionId, InstrumentId, Segment, SignalId, derive
from schemas.market import Action, Direction, Timeframe
from schemas.messages import Candle, Decision, Origin, Signal
from schemas.units import Price, Quantity, UtcNs

MONDAY = date(2026, 11, 23)
MINUTE = UtcNs.minutes(1)
TCS = InstrumentId(Segment.NSE_EQ, 11536)


def opens(day: date) -> UtcNs:
    session = EVERY_DAY.session(day)
    assert session is not None
    return session.open


def a_day(
    prices: Sequence[int], *, day: date = MONDAY, instrument: InstrumentId = TCS
) -> list[Candle]:
    """One bar a minute: it opens at its price and closes at the next one's."""
    return [
        Candle(
            id=derive("bar", str(instrument), day.isoformat(), minute),
            event_time=UtcNs(opens(day) + (minute + 1) * MINUTE),
            instrument=instrument,
            timeframe=Timeframe.M1,
            start=UtcNs(opens(day) + minute * MINUTE),
            open=Price(first),
            high=Price(max(first, then)),
            low=Price(min(first, then)),
            close=Price(then),
            volume=Quantity(1),
            ticks=4,
            complete=True,
        )
        for minute, (first, then) in enumerate(pairwise(prices))
    ]


def decided(
    minute: int,
    action: Action,
    *,
    day: date = MONDAY,
    instrument: InstrumentId = TCS,
    direction: Direction | None = None,
    confidence: int = 60,
    rule: str = "ema_cross",
) -> tuple[Signal, Decision]:
    """A signal at the close of the bar before `minute`, and the decision on it."""
    moment = UtcNs(opens(day) + minute * MINUTE)
    leans = Direction.BEARISH if action is Action.SELL else Direction.BULLISH
    signal = Signal(
        id=derive("signal", str(instrument), moment, rule),
        event_time=moment,
        instrument=instrument,
        timeframe=Timeframe.M1,
        rule=rule,
        direction=direction or leans,
        price=Price(10_000),
        features={},
    )
    decision = Decision(
        id=DecisionId(derive("decision", signal.id)),
        event_time=moment,
        causation_id=signal.id,
        signal_id=SignalId(signal.id),
        scan_id=None,
        instrument=instrument,
        symbol="TCS",
        action=action,
        reasoning="because",
        confidence=confidence,
        origin=Origin.COMMITTEE,
        reason_code="decided",
        reference_price=Price(10_000),
        valid_until=UtcNs(moment + 2 * MINUTE),
        model="m",
        prompt_version="p",
    )
    return signal, decision


def at_once(decision: Decision) -> UtcNs:
    return decision.event_time


def card(
    pairs: Iterable[tuple[Signal, Decision]],
    candles: Iterable[Candle],
    went_out: Callable[[Decision], UtcNs] = at_once,
    seed: int = 7,
) -> Card:
    given = list(pairs)
    recorded = Recorded([each for each, _ in given], (), [each for _, each in given])
    return card_of(forecasts_of(recorded, went_out), Prices(candles), seed=seed)


def a_walk(seed: int, minutes: int = 375) -> list[int]:
    """A price that nobody can foretell."""
    steps = np.random.default_rng(seed).normal(0, 0.0006, minutes)
    return [round(100_000 * float(np.exp(level))) for level in np.append(0, np.cumsum(steps))]


def walks(days: int, instruments: int) -> list[Candle]:
    return [
        bar
        for on in range(days)
        for number in range(instruments)
        for bar in a_day(
            a_walk(1_000 * on + number),
            day=MONDAY + timedelta(days=on),
            instrument=InstrumentId(Segment.NSE_EQ, 100 + number),
        )
    ]

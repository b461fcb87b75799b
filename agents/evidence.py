"""What the analysts are told about a signal besides its own features: pure arithmetic, versioned.

Everything follows from the signal, its symbol's earlier decisions and the session's hours, so a
replay tells the same. One name has one unit, and the name says it: `_atr` is in average true ranges
of the signal's timeframe, `_percent` in percent, `_minutes` in minutes of market time. What cannot
be computed is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from agents.entries import Circumstances
from schemas.market import Action, Direction, Session
from schemas.messages import Decision, Signal

VERSION: Final = 1
MOST_DECISIONS: Final = 3  # what was longer ago was about another move
# of ADX; Wilder (1978), New Concepts in Technical Trading Systems, ch. 4, calls 25 directional
TREND_FROM: Final = 25
_SMALLEST_ATR: Final = 1.0  # paisa; below it a distance would say nothing
_ATR: Final = "atr_14"
_NS_PER_MINUTE: Final = 60_000_000_000

# levels that are prices in paise; how far the price stands above each
LEVELS: Final = (
    "ema_9", "ema_21", "ema_50", "ema_200", "vwap", "pivot", "bollinger_upper", "bollinger_lower",
    "opening_range_high", "opening_range_low",
)  # fmt: skip
_SIDES: Final = {Action.BUY: 1, Action.SELL: -1}


def evidence_of(signal: Signal, around: Circumstances) -> dict[str, JsonValue]:
    """The evidence of `signal`: distances, trend, hours, and our own last decisions."""
    atr = signal.features.get(_ATR, 0.0)
    return {
        "version": VERSION,
        "distances": dict(_distances(signal, atr)),
        "trend": dict(_trend(signal.features)),
        "hours": _hours(signal, around.session),
        "own_decisions": _own_decisions(signal, around, atr),
    }


def _distances(signal: Signal, atr: float) -> Iterator[tuple[str, JsonValue]]:
    """Above a level is positive."""
    if atr < _SMALLEST_ATR:
        return
    price = int(signal.price)
    yield "one_atr_percent", round(100 * atr / price, 3)
    for name in LEVELS:
        if (level := signal.features.get(name)) is not None:
            yield f"above_{name}_atr", round((price - level) / atr, 2)
    if (histogram := signal.features.get("macd_histogram")) is not None:
        yield "macd_histogram_atr", round(histogram / atr, 3)


def _trend(features: Mapping[str, float]) -> Iterator[tuple[str, JsonValue]]:
    """In words that are computed: averages in order, and by Wilder's ADX whether there is one."""
    averages = [features.get(f"ema_{period}") for period in (21, 50, 200)]
    fast, middle, slow = averages
    if fast is not None and middle is not None and slow is not None:
        rising, falling = fast > middle > slow, fast < middle < slow
        yield "averages", "rising" if rising else "falling" if falling else "mixed"
    if (adx := features.get("adx_14")) is not None:
        yield "regime", "trend" if adx >= TREND_FROM else "range"
    if (turn := features.get("supertrend_direction")) is not None:
        yield "supertrend", (Direction.BULLISH if turn > 0 else Direction.BEARISH).value


def _hours(signal: Signal, session: Session | None) -> dict[str, JsonValue]:
    if session is None:
        return {}
    return {
        "since_open_minutes": (signal.event_time - session.open) // _NS_PER_MINUTE,
        "to_close_minutes": (session.close - signal.event_time) // _NS_PER_MINUTE,
    }


def _own_decisions(signal: Signal, around: Circumstances, atr: float) -> list[JsonValue]:
    """Our BUYs and SELLs of the day, newest first, and where the price went from there."""
    taken = [each for each in around.earlier if each.action in _SIDES]
    taken = [each for each in taken if each.event_time <= signal.event_time]
    newest = sorted(taken, key=lambda each: each.event_time, reverse=True)[:MOST_DECISIONS]
    return [_own_decision(signal, each, atr) for each in newest]


def _own_decision(signal: Signal, decision: Decision, atr: float) -> JsonValue:
    entry = int(decision.reference_price)
    gained = _SIDES[decision.action] * (signal.price - entry)
    told: dict[str, JsonValue] = {
        "action": decision.action.value,
        "confidence": decision.confidence,
        "ago_minutes": (signal.event_time - decision.event_time) // _NS_PER_MINUTE,
        "gained_since_percent": round(100 * gained / entry, 2),
    }
    return told | ({"gained_since_atr": round(gained / atr, 2)} if atr >= _SMALLEST_ATR else {})

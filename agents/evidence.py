"""What the analysts are told about a signal besides its own features: pure arithmetic, versioned.

Everything follows from the signal, its symbol's earlier decisions, the session's hours and what is
recorded of the market around it, so a replay tells the same. One name has one unit, and the name
says it: `_atr` is in average true ranges of the signal's timeframe, `_percent` in percent, `_bps`
in hundredths of one, `_minutes` and `_ms` are market time, `_ratio` is in parts of what is usual.
What cannot be computed is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import orjson
from pydantic import JsonValue

from agents.bar_evidence import bar_columns, frame_summary, own_frame
from agents.entries import Circumstances
from agents.levels import LEVELS
from agents.market_evidence import day_levels, depth_facts, market_moves, volume_facts
from agents.trend_words import averages_of, regime_of, supertrend_of
from schemas.market import Action, Session
from schemas.market_context import MarketContext, PriceSince
from schemas.messages import Decision, Signal
from schemas.units import NS_PER_MINUTE

# What stands in it decides, so that a day that was recorded before is asked the same again.
PLAIN_VERSION: Final = 2
SECTOR_VERSION: Final = 3  # with the industry
DEPTH_VERSION: Final = 4  # with the order book
MOST_DECISIONS: Final = 3  # what was longer ago was about another move
MOST_BYTES: Final = 4_096  # of all evidence as JSON: about 2,000 tokens at most
_SMALLEST_ATR: Final = 1.0  # paisa; below it a distance would say nothing
_ATR: Final = "atr_14"

# what is left out first, should the evidence be longer than it may
_DISPENSABLE: Final = ("bars", "frames", "own_decisions", "depth", "volume", "market", "distances")
_SIDES: Final = {Action.BUY: 1, Action.SELL: -1}

Facts = dict[str, JsonValue]


def evidence_of(
    signal: Signal, around: Circumstances, market: MarketContext | None = None
) -> Facts:
    """The evidence of `signal`, at most `MOST_BYTES` of JSON."""
    own = own_frame(signal, market)
    values = {**(own.values if own else {}), **signal.features}
    atr = measure if (measure := values.get(_ATR, 0.0)) >= _SMALLEST_ATR else None
    told: Facts = {
        "version": PLAIN_VERSION,
        "distances": dict(_distances(signal, {**values, **day_levels(market)}, atr)),
        "trend": dict(_trend(signal.features, market)),
        "hours": _hours(signal, around.session),
        "own_decisions": _own_decisions(signal, around, market, atr),
    }
    around_it: Facts = {}
    if market is not None:
        around_it = {
            "bars": bar_columns(own, atr),
            "frames": {
                frame.timeframe.value: frame_summary(signal, frame, atr)
                for frame in market.frames
                if frame is not own
            },
            "volume": volume_facts(market),
            "market": market_moves(market),
            "depth": depth_facts(market, atr),
        }
        told["version"] = _version(market, around_it)
    return _bounded(told | {name: part for name, part in around_it.items() if part})


def _version(market: MarketContext, around_it: Facts) -> int:
    if around_it["depth"]:
        return DEPTH_VERSION
    return PLAIN_VERSION if market.sector is None else SECTOR_VERSION


def told_decisions(signal: Signal, around: Circumstances) -> list[Decision]:
    """Our last BUYs and SELLs of the symbol that the evidence tells of, newest first."""
    taken = [each for each in around.earlier if each.action in _SIDES]
    taken = [each for each in taken if each.event_time <= signal.event_time]
    return sorted(taken, key=lambda each: each.event_time, reverse=True)[:MOST_DECISIONS]


def minutes_to_close(evidence: Mapping[str, JsonValue]) -> int | None:
    """From the signal to the session's end; None where nobody knows it."""
    hours = evidence.get("hours")
    left = hours.get("to_close_minutes") if isinstance(hours, dict) else None
    return left if isinstance(left, int) else None


def _bounded(told: Facts) -> Facts:
    for name in _DISPENSABLE:
        if len(orjson.dumps(told)) <= MOST_BYTES:
            break
        told.pop(name, None)
    return told


def _distances(
    signal: Signal, levels: Mapping[str, float], atr: float | None
) -> Iterator[tuple[str, JsonValue]]:
    """Above a level is positive."""
    if atr is None:
        return
    price = int(signal.price)
    yield "one_atr_percent", round(100 * atr / price, 3)
    for level in LEVELS:
        if (at := levels.get(level)) is not None:
            yield level.distance, round((price - at) / atr, 2)
    if (histogram := levels.get("macd_histogram")) is not None:
        yield "macd_histogram_atr", round(histogram / atr, 3)


def _trend(
    features: Mapping[str, float], market: MarketContext | None
) -> Iterator[tuple[str, JsonValue]]:
    """In words that are computed, and how volatile the days are for this symbol."""
    if words := averages_of(features, (21, 50, 200)):
        yield "averages", words
    if words := regime_of(features):
        yield "regime", words
    if words := supertrend_of(features):
        yield "supertrend", words
    before = market.before if market else None
    if before is not None and before.volatility_percentile is not None:
        yield "volatility_percentile", before.volatility_percentile


def _hours(signal: Signal, session: Session | None) -> Facts:
    if session is None:
        return {}
    return {
        "since_open_minutes": (signal.event_time - session.open) // NS_PER_MINUTE,
        "to_close_minutes": (session.close - signal.event_time) // NS_PER_MINUTE,
    }


def _own_decisions(
    signal: Signal, around: Circumstances, market: MarketContext | None, atr: float | None
) -> list[JsonValue]:
    """Our BUYs and SELLs of the day, newest first, and where the price went from there."""
    paths = {each.since: each for each in market.since_decisions} if market else {}
    return [
        _own_decision(signal, each, paths.get(each.event_time), atr)
        for each in told_decisions(signal, around)
    ]


def _own_decision(
    signal: Signal, decision: Decision, path: PriceSince | None, atr: float | None
) -> JsonValue:
    entry, side = int(decision.reference_price), _SIDES[decision.action]
    gained = side * (signal.price - entry)
    told: Facts = {
        "action": decision.action.value,
        "confidence": decision.confidence,
        "ago_minutes": (signal.event_time - decision.event_time) // NS_PER_MINUTE,
        "gained_since_percent": round(100 * gained / entry, 2),
    }
    if atr is None:
        return told
    told["gained_since_atr"] = round(gained / atr, 2)
    if path is not None:
        best, worst = (path.high, path.low) if side > 0 else (path.low, path.high)
        told["best_since_atr"] = round(side * (best - entry) / atr, 2)
        told["worst_since_atr"] = round(side * (worst - entry) / atr, 2)
    return told

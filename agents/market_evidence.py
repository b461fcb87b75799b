"""The symbol's day, volume and order book, and beside it NIFTY and its industry. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from schemas.market_context import DaySoFar, MarketContext, SectorSoFar
from schemas.units import NS_PER_MINUTE, UtcNs

# of one instrument and another: how much more the one moved
_MOVES: Final = ("since_open_percent", "last_15m_percent", "last_60m_percent")

# of an order book, before the signal; what is older says little of what an order would meet
MAX_BOOK_AGE: Final = UtcNs.seconds(10)
_NS_PER_MS: Final = 1_000_000
LEAST_SHARES: Final = 3  # of an industry; one other share's move is its own

Facts = dict[str, JsonValue]


def day_levels(market: MarketContext | None) -> dict[str, float]:
    """Levels of today and of the day before, in paise."""
    levels: dict[str, float] = {}
    if market is None:
        return levels
    if (day := market.day) and day.whole:
        levels |= {"day_open": day.open, "day_high": day.high, "day_low": day.low}
    if before := market.before:
        levels |= {
            "previous_high": before.high,
            "previous_low": before.low,
            "previous_close": before.close,
        }
    return levels


def volume_facts(market: MarketContext) -> Facts:
    """Volume beside what is usual at this time of the day, and beside a whole day's."""
    told: Facts = {}
    volume, before = market.volume, market.before
    if volume is not None and volume.usual:
        told["day_ratio"] = round(volume.volume / volume.usual, 2)
        told["usual_of_days"] = volume.days
    if volume is not None and before is not None and before.average_volume:
        told["of_average_day_percent"] = round(100 * volume.volume / before.average_volume, 1)
    return told


def depth_facts(market: MarketContext, atr: float | None) -> Facts:
    """Spread and depth; empty where no sound book of the last seconds is known.

    `imbalance_percent` is 100 where nobody sells, -100 where nobody buys.
    """
    book = market.depth
    if book is None or book.fault is not None or market.event_time - book.at > MAX_BOOK_AGE:
        return {}
    bids, asks = int(book.bid_quantity), int(book.ask_quantity)
    if not bids + asks:
        return {}
    told: Facts = {}
    if book.bid is not None and book.ask is not None:
        spread = book.ask - book.bid
        told["spread_paise"] = spread
        told["spread_bps"] = round(20_000 * spread / (book.ask + book.bid), 1)
        if atr is not None:
            told["spread_atr"] = round(spread / atr, 2)
    return told | {
        "bid_units": bids,
        "ask_units": asks,
        "imbalance_percent": round(100 * (bids - asks) / (bids + asks)),
        "age_ms": (market.event_time - book.at) // _NS_PER_MS,
    }


def market_moves(market: MarketContext) -> Facts:
    """How far symbol, NIFTY and industry moved, and the differences: relative strength."""
    own = dict(_moves(market.day)) if market.day else {}
    index = dict(_moves(market.index)) if market.index else {}
    if market.day and market.day.whole and market.before:
        own["gap_percent"] = _percent(market.before.close, market.day.open)
    told: Facts = {}
    if own:
        told["symbol"] = dict[str, JsonValue](own)
    if index and market.index:
        age = (market.event_time - market.index.end) // NS_PER_MINUTE
        told["nifty"] = dict[str, JsonValue](index) | {"ended_minutes": age}
    if market.day and market.index and market.day.end == market.index.end:
        told["over_nifty"] = _beyond(own, index)
    if market.sector is not None:
        sector = dict(_sector_moves(market.sector))
        told["sector"] = {"name": market.sector.name, "shares": market.sector.shares, **sector}
        told["over_sector"] = _beyond(own, sector)
    return told


def sector_so_far(name: str, others: Sequence[DaySoFar]) -> SectorSoFar | None:
    """The mean move of other shares of an industry; None where too few are known."""
    moves = [dict(_moves(each)) for each in others]
    means = {
        measure: sum(values) / len(values)
        for measure in _MOVES
        if len(values := [each[measure] for each in moves if measure in each]) >= LEAST_SHARES
    }
    if not means:
        return None
    told = {measure.removesuffix("_percent"): round(mean, 3) for measure, mean in means.items()}
    return SectorSoFar(name=name, shares=len(others), **told)


def _sector_moves(sector: SectorSoFar) -> Iterator[tuple[str, float]]:
    moves = sector.since_open, sector.last_15m, sector.last_60m
    for name, move in zip(_MOVES, moves, strict=True):
        if move is not None:
            yield name, round(move, 2)


def _beyond(own: Mapping[str, float], other: Mapping[str, float]) -> dict[str, JsonValue]:
    """How much more the symbol moved than another."""
    return {
        name: round(own[name] - other[name], 2) for name in _MOVES if name in own and name in other
    }


def _moves(day: DaySoFar) -> Iterator[tuple[str, float]]:
    if day.whole:
        yield "since_open_percent", _percent(day.open, day.close)
    if day.close_15m is not None:
        yield "last_15m_percent", _percent(day.close_15m, day.close)
    if day.close_60m is not None:
        yield "last_60m_percent", _percent(day.close_60m, day.close)


def _percent(start: int, end: int) -> float:
    return round(100 * (end - start) / start, 2)

"""What recent bars look like: those of the signal's timeframe, and higher ones summed up. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from agents.trend_words import averages_of, regime_of, supertrend_of
from schemas.market_context import MarketContext, RecentBars
from schemas.messages import Signal
from schemas.units import NS_PER_MINUTE


def own_frame(signal: Signal, market: MarketContext | None) -> RecentBars | None:
    """The bars of the signal's own timeframe, if the last of them is the signal's."""
    frames = market.frames if market else ()
    return next(
        (
            frame
            for frame in frames
            if frame.timeframe is signal.timeframe and frame.end == signal.event_time
        ),
        None,
    )


def bar_columns(own: RecentBars | None, atr: float | None) -> dict[str, JsonValue]:
    """The signal's bar and those before it, oldest first: a column costs less than a row of names.

    `close_in_range_percent` is 100 where a bar closed at its high; `volume_ratio` is in parts of
    the mean of the bars told.
    """
    if own is None:
        return {}
    bars = list(zip(own.open, own.high, own.low, own.close, strict=True))
    told: dict[str, JsonValue] = {}
    if atr is not None:
        told["change_atr"] = [round((close - open_) / atr, 2) for open_, _, _, close in bars]
        told["range_atr"] = [round((high - low) / atr, 2) for _, high, low, _ in bars]
    told["close_in_range_percent"] = [
        round(100 * (close - low) / (high - low)) if high > low else 50
        for _, high, low, close in bars
    ]
    if mean := sum(own.volume) / len(own.volume):
        told["volume_ratio"] = [round(volume / mean, 2) for volume in own.volume]
    return told


def frame_summary(signal: Signal, frame: RecentBars, atr: float | None) -> dict[str, JsonValue]:
    """The newest bar of another timeframe, measured as everything else is."""
    return dict(_summary(signal, frame, atr))


def _summary(
    signal: Signal, frame: RecentBars, atr: float | None
) -> Iterator[tuple[str, JsonValue]]:
    values = frame.values
    yield "ended_minutes", (signal.event_time - frame.end) // NS_PER_MINUTE
    if words := averages_of(values, (9, 21, 50)):
        yield "averages", words
    if words := regime_of(values):
        yield "regime", words
    if words := supertrend_of(values):
        yield "supertrend", words
    for name in ("rsi_14", "adx_14"):
        if (value := values.get(name)) is not None:
            yield name, round(value, 1)
    if atr is None:
        return
    yield "change_atr", round((frame.close[-1] - frame.open[-1]) / atr, 2)
    if (average := values.get("ema_21")) is not None:
        yield "above_ema_21_atr", round((signal.price - average) / atr, 2)
    if (histogram := values.get("macd_histogram")) is not None:
        yield "macd_histogram_atr", round(histogram / atr, 3)

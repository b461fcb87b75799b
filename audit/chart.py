"""Bars and fills as parts of an SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from audit.amounts import rupees
from schemas.market import Side
from schemas.messages import Candle, Trade
from schemas.units import UtcNs

WIDTH, HEIGHT, MARGIN = 900, 320, 70


@dataclass(frozen=True, slots=True)
class Scale:
    """From bar and price to the picture's units."""

    bars: Sequence[Candle]
    low: int
    high: int

    def x(self, place: float) -> float:
        step = (WIDTH - 2 * MARGIN) / max(1, len(self.bars))
        return MARGIN + (place + 0.5) * step

    def y(self, price: int) -> float:
        share = (price - self.low) / max(1, self.high - self.low)
        return HEIGHT - 20 - share * (HEIGHT - 40)

    def place_of(self, moment: UtcNs) -> float | None:
        """Between the bars, where a moment of market time stands; None outside of the picture."""
        for place, bar in enumerate(self.bars):
            if bar.start <= moment <= bar.event_time:
                share = (moment - bar.start) / max(1, bar.event_time - bar.start)
                return place - 0.5 + share
        return None


def candle(scale: Scale, place: int, bar: Candle) -> str:
    """One bar: green where it closed no lower than it opened."""
    colour = "#1e8e4e" if bar.close >= bar.open else "#c0392b"
    x, half = scale.x(place), (scale.x(1) - scale.x(0)) * 0.35
    top, bottom = scale.y(max(bar.open, bar.close)), scale.y(min(bar.open, bar.close))
    return (
        f'<path d="M{x:.1f} {scale.y(bar.high):.1f}V{scale.y(bar.low):.1f}" stroke="{colour}"/>'
        f'<rect x="{x - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
        f'height="{max(1.0, bottom - top):.1f}" fill="{colour}"/>'
    )


def level(scale: Scale, name: str, price: int, colour: str) -> str:
    """A dashed line across at `price` (paise), with its name."""
    y = scale.y(price)
    return (
        f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="{colour}" stroke-dasharray="5 4"/>'
        f'<text x="{WIDTH - MARGIN + 4}" y="{y + 4:.1f}">{name}</text>'
        f'<text x="2" y="{y + 4:.1f}">{rupees(price)}</text>'
    )


def moment(scale: Scale, at: UtcNs, name: str) -> str:
    """A dashed line down at a moment of market time; nothing outside of the picture."""
    place = scale.place_of(at)
    if place is None:
        return ""
    x = scale.x(place)
    return (
        f'<path d="M{x:.1f} 20V{HEIGHT - 20}" stroke="#8a6d00" stroke-dasharray="2 3"/>'
        f'<text x="{x + 3:.1f}" y="{HEIGHT - 6}">{name}</text>'
    )


def mark(scale: Scale, trade: Trade) -> str:
    """A triangle at a fill: up where it bought."""
    fill = trade.fill
    place = scale.place_of(fill.traded_at or trade.event_time)
    if place is None:
        return ""
    x, y, up = scale.x(place), scale.y(fill.price), fill.side is Side.BUY
    corners = (
        [(x, y), (x - 6, y + 11), (x + 6, y + 11)]
        if up
        else [(x, y), (x - 6, y - 11), (x + 6, y - 11)]
    )
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    what = f"{fill.side} {fill.quantity:,} at {rupees(fill.price)}"
    title = f"<title>{escape(what)}</title>"
    return f'<polygon points="{points}" fill="#111" stroke="#fff">{title}</polygon>'

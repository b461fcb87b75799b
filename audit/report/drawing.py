"""The report's pictures, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from audit.amounts import clock, rupees
from audit.chart import HEIGHT, MARGIN, WIDTH, Scale
from audit.course import course
from audit.report.equity import Point
from audit.report.trades import TradedPosition
from schemas.market import Side
from schemas.messages import Candle


def profit_and_loss(points: Sequence[Point]) -> str:
    """Profit and loss as a line, what stood in the market as an area; empty without two points."""
    if len(points) < 2:
        return ""
    begin, end = points[0].at, points[-1].at
    values, most = [each.value for each in points], max(each.exposure for each in points)
    label = (
        f"Profit and loss before charges, {clock(begin)} to {clock(end)}: ends at "
        f"{rupees(values[-1])}, between {rupees(min(0, *values))} and {rupees(max(0, *values))}. "
        f"The area is what stood in the market, at most {rupees(most)}."
    )
    return course(
        [(each.at, each.value) for each in points],
        label,
        (clock(begin), clock(end)),
        [each.exposure for each in points],
    )


def candles(symbol: str, bars: Sequence[Candle], positions: Iterable[TradedPosition]) -> str:
    """The day's bars of one instrument, with a line from each entry to what ended it."""
    if not bars:
        return ""
    given = list(positions)
    prices = [int(price) for bar in bars for price in (bar.low, bar.high)]
    prices += [round(price) for each in given for price in (each.entry, each.exit) if price]
    scale = Scale(bars, min(prices), max(prices))
    label = f"{symbol}: {len(bars)} bars of {bars[0].timeframe.value}, {len(given)} positions"
    marks = "".join(part for each in given for part in _stay(scale, each))
    low, high = scale.low, scale.high
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(_bar(scale, place, bar) for place, bar in enumerate(bars))}{marks}"
        f'<text x="2" y="{scale.y(high) + 4:.1f}">{rupees(high)}</text>'
        f'<text x="2" y="{scale.y(low) + 4:.1f}">{rupees(low)}</text>'
        f'<text x="{MARGIN}" y="14">{escape(label)}</text></svg>'
    )


def _bar(scale: Scale, place: int, bar: Candle) -> str:
    x, half = scale.x(place), max(0.5, (scale.x(1) - scale.x(0)) * 0.35)
    top, bottom = scale.y(max(bar.open, bar.close)), scale.y(min(bar.open, bar.close))
    kind = "up-bar" if bar.close >= bar.open else "down-bar"
    return (
        f'<g class="{kind}"><path d="M{x:.1f} {scale.y(bar.high):.1f}V{scale.y(bar.low):.1f}"/>'
        f'<rect x="{x - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
        f'height="{max(1.0, bottom - top):.1f}"/></g>'
    )


def _stay(scale: Scale, position: TradedPosition) -> Iterator[str]:
    begin = scale.place_of(position.entered_at)
    end = scale.place_of(position.left_at) if position.left_at else None
    if begin is None:
        return
    x, y = scale.x(begin), scale.y(round(position.entry))
    if end is not None and position.exit is not None:
        to_x, to_y = scale.x(end), scale.y(round(position.exit))
        yield f'<path class="stay" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'
        yield f'<circle class="out" cx="{to_x:.1f}" cy="{to_y:.1f}" r="3.5"/>'
    down = 9 if position.side is Side.BUY else -9
    what = f"{position.side.value} {position.quantity:,} at {rupees(position.entry)}"
    yield (
        f'<polygon class="in" points="{x:.1f},{y:.1f} {x - 5:.1f},{y + down:.1f} '
        f'{x + 5:.1f},{y + down:.1f}"><title>{escape(what)}</title></polygon>'
    )

"""Pictures of the tear sheet, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from ats.backtest.figures import Worth, peaks
from audit.amounts import rupees
from audit.chart import WIDTH
from backtest.trade import Trade

HEIGHT: Final = 240
LEFT: Final = 96  # room for rupees
FLOOR: Final = HEIGHT - 24
TOP: Final = 16
MOST_DOTS: Final = 2_000  # of more trades the first in order of time


def equity(course: Sequence[Worth]) -> str:
    """Results after charges, summed up."""
    return _line(course, "Results after charges, summed up")


def drawdown(course: Sequence[Worth]) -> str:
    """How far below its highest point so far the sum stood."""
    below = [Worth(each.at, each.value - peak) for peak, each in peaks(course)]
    return _line(below, "Below the highest sum so far")


def _line(points: Sequence[Worth], label: str) -> str:
    if len(points) < 2:
        return ""
    low, high = min(0, *(p.value for p in points)), max(0, *(p.value for p in points))
    right = WIDTH - 16

    # by trade and not by time: nights and weekends say nothing
    def x(place: float) -> float:
        return LEFT + place / (len(points) - 1) * (right - LEFT)

    def y(value: float) -> float:
        return FLOOR - (value - low) / max(1, high - low) * (FLOOR - TOP)

    path = "L".join(f"{x(place):.1f} {y(each.value):.1f}" for place, each in enumerate(points))
    told = (
        f"{label}, {points[0].at.ist():%Y-%m-%d} to {points[-1].at.ist():%Y-%m-%d}: ends at "
        f"{rupees(points[-1].value)}, between {rupees(low)} and {rupees(high)}"
    )
    ticks = "".join(
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{rupees(value)}</text>'
        for value in dict.fromkeys((high, 0, low))
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">'
        f'<path class="zero" d="M{LEFT} {y(0):.1f}H{right}"/>'
        f'<path class="course" d="M{path}"/>{ticks}'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{points[0].at.ist():%Y-%m-%d}</text>'
        f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end">'
        f"{points[-1].at.ist():%Y-%m-%d}</text></svg>"
    )


def excursions(trades: Sequence[Trade]) -> str:
    """Each trade as a dot: how far it was behind, and how far ahead, in percent of its entry."""
    shown = trades[:MOST_DOTS]
    if not shown:
        return ""
    behind = [-100 * each.mae / each.entry_value for each in shown]
    ahead = [100 * each.mfe / each.entry_value for each in shown]
    wide, tall = max(*behind, 0.01), max(*ahead, 0.01)
    right = WIDTH - 16
    dots = "".join(
        f'<circle class="{"won" if each.net > 0 else "lost"}" '
        f'cx="{LEFT + worst / wide * (right - LEFT):.1f}" '
        f'cy="{FLOOR - best / tall * (FLOOR - TOP):.1f}" r="2"/>'
        for each, worst, best in zip(shown, behind, ahead, strict=True)
    )
    told = (
        f"{len(shown):,} trades: to the right the most each was behind, up to {wide:.2f} %; "
        f"upwards the most it was ahead, up to {tall:.2f} %"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{dots}'
        f'<path class="zero" d="M{LEFT} {TOP}V{FLOOR}H{right}"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{tall:.1f} %</text>'
        f'<text x="{LEFT - 6}" y="{FLOOR + 4}" text-anchor="end">0</text>'
        f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end">{wide:.1f} % behind</text></svg>'
    )

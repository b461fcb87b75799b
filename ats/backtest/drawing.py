"""Pictures of the tear sheet, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from ats.backtest.figures import Worth, peaks
from audit.amounts import rupees
from audit.chart import WIDTH
from audit.course import FLOOR, HEIGHT, LEFT, RIGHT, TOP, course
from backtest.trade import Trade

MOST_DOTS: Final = 2_000  # of more trades the first in order of time


def equity(points: Sequence[Worth]) -> str:
    """Results after charges, summed up."""
    return _line(points, "Results after charges, summed up")


def drawdown(points: Sequence[Worth]) -> str:
    """How far below its highest point so far the sum stood."""
    below = [Worth(each.at, each.value - peak) for peak, each in peaks(points)]
    return _line(below, "Below the highest sum so far")


def _line(points: Sequence[Worth], label: str) -> str:
    """By trade and not by time: nights and weekends say nothing."""
    if len(points) < 2:
        return ""
    values = [each.value for each in points]
    first, last = (f"{each.at.ist():%Y-%m-%d}" for each in (points[0], points[-1]))
    told = (
        f"{label}, {first} to {last}: ends at {rupees(values[-1])}, between "
        f"{rupees(min(0, *values))} and {rupees(max(0, *values))}"
    )
    return course(list(enumerate(values)), told, (first, last))


def excursions(trades: Sequence[Trade]) -> str:
    """Each trade as a dot: how far it was behind, and how far ahead, in percent of its entry."""
    shown = trades[:MOST_DOTS]
    if not shown:
        return ""
    behind = [-100 * each.mae / each.entry_value for each in shown]
    ahead = [100 * each.mfe / each.entry_value for each in shown]
    wide, tall = max(*behind, 0.01), max(*ahead, 0.01)
    dots = "".join(
        f'<circle class="{"won" if each.net > 0 else "lost"}" '
        f'cx="{LEFT + worst / wide * (RIGHT - LEFT):.1f}" '
        f'cy="{FLOOR - best / tall * (FLOOR - TOP):.1f}" r="2"/>'
        for each, worst, best in zip(shown, behind, ahead, strict=True)
    )
    told = (
        f"{len(shown):,} trades: to the right the most each was behind, up to {wide:.2f} %; "
        f"upwards the most it was ahead, up to {tall:.2f} %"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">{dots}'
        f'<path class="zero" d="M{LEFT} {TOP}V{FLOOR}H{RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{tall:.1f} %</text>'
        f'<text x="{LEFT - 6}" y="{FLOOR + 4}" text-anchor="end">0</text>'
        f'<text x="{RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{wide:.1f} % behind</text></svg>'
    )

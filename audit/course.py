"""How rupees went, as a line of an SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from audit.amounts import rupees
from audit.chart import WIDTH

HEIGHT: Final = 240
LEFT: Final = 96  # room for rupees
RIGHT: Final = WIDTH - 16
TOP: Final = 16
FLOOR: Final = HEIGHT - 24


def course(
    points: Sequence[tuple[int, int]],
    label: str,
    ends: tuple[str, str],
    exposed: Sequence[int] = (),
) -> str:
    """Places, rising, and the paise at each as a line; empty without two points.

    `ends` name the first and the last place. `exposed`, paise at each place, is an area under the
    line, on a scale of its own.
    """
    if len(points) < 2:
        return ""
    low, high = min(0, *(value for _, value in points)), max(0, *(value for _, value in points))
    (first, _), (last, _) = points[0], points[-1]

    def x(place: int) -> float:
        return LEFT + (place - first) / max(1, last - first) * (RIGHT - LEFT)

    def y(value: float, least: float, most: float) -> float:
        return FLOOR - (value - least) / max(1, most - least) * (FLOOR - TOP)

    def line(values: Sequence[int], least: float, most: float) -> str:
        at = zip(points, values, strict=True)
        return "L".join(f"{x(place):.1f} {y(value, least, most):.1f}" for (place, _), value in at)

    area = ""
    if exposed:
        path = line(exposed, 0, max(exposed))
        area = f'<path class="exposed" d="M{LEFT} {FLOOR}L{path}L{RIGHT} {FLOOR}Z"/>'
    scale = "".join(
        f'<text x="{LEFT - 6}" y="{y(value, low, high) + 4:.1f}" text-anchor="end">'
        f"{rupees(value)}</text>"
        for value in dict.fromkeys((high, 0, low))
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{area}'
        f'<path class="zero" d="M{LEFT} {y(0, low, high):.1f}H{RIGHT}"/>'
        f'<path class="course" d="M{line([value for _, value in points], low, high)}"/>{scale}'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{escape(ends[0])}</text>'
        f'<text x="{RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(ends[1])}</text></svg>'
    )

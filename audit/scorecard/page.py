"""The score card as one HTML page. Pure; it fetches nothing and runs no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import floor, log10
from typing import Final

from audit.scorecard.calibration import Bin
from audit.scorecard.card import Card, Line, remarks
from audit.scorecard.intervals import METHOD, Estimate
from audit.scorecard.prices import COLUMNS, JUDGED
from audit.scorecard.wording import days_in_words, estimate_words, percent, traded_words
from audit.sheet import document, scrolled

WIDTH, HEIGHT, MARGIN = 460, 300, 46
_HEAD: Final = (
    "", "number", f"right in {COLUMNS[JUDGED]}", *(f"gain, {name}" for name in COLUMNS),
    "profit factor", "Brier",
)  # fmt: skip


def page(card: Card, title: str) -> str:
    """The whole page."""
    charts = [
        _figure(_reliability(card.reliability), "Confidence against what came true. On the line "
                "it is honest; bars are 95 % (Wilson), circles grow with the number."),
        _figure(_course(card), f"Gain of BUY and SELL within {COLUMNS[JUDGED]}, summed in basis "
                "points, one after another."),
    ]  # fmt: skip
    sections = "".join(
        f"<h2>{escape(each.title)}</h2>{_table(each.lines)}" for each in card.sections if each.lines
    )
    return document(
        title,
        f"<h1>{escape(title)}</h1>\n"
        f"<p class=dim>{escape(days_in_words(card))}</p>\n{''.join(_remarks(card))}"
        f"<h2>Against others</h2>{_table([card.acted, *card.peers], card)}"
        f"<div class=charts>{''.join(charts)}</div>\n{sections}"
        f"<h2>At the broker</h2><p>{escape(traded_words(card.traded))}</p>"
        f"<p class=dim>{escape(METHOD)}; seed {card.seed}. Gains are basis points from the first "
        "price after the decision went out, before charges; of a HOLD, what the declined trade "
        "would have gained.</p>\n",
    )


def _remarks(card: Card) -> Iterator[str]:
    for each in remarks(card):
        yield f"<p class=remark>{escape(each)}</p>\n"


def _figure(drawing: str, caption: str) -> str:
    return (
        f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>" if drawing else ""
    )


def _table(lines: Sequence[Line], card: Card | None = None) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in _HEAD)
    rows = "".join(_row(each) for each in lines)
    if card and card.random:
        rows += _random_row(card)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return scrolled(table, "figures")


def _row(line: Line) -> str:
    few = " class=few" if line.too_few else ""
    note = "<small>too few to say anything</small>" if line.too_few else ""
    cells = [_hits(line.hits), *(_gain(each) for each in line.returns)]
    cells += [_cell(line.profit_factor, 2, 1.0), _cell(line.brier, 3)]
    return (
        f"<tr{few}><td>{escape(line.name)}{note}</td><td>{line.count:,}</td>{''.join(cells)}</tr>"
    )


def _random_row(card: Card) -> str:
    assert card.random is not None
    cells = [_hits(card.random.hits), *(_gain(each) for each in card.random.returns)]
    return (
        "<tr><td>random agents, same turnover<small>the middle 95 % of 1,000</small></td>"
        f"<td>{card.acted.count:,}</td>{''.join(cells)}<td></td><td></td></tr>"
    )


def _hits(estimate: Estimate) -> str:
    if estimate.value is None:
        return "<td>–</td>"
    between = estimate_words(estimate, percent)
    return f"<td>{percent(estimate.value)}<small>{escape(between)}</small></td>"


def _gain(estimate: Estimate) -> str:
    return _cell(estimate, 1, 0.0)


def _cell(estimate: Estimate, digits: int, even: float | None = None) -> str:
    """Coloured where the interval leaves `even` out."""
    if estimate.value is None:
        return "<td>–</td>"
    side = ""
    if even is not None and not estimate.contains(even):
        side = " class=up" if estimate.value > even else " class=down"
    sign = "+" if even == 0.0 else ""
    between = estimate_words(estimate, lambda value: f"{value:{sign}z.{digits}f}")
    return f"<td{side}>{estimate.value:{sign}z.{digits}f}<small>{escape(between)}</small></td>"


class _Plot:
    """From figures to the picture's units."""

    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self._left, self._width = left, (right - left) or 1
        self._low, self._height = low, (high - low) or 1

    def x(self, value: float) -> float:
        return MARGIN + (value - self._left) / self._width * (WIDTH - MARGIN - 14)

    def y(self, value: float) -> float:
        return HEIGHT - 30 - (value - self._low) / self._height * (HEIGHT - 58)

    def point(self, across: float, up: float) -> str:
        return f"{self.x(across):.1f} {self.y(up):.1f}"

    def level(self, value: float, name: str) -> str:
        """A thin line across, with its name on the left."""
        y = self.y(value)
        return (
            f'<path d="M{MARGIN} {y:.1f}H{WIDTH - 14}" stroke="var(--rule)"/>'
            f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        )


def _svg(parts: Iterable[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _reliability(bins: Sequence[Bin]) -> str:
    if not bins:
        return ""
    plot, most = _Plot(0, 1, 0, 1), max(each.count for each in bins)
    parts = [plot.level(share, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    parts += [
        f'<text x="{plot.x(share):.1f}" y="{HEIGHT - 12}" '
        f'text-anchor="{"end" if share == 1 else "middle"}">{share:.0%}</text>'
        for share in (0.25, 0.5, 0.75, 1)
    ]
    parts.append(
        f'<path d="M{plot.point(0, 0)}L{plot.point(1, 1)}" stroke="var(--dim)" '
        'stroke-dasharray="4 4"/>'
    )
    for each in bins:
        x, size = plot.x(each.confidence), 3 + 6 * (each.count / most) ** 0.5
        said = (
            f"confidence {each.confidence:.0%}: {each.share:.0%} of {each.count:,} came true "
            f"({each.low:.0%} to {each.high:.0%})"
        )
        parts.append(
            f'<path d="M{x:.1f} {plot.y(each.low):.1f}V{plot.y(each.high):.1f}" '
            'stroke="var(--blue)" stroke-width="2"/>'
            f'<circle cx="{x:.1f}" cy="{plot.y(each.share):.1f}" r="{size:.1f}" '
            f'fill="var(--blue)"><title>{escape(said)}</title></circle>'
        )
    parts.append(f'<text x="{MARGIN}" y="12">share that came true, by confidence</text>')
    return _svg(parts, "Reliability of the confidence")


def _course(card: Card) -> str:
    points = [(0.0, 0.0), *card.course]
    if len(points) < 2:
        return ""
    values = [value for point in points for value in point]
    plot = _Plot(0, len(points) - 1, min(values), max(values))
    step = _round_step(max(values) - min(values))
    first = int(min(values) // step)
    levels = [n * step for n in range(first, first + 12) if min(values) <= n * step <= max(values)]
    parts = [plot.level(level, f"{level:,.0f}") for level in levels]
    for which, colour in ((1, "var(--dim)"), (0, "var(--blue)")):
        way = "L".join(plot.point(at, point[which]) for at, point in enumerate(points))
        parts.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    key = (
        'the decisions <tspan fill="var(--blue)">━</tspan> and always buying at the same moments '
        "<tspan>━</tspan>"
    )
    parts.append(f'<text x="{MARGIN}" y="12">{key}</text>')
    parts.append(
        f'<text x="{WIDTH - 14}" y="{HEIGHT - 12}" text-anchor="end">'
        f"{len(points) - 1:,} decisions</text>"
    )
    return _svg(parts, "Summed gains")


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that about five lines fit."""
    least = max(span, 1e-9) / 6
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)

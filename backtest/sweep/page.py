"""A sweep as one HTML page: out of sample first, then a map of all points. Pure.

It runs no script and asks no host. Of more than two parameters the map shows two; each cell is the
median over the others, since a setting that is good with one of them only is luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median
from typing import Final

from audit.amounts import rupees
from audit.sheet import document, scrolled
from backtest.sweep.space import Axis, Space
from backtest.sweep.summary import Line, Summary
from backtest.sweep.wording import line_words, remarks, values_words

MOST_LINES: Final = 200  # points that are listed; the map shows all
MOST_CELLS: Final = 4_000
_STYLE: Final = (
    "<style>.map td{text-align:center;min-width:3.2rem} .map th{text-align:center}"
    ".gain{background:color-mix(in srgb,var(--green) var(--s),var(--paper))}"
    ".loss{background:color-mix(in srgb,var(--red) var(--s),var(--paper))}"
    "tr.best td{font-weight:600}</style>\n"
)


def page(made: Summary, space: Space, title: str, rests_on: str) -> str:
    """The whole page; `rests_on` names data, code and configuration. Texts are escaped."""
    told = "".join(f"<p class=remark>{escape(line)}</p>\n" for line in remarks(made))
    days = f"{len(made.days)} days from {made.days[0]} to {made.days[-1]}" if made.days else ""
    return document(
        title,
        f"{_STYLE}<h1>{escape(title)}</h1>\n"
        f"<p class=dim>{escape(f'{len(made.played):,} points of {space.rule}, {days}')}</p>\n{told}"
        f"<h2>Out of sample</h2>{_folds(made)}\n"
        f"<h2>Map: after charges a day, in sample</h2>{_map(made, space)}\n"
        f"<h2>Points, in sample</h2>{_points(made)}\n"
        f"<p class=dim>{escape(rests_on)}</p>\n",
    )


def _folds(made: Summary) -> str:
    if not made.out_of_sample.folds:
        return "<p>Nothing was held out.</p>"
    rows = "".join(
        _row(
            (
                f"{fold.first} to {fold.last}",
                "nothing" if fold.chosen is None else values_words(made.played[fold.chosen]),
                rupees(round(fold.before)),
                rupees(round(fold.after)),
            ),
            "",
        )
        for fold in made.out_of_sample.folds
    )
    return _table(("days", "chosen", "a day before", "a day after"), rows, "out of sample")


def _points(made: Summary) -> str:
    rows = "".join(
        _row(
            line_words(line, rupees),
            " class=best" if nth == 0 else "",
        )
        for nth, line in enumerate(made.lines[:MOST_LINES])
    )
    more = len(made.lines) - MOST_LINES
    left = f"<p class=dim>{more:,} points more are on the map.</p>" if more > 0 else ""
    head = ("point", "trades", "after charges", "slippage it bears", "Sharpe a day", "sure")
    return _table(head, rows, "points") + left


def _map(made: Summary, space: Space) -> str:
    """A cell for each value of the last two parameters of several values."""
    several = [axis for axis in space.axes if len(axis.values) > 1] or list(space.axes)
    across, down = several[-1], several[-2] if len(several) > 1 else Axis("", ("",))
    if len(across.values) * len(down.values) > MOST_CELLS:
        return f"<p>Too many cells to show, at most {MOST_CELLS:,}: widen a step.</p>"
    cells: dict[tuple[object, object], list[float]] = {}
    for line in made.lines:
        values = line.point.values
        place = (values.get(down.name, ""), values.get(across.name))
        cells.setdefault(place, []).append(_a_day(line))
    shown = {place: median(each) for place, each in cells.items()}
    most = max((abs(each) for each in shown.values()), default=0.0) or 1.0
    head = "".join(f"<th>{escape(f'{value}')}</th>" for value in across.values)
    rows = "".join(
        f"<tr><td>{escape(f'{value}')}</td>"
        + "".join(_cell(shown.get((value, other)), most) for other in across.values)
        + "</tr>"
        for value in down.values
    )
    corner = escape(f"{down.name} ↓ {across.name} →" if down.name else f"{across.name} →")
    table = (
        f"<table class=map><thead><tr><th>{corner}</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
    return scrolled(table, "map of points")


def _a_day(line: Line) -> float:
    return line.net / max(1, len(line.point.days))


def _cell(value: float | None, most: float) -> str:
    if value is None:
        return "<td>–</td>"
    side = "gain" if value >= 0 else "loss"
    strength = round(75 * abs(value) / most)
    return f'<td class={side} style="--s:{strength}%">{escape(f"{value / 100:+,.0f}")}</td>'


def _table(head: Sequence[str], rows: str, label: str) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return scrolled(f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>", label)


def _row(cells: Sequence[str], attributes: str) -> str:
    return f"<tr{attributes}>{''.join(_cells(cells))}</tr>"


def _cells(cells: Sequence[str]) -> Iterator[str]:
    for cell in cells:
        yield f"<td>{escape(cell)}</td>"

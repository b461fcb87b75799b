"""A sweep in the terminal: out of sample first."""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from audit.amounts import whole_rupees
from backtest.sweep.summary import Summary
from backtest.sweep.wording import line_words, remarks, values_words

MOST_LINES: Final = 10  # points in the terminal; the page and the file have more


def show(console: Console, made: Summary) -> None:
    """Print what was held out, then the best points, then what to make of them."""
    if made.out_of_sample.folds:
        console.print(_folds(made))
    console.print(_points(made))
    for line in remarks(made):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _folds(made: Summary) -> Table:
    table = _table(
        "Out of sample: chosen on the days before; net rupees a day",
        ("days", "chosen"),
        ("before", "on these"),
    )
    for fold in made.out_of_sample.folds:
        chosen = "nothing" if fold.chosen is None else values_words(made.played[fold.chosen])
        table.add_row(
            f"{fold.first} to {fold.last}",
            chosen,
            whole_rupees(fold.before),
            whole_rupees(fold.after),
        )
    return table


def _points(made: Summary) -> Table:
    table = _table(
        f"In sample: the best {min(MOST_LINES, len(made.lines))} of {len(made.lines):,} points",
        ("point",),
        ("trades", "net rupees", "bears", "Sharpe a day", "sure"),
    )
    for line in made.lines[:MOST_LINES]:
        table.add_row(
            *line_words(line, whole_rupees),
        )
    return table


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False
    )
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right")
    return table

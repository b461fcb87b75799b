"""How far a backtest can be trusted, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from audit.report import cells
from backtest.honesty.costs import CHARGES, SLIPPAGE, grid
from backtest.honesty.evidence import Evidence
from backtest.honesty.permutation import Chance

_HEAD: Final = ("bp a trade", "from", "to", "sides p", "days p", "sure", "bears bp")


def table(evidence: Mapping[str, Evidence]) -> Table:
    """One row a rule: result of a trade and its interval, p-values, the costs that it bears."""
    made = Table(
        title="Can it be chance?", title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False
    )
    made.add_column("rule", no_wrap=True)
    for name in _HEAD:
        made.add_column(name, justify="right", no_wrap=True)
    for rule, found in evidence.items():
        made.add_row(rule, *_figures(found))
    return made


def section(evidence: Mapping[str, Evidence]) -> str:
    """The same as HTML, and what is left as costs grow."""
    rows = [
        [cells.text(rule), *map(cells.text, _figures(found))] for rule, found in evidence.items()
    ]
    head = [f"charges x {factor:g}, +{more:g} bp" for factor in CHARGES for more in SLIPPAGE]
    costs = [
        [
            cells.text(rule),
            *(cells.Cell(cells.money(net)) for row in grid(found.total) for net in row),
        ]
        for rule, found in evidence.items()
    ]
    return (
        f"{cells.table('chance', ('rule', *_HEAD), rows)}"
        "<p class=dim>In basis points of the entry, after charges, with a 95 % interval. sides p: "
        "how often coins do as well; days p: how often the same trades on other days do; sure: of "
        "an edge after as many tries as there are rules; bears: slippage on each side at which "
        "nothing is left.</p>\n"
        f"<h2>As costs grow</h2>{cells.table('costs', ('rule', *head), costs)}"
    )


def _figures(found: Evidence) -> Iterator[str]:
    mean = found.mean
    for value in (mean.value, mean.low, mean.high):
        yield "–" if value is None else f"{value:+.1f}"
    yield _p(found.sides)
    yield _p(found.knew_days)
    yield "–" if found.deflated is None else f"{found.deflated:.2f}"
    bears = found.total.break_even
    yield "–" if bears is None else f"{bears:+.1f}"


def _p(chance: Chance | None) -> str:
    return "–" if chance is None or chance.p_value is None else f"{chance.p_value:.3f}"

"""A backtest in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ats.backtest import trust
from ats.backtest.figures import Part
from ats.backtest.result import Backtest
from audit.amounts import whole_rupees
from backtest.fills import Fills

ORDERED: Final = "ordered"
FILLED: Final = {
    Fills.BOOK: "Filled from five levels around the last price, as in a demo (--fills book)",
    Fills.TAPE: "Filled by what traded after each order, as on paper (--fills tape)",
    Fills.PLAIN: "Filled whole at the next bar's open, without spread, stops and targets "
    "(--fills plain): for comparing with other backtesters, no evidence",
}
_HEAD: Final = ("trades", "right", "gross", "charges", "net", "factor", "drawdown")


def show(console: Console, made: Backtest) -> None:
    """Print the table by rule, and what a reader must know of it."""
    console.print(table(made.by["rule"], made.total))
    console.print(trust.table(made.evidence))
    for line in remarks(made):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def table(parts: Iterable[Part], total: Part) -> Table:
    """One row a rule, and all together; whole rupees, so that it fits on 80 columns."""
    made = Table(
        title="Rupees, net after charges",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    made.add_column("rule", no_wrap=True)
    for name in _HEAD:
        made.add_column(name, justify="right", no_wrap=True)
    for each in parts:
        made.add_row(each.name, *_cells(each))
    made.add_section()
    made.add_row(total.name, *_cells(total), style="bold")
    return made


def _cells(part: Part) -> Sequence[str]:
    figures = part.figures
    return (
        f"{figures.number:,}",
        "–" if figures.win_rate is None else f"{figures.win_rate:.0%}",
        whole_rupees(part.gross),
        whole_rupees(part.charges),
        whole_rupees(part.net),
        "–" if figures.profit_factor is None else f"{figures.profit_factor:.2f}",
        whole_rupees(part.drawdown),
    )


def remarks(made: Backtest) -> Iterator[str]:
    """What was played, what became of the signals, and what the figures do not say."""
    days, warm = made.days, len(made.result.days) - len(made.days)
    yield (
        f"{len(days)} days from {days[0].day} to {days[-1].day}, {warm} before them to warm up, "
        f"{sum(each.prints for each in days):,} prints, {sum(each.signals for each in days):,} "
        f"signals; this result is {made.id}"
    )
    yield FILLED[made.fills]
    outcomes = sum(made.result.outcomes.values(), Counter[str]())
    others = [
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in outcomes.most_common()
        if name != ORDERED
    ]
    yield f"Of the signals {outcomes[ORDERED]:,} were ordered; no order: {', '.join(others) or '0'}"
    if made.charged_by:
        yield (
            f"No charges are known of these days: they are charged by the rates of "
            f"{made.charged_by}"
        )
    yield from made.cold

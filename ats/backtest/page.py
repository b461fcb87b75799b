"""The tear sheet: a backtest as one HTML page that runs no script and asks no host. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import orjson

from ats.backtest import trust
from ats.backtest.drawing import MOST_DOTS, drawdown, equity, excursions
from ats.backtest.figures import Part, course_of, in_order
from ats.backtest.result import Backtest
from ats.backtest.show import remarks
from audit.report import cells
from audit.report.cells import Cell
from audit.sheet import document
from backtest.trade import Trade
from schemas.units import NS_PER_MINUTE, UtcNs

MOST_TRADES: Final = 400  # that are listed; of more the largest results
_STYLE: Final = (
    "<style>.won{fill:var(--green);opacity:.5} .lost{fill:var(--red);opacity:.5} "
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem}</style>\n"
)
_HEADINGS: Final = {
    "month": "By month",
    "rule": "By rule",
    "symbol": "By symbol",
    "hour": "By hour of the entry",
    "ending": "By what ended it",
    "day": "By day",
}


def page(made: Backtest) -> str:
    """The whole page. What came from outside is escaped."""
    first, last = made.days[0].day, made.days[-1].day
    title = f"Backtest of {first} to {last}"
    told = "".join(f"<p class=dim>{escape(line)}</p>\n" for line in remarks(made))
    course = course_of(made.result.trades)
    body = (
        f"{_STYLE}<h1>{escape(title)}</h1>\n{told}{_cards(made.total)}"
        f"<h2>Results, one trade after another</h2>{equity(course)}\n"
        f"<h2>Drawdown</h2>{drawdown(course)}\n"
        f"{''.join(_parts(_HEADINGS[name], name, made.by[name]) for name in _HEADINGS)}"
        f"<h2>Can it be chance?</h2>{trust.section(made.evidence)}\n"
        f"<h2>Behind and ahead</h2>{_dots(made)}\n"
        f"<h2>Trades</h2>{_trades(made.result.trades)}\n"
        f"<h2>What this rests on</h2><pre>{escape(_named(made))}</pre>\n"
    )
    return document(title, body)


def _cards(total: Part) -> str:
    figures = total.figures
    rows = [
        ("After charges", cells.money(total.net), ""),
        ("Before charges", cells.money(total.gross), ""),
        ("Charges", cells.plain(total.charges), ""),
        ("Trades", f"{figures.number:,}", ""),
        ("Right", cells.share(figures.win_rate), "after charges"),
        ("Profit factor", cells.number(figures.profit_factor), "gains by losses"),
        ("Drawdown", cells.plain(total.drawdown), "after charges"),
        ("Average gain", cells.plain(figures.average_win), ""),
        ("Average loss", cells.plain(figures.average_loss), ""),
        ("Best", cells.plain(figures.best), ""),
        ("Worst", cells.plain(figures.worst), ""),
        ("Losses in a row", f"{figures.longest_losing:,}", "at most"),
    ]
    return f"<dl class=cards>{''.join(cells.card(*row) for row in rows)}</dl>\n"


def _parts(heading: str, name: str, parts: Iterable[Part]) -> str:
    head = (name, "trades", "right", "before charges", "charges", "after charges",
            "profit factor", "drawdown")  # fmt: skip
    rows = (
        (
            cells.text(each.name),
            cells.text(f"{each.figures.number:,}"),
            Cell(cells.share(each.figures.win_rate)),
            Cell(cells.money(each.gross)),
            Cell(cells.plain(each.charges)),
            Cell(cells.money(each.net)),
            Cell(cells.number(each.figures.profit_factor)),
            Cell(cells.plain(each.drawdown)),
        )
        for each in parts
    )
    return f"<h2>{escape(heading)}</h2>{cells.table(name, head, rows)}\n"


def _dots(made: Backtest) -> str:
    trades = in_order(made.result.trades)
    more = f" The first {MOST_DOTS:,} are shown." if len(trades) > MOST_DOTS else ""
    note = (
        "Each trade is a dot: to the right the most it was behind while it was open, upwards the "
        f"most it was ahead, in percent of its entry. Green won after charges.{more}"
    )
    return f"<p class=dim>{note}</p>{excursions(trades)}"


def _trades(trades: Sequence[Trade]) -> str:
    largest = sorted(trades, key=lambda each: (-abs(each.net), each.entered_at))[:MOST_TRADES]
    more = ""
    if len(trades) > MOST_TRADES:
        more = f"<p class=remark>The {MOST_TRADES} largest of {len(trades):,} are listed.</p>"
    head = ("trade", "rule", "entered", "minutes", "entry", "exit", "charges", "after charges",
            "behind", "ahead", "ended by")  # fmt: skip
    return more + cells.table("trades", head, map(_trade, in_order(largest)))


def _trade(each: Trade) -> Sequence[Cell]:
    return (
        cells.text(f"{each.side.value} {each.quantity:,} {each.symbol}"),
        cells.text(each.rule),
        cells.text(_moment(each.entered_at)),
        cells.text(f"{(each.left_at - each.entered_at) / NS_PER_MINUTE:.0f}"),
        Cell(cells.plain(each.entry_price)),
        Cell(cells.plain(each.exit_price)),
        Cell(cells.plain(each.charges)),
        Cell(cells.money(each.net)),
        Cell(cells.plain(each.mae)),
        Cell(cells.plain(each.mfe)),
        cells.text(each.ending.value),
    )


def _moment(at: UtcNs) -> str:
    return f"{at.ist():%Y-%m-%d %H:%M:%S}"


def _named(made: Backtest) -> str:
    return orjson.dumps(made.named, option=orjson.OPT_INDENT_2).decode()

"""The report as one HTML page. Pure; it runs no script and asks no host."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import Final

from audit.amounts import clock, passed
from audit.report import cells
from audit.report.day import DayReport
from audit.report.drawing import candles, profit_and_loss
from audit.report.trades import TradedPosition, charges_of
from audit.sheet import document, scrolled
from schemas.ids import InstrumentId, UserId

MOST_ROWS: Final = 400  # positions and users that are listed; of more the largest results
MOST_CHARTS: Final = 16  # instruments that are drawn, by how much was traded


def page(report: DayReport) -> str:
    """The whole page. What came from outside is escaped."""
    title = title_of(report)
    body = (
        f"<h1>{escape(title)}</h1>\n<p class=dim>{escape(_what(report))}</p>\n"
        f"{_cards(report)}{_course(report)}{_users(report)}{_positions(report)}"
        f"{_charts(report)}{_incidents(report)}{_latencies(report)}{_costs(report)}"
        f"<p class=dim>{escape(_HOW)}</p>\n"
    )
    return document(title, body)


_HOW: Final = (
    "Positions match fills first in, first out, by entry order. Charges are estimated by the rates "
    "of the day. Slippage is what the entry was worse than the price that the decision named, in "
    "basis points; below zero it was better. Hops are between the times at which records were "
    "written."
)


def title_of(report: DayReport) -> str:
    """What the page is called."""
    whose = f", user {report.user}" if report.user else ""
    return f"Trading day {report.day}{whose}"


def _what(report: DayReport) -> str:
    return (
        f"{report.decisions:,} decisions, {report.orders:,} orders, "
        f"{len(report.positions):,} of them traded. {_prices(report)}. All times are Indian."
    )


def _prices(report: DayReport) -> str:
    """How much of the day is recorded: of half a day the result is one of half a day."""
    bars = [each for those in report.bars.values() for each in those]
    if not bars:
        return "No prices of what was traded are recorded"
    begin, end = min(each.start for each in bars), max(each.event_time for each in bars)
    return f"Prices of what was traded are recorded from {clock(begin)} to {clock(end)}"


# Figures


def _cards(report: DayReport) -> str:
    figures, unknown = report.figures, "unknown: a rate is missing"
    thinking = "our share of the models' calls" if report.user else "calls of models"
    rows = [
        ("Result", cells.money(report.net), "after charges and thinking"),
        ("Before charges", cells.money(report.gross), ""),
        (
            "Charges",
            cells.plain(report.charges),
            unknown if report.charges is None else "estimated",
        ),
        ("Thinking", cells.plain(report.thinking), thinking),
        ("Positions closed", f"{figures.number:,}", _held(report)),
        ("Right", cells.share(figures.win_rate), "of what was closed, after charges"),
        ("Profit factor", cells.number(figures.profit_factor), "gains by losses"),
        (
            "Average gain",
            cells.plain(figures.average_win),
            f"loss {cells.plain(figures.average_loss)}",
        ),
        ("Best", cells.plain(figures.best), f"worst {cells.plain(figures.worst)}"),
        ("Losses in a row", f"{figures.longest_losing:,}", "at most"),
        ("Drawdown", cells.plain(report.drawdown), "from a highest value, before charges"),
        ("In the market", cells.plain(report.most_exposed), "at most, at market prices"),
        ("Slippage", cells.points(report.slippage), "of entries, by value"),
        ("Without a stop", f"{report.unprotected[0]:.1f} s", _longest(report)),
    ]
    return f"<dl class=cards>{''.join(cells.card(*row) for row in rows)}</dl>\n"


def _held(report: DayReport) -> str:
    held = sum(1 for each in report.positions if each.held)
    return f"{held:,} not closed" if held else "nothing is held"


def _longest(report: DayReport) -> str:
    return f"{report.unprotected[1]:.1f} s at once at most; all positions"


# Tables


def _course(report: DayReport) -> str:
    drawing = profit_and_loss(report.course)
    return f"<h2>Course of the day</h2>{drawing}\n" if drawing else ""


def _users(report: DayReport) -> str:
    """By user; nothing on the page of one."""
    if report.user is not None or not report.positions:
        return ""
    by_user: dict[UserId, list[TradedPosition]] = defaultdict(list)
    for each in report.positions:
        by_user[each.user].append(each)
    rows = [
        (user, sum(each.gross for each in those), charges_of(those), len(those))
        for user, those in by_user.items()
    ]
    rows.sort(key=lambda row: -abs(row[1]))
    table = cells.table(
        "users",
        ("user", "positions", "before charges", "charges", "after charges"),
        (
            (
                cells.text(str(user)),
                cells.text(f"{number:,}"),
                cells.Cell(cells.money(gross)),
                cells.Cell(cells.plain(charges)),
                cells.Cell(cells.money(None if charges is None else gross - charges)),
            )
            for user, gross, charges, number in rows[:MOST_ROWS]
        ),
    )
    return f"<h2>Users</h2>{_left_out(len(rows))}{table}\n"


def _left_out(number: int) -> str:
    if number <= MOST_ROWS:
        return ""
    return f"<p class=remark>The {MOST_ROWS} largest of {number:,} are listed.</p>"


def _positions(report: DayReport) -> str:
    if not report.positions:
        return "<h2>Positions</h2><p>Nothing was traded.</p>\n"
    largest = sorted(report.positions, key=lambda each: -abs(each.gross))[:MOST_ROWS]
    listed = sorted(largest, key=lambda each: (each.entered_at, each.symbol, str(each.user)))
    head = ["position", "entered", "left", "entry", "exit", "before charges", "after charges",
            "slippage"]  # fmt: skip
    if report.user is None:
        head.insert(1, "user")
    names = "".join(f"<th scope=col>{escape(each)}</th>" for each in head)
    rows = "".join(_position(each, len(head), report.user) for each in listed)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"
    more = _left_out(len(report.positions))
    return f"<h2>Positions</h2>{more}{scrolled(table, 'positions')}\n"


def _position(each: TradedPosition, columns: int, user: UserId | None) -> str:
    """Its figures, and below them why."""
    held = f"<small>{each.held:,} still held</small>" if each.held else ""
    row = [
        cells.Cell(escape(f"{each.side.value} {each.quantity:,} {each.symbol}") + held),
        *([] if user else [cells.text(str(each.user)[:8])]),
        cells.text(clock(each.entered_at)),
        cells.text(clock(each.left_at) if each.left_at else "–"),
        cells.Cell(cells.plain(each.entry)),
        cells.Cell(cells.plain(each.exit)),
        cells.Cell(cells.money(each.gross) if each.left_at else "–"),
        cells.Cell(cells.money(each.net) if each.left_at else "–"),
        cells.text(cells.points(each.slippage)),
    ]
    because = escape(each.because or "No decision here made it.")
    ended = f" Ended by: {escape(each.left_because)}." if each.left_because else ""
    more = f"{ended} <code>ats why {each.order}</code>" if each.order else ended
    return (
        f"<tr class=above>{''.join(map(cells.as_html, row))}</tr>\n"
        f"<tr class=below><td colspan={columns}>{because}{more}</td></tr>\n"
    )


def _charts(report: DayReport) -> str:
    by_instrument: dict[InstrumentId, list[TradedPosition]] = defaultdict(list)
    for each in report.positions:
        by_instrument[each.instrument].append(each)
    most = sorted(
        by_instrument.items(),
        key=lambda item: -sum(each.entry * each.quantity for each in item[1]),
    )
    drawn = [
        drawing
        for instrument, those in most[:MOST_CHARTS]
        if (drawing := candles(those[0].symbol, report.bars.get(instrument, ()), those))
    ]
    if not drawn:
        return ""
    more = len(most) - MOST_CHARTS
    note = f"<p class=remark>{more:,} more instruments are not drawn.</p>" if more > 0 else ""
    return (
        "<h2>Entries and exits</h2><p class=dim>A triangle is an entry, up where it bought; a "
        f"circle is what ended it.</p>{note}{''.join(drawn)}\n"
    )


def _incidents(report: DayReport) -> str:
    if not report.incidents:
        return "<h2>Incidents</h2><p>None.</p>\n"
    rows = (
        (cells.text(each.kind), cells.text(f"{each.number:,}"), cells.text(each.what, "words"))
        for each in report.incidents[:MOST_ROWS]
    )
    more = _left_out(len(report.incidents))
    return (
        f"<h2>Incidents</h2>{more}{cells.table('incidents', ('kind', 'how often', 'what'), rows)}\n"
    )


def _latencies(report: DayReport) -> str:
    if not report.latencies:
        return ""
    rows = (
        (
            cells.text(each.hop),
            cells.text(f"{each.number:,}"),
            *map(_span, (each.p50, each.p99, each.worst)),
        )
        for each in report.latencies
    )
    return f"<h2>Hops</h2>{cells.table('hops', ('hop', 'number', 'p50', 'p99', 'worst'), rows)}\n"


def _span(nanoseconds: int) -> cells.Cell:
    return cells.text(passed(nanoseconds))


def _costs(report: DayReport) -> str:
    """By agent; not on the page of one user."""
    if report.user is not None or not report.costs:
        return ""
    head = ("agent", "model", "calls", "failed", "tokens in", "tokens out", "cost")
    rows = (
        (
            cells.text(each.agent),
            cells.text(each.model),
            *(cells.text(f"{number:,}") for number in (each.calls, each.failed)),
            *(cells.text(f"{number:,}") for number in (each.tokens_in, each.tokens_out)),
            cells.Cell(cells.plain(each.cost)),
        )
        for each in report.costs
    )
    return f"<h2>Thinking</h2>{cells.table('thinking', head, rows)}\n"

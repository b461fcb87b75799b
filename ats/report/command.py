"""The command from its options to its exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from ats.demo.steps import Step
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.runtime.pages import write_page
from audit.amounts import rupees
from audit.days import DayReader
from audit.replay.recorded import span_of
from audit.report.day import DayReport, report_of
from audit.report.page import page, title_of
from audit.report.record import DayRecord, read_record
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from schemas.ids import UserId
from schemas.messages import Decision, OrderIntent, Trade


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the command line says; see `ats report --help`.

    Attributes:
        user: None reports on everybody.
        demo, archive: The folder of a kept demo or of an archive; without both a running demo, or
            the cluster that is set.
        html: Where the page goes; None names it after the day.
    """

    day: date
    user: UserId | None
    demo: Path | None
    archive: Path | None
    html: Path | None
    as_json: bool

    @property
    def page(self) -> Path:
        """Where the page goes."""
        whose = f"-{self.user}" if self.user else ""
        return self.html or Path(f"report-{self.day}{whose}.html")


async def run(options: ReportOptions) -> int:
    """Write the page, or print the figures as JSON; returns the exit code.

    Raises:
        Misconfigured: no such demo, cluster or topic, nothing is recorded of the day or the user,
            or the page cannot be written.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    async with recorded_by(options.demo, tell, options.archive) as source:
        with Step(tell, "reading the record") as step:
            days = DayReader(source.connection, span_of(options.day, options.day), step.now)
            record = await read_record(days, options.day, options.user)
    _known(record)
    report = report_of(record, shipped_rates())
    if options.as_json:
        sys.stdout.write(as_json(report) + "\n")
        return exit_codes.DONE
    write_page(options.page, page(report))
    Console().print(summary(report))
    Console().print(f"written: {options.page}", highlight=False, soft_wrap=True)
    return exit_codes.DONE


def _known(record: DayRecord) -> None:
    traded = bool(record.of(Trade))
    if record.user is not None and not record.of(OrderIntent) and not traded:
        raise Misconfigured(
            f"nothing is recorded of user {record.user} on {record.day}: no order, no trade; "
            "`ats tail ats.orders --last 1` shows an order with its user"
        )
    if not record.of(Decision) and not traded:
        raise Misconfigured(
            f"neither a decision nor a trade is recorded of {record.day}: is it another day? "
            "`ats tail ats.decisions --last 1` shows one that is there"
        )


def summary(report: DayReport) -> Table:
    """What a person wants to know before they open the page."""
    table = Table(title=title_of(report), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    net, charges = report.net, report.charges
    table.add_row("before charges", rupees(report.gross))
    table.add_row("charges", "unknown" if charges is None else rupees(-charges))
    table.add_row("thinking", rupees(-report.thinking))
    table.add_row("result", "unknown" if net is None else rupees(net), style="bold")
    table.add_row("positions closed", f"{report.figures.number:,}")
    table.add_row("incidents", f"{sum(each.number for each in report.incidents):,}")
    return table


def as_json(report: DayReport) -> str:
    """The figures, paise and seconds; positions with their orders."""
    figures = report.figures
    body = {
        "day": report.day.isoformat(),
        "user": report.user,
        "gross": report.gross,
        "charges": report.charges,
        "thinking": report.thinking,
        "net": report.net,
        "drawdown": report.drawdown,
        "most_exposed": report.most_exposed,
        "slippage_bp": report.slippage,
        "unprotected_seconds": report.unprotected[0],
        "unprotected_worst_seconds": report.unprotected[1],
        "figures": figures,
        "positions": report.positions,
        "costs": report.costs,
        "hops_ns": [each._asdict() for each in report.latencies],
        "incidents": [each._asdict() for each in report.incidents],
    }
    return orjson.dumps(body, default=str).decode()

"""`ats data import`, `list` and `check`: what they print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ats.data.archived import ArchivedBars, bars_of
from ats.data.catalogue import Imported, held, keep, take_in
from ats.data.check import Finding, Kind, findings
from ats.runtime import exit_codes
from audit.archive.stored import days_in, open_archive
from schemas.errors import Misconfigured
from simulator.market import columnar
from simulator.market.actions import read_actions
from simulator.market.bar_columns import BarColumns
from simulator.market.report import FileReport, counted

MOST_SHOWN: Final = 20  # findings of a kind; all are counted


def import_(
    console: Console, files: Sequence[Path], folder: Path, *, most_bad: float, replace: bool
) -> int:
    """Take `files` in, each for itself; says what came of each.

    Raises:
        Misconfigured: the catalogue cannot be written.
        TryLater: another import is running.
    """
    done, failed = list[Imported](), list[str]()
    with held(folder), progress(console) as bar:
        task = bar.add_task("", total=len(files))
        for path in files:
            try:
                done.append(
                    take_in(
                        path,
                        folder,
                        most_bad=most_bad,
                        replace=replace,
                        tell=lambda what: bar.update(task, description=what),
                    )
                )
            except Misconfigured as error:  # of this file alone
                failed.append(str(error))
            else:
                _say(console, done[-1])
            bar.advance(task)
    for each in failed:
        line(console, f"not imported: {each}")
    _sum_up(console, folder, done)
    return exit_codes.MISCONFIGURED if failed else exit_codes.DONE


def import_archive(console: Console, archive: Path, folder: Path, *, replace: bool) -> int:
    """Take the one-minute candles of archived days in; says what was left out.

    Raises:
        Misconfigured: there is no archive, a file of it cannot be read, or the catalogue not be
            written.
        TryLater: another import is running.
    """
    days, done = days_in(archive), list[Imported]()
    with held(folder), progress(console) as bar:
        for path in bar.track(days, description="reading archived days"):
            found = bars_of(open_archive(path))
            report = FileReport(path.name, len(found.bars), 0, "bars of 1 minute", ())
            done.append(Imported(report))
            keep(folder, found.bars, done[-1], replace=replace)
            _say_archived(console, done[-1], found)
    _sum_up(console, folder, done)
    return exit_codes.DONE


def _say_archived(console: Console, imported: Imported, found: ArchivedBars) -> None:
    name = imported.report.name
    line(console, f"{name}: {len(found.bars):,} complete candles of 1 minute")
    if found.incomplete:
        line(console, f"{name}: {found.incomplete:,} candles left out, whose minute began unseen")
    if found.unusable:
        line(console, f"{name}: {found.unusable:,} candles left out, which are no bars")
    if found.unnamed:
        line(
            console,
            f"{name}: {found.unnamed.total():,} candles left out of {len(found.unnamed):,} "
            f"instruments that no watch list names, such as {min(found.unnamed)}",
        )
    for said in counted(imported.contradicted, name):
        line(console, f"{said}; left as it was, `--replace` takes the archive's")


def _sum_up(console: Console, folder: Path, done: Sequence[Imported]) -> None:
    days = set[date]().union(*(each.days for each in done))
    added, known = sum(each.added for each in done), sum(each.known for each in done)
    replaced = sum(each.replaced for each in done)
    line(
        console,
        f"{folder}: {added:,} bars are new, {replaced:,} replaced, {known:,} were known, "
        f"of {in_days(len(days))}",
    )


def list_(console: Console, folder: Path) -> int:
    """Print the days of a catalogue.

    Raises:
        Misconfigured: there is no day, or one cannot be read.
    """
    table = Table("day", "symbols", "bars", "file")
    for day, path in _days(folder):
        symbols = columnar.outline(path)
        table.add_row(f"{day}", f"{len(symbols):,}", f"{sum(symbols.values()):,}", str(path))
    console.print(table)
    return exit_codes.DONE


def check(console: Console, folder: Path, actions: Path | None = None) -> int:
    """Print what in the catalogue would mislead a backtest; `actions` explain openings.

    Raises:
        Misconfigured: there is no day, or one or the file of actions cannot be read.
    """
    days, known = _days(folder), read_actions(actions) if actions else None
    with progress(console) as bar:
        task = bar.add_task("looking at days", total=len(days))

        def told() -> Iterator[tuple[date, BarColumns]]:
            for day, path in days:
                yield day, columnar.read(path)
                bar.advance(task)

        found = list(findings(told(), known))
    for kind in Kind:
        _list(console, [each for each in found if each.kind is kind])
    counts = Counter(each.kind for each in found)
    said = ", ".join(f"{count:,} × {kind}" for kind, count in counts.most_common())
    line(console, f"{folder}: {in_days(len(days))}, {said or 'nothing found'}")
    return exit_codes.DONE


def _days(folder: Path) -> list[tuple[date, Path]]:
    if days := list(columnar.days_in(folder)):
        return days
    raise Misconfigured(
        f"no day is in the catalogue {folder}: put one there, `ats data import FILE`"
    )


def _say(console: Console, imported: Imported) -> None:
    for said in imported.report.lines():
        line(console, said)
    name = imported.report.name
    for said in counted(imported.contradicted, name):
        line(console, f"{said}; left as it was, `--replace` takes the file's")


def _list(console: Console, found: Sequence[Finding]) -> None:
    for each in found[:MOST_SHOWN]:
        line(console, f"{each.day} {each.symbol:<12} {each.kind}: {each.said}")
    if len(found) > MOST_SHOWN:
        line(console, f"… and {len(found) - MOST_SHOWN:,} more: {found[0].kind}")


def in_days(count: int) -> str:
    """A number of days for a person."""
    return f"{count:,} day{'' if count == 1 else 's'}"


def line(console: Console, text: str) -> None:
    """Print one line, whatever characters are in it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def progress(console: Console) -> Progress:
    """A bar that is gone when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

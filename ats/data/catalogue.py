"""A folder of days: files of bars go in once, whatever they were called and however they overlap.

A bar that is already there is left as it is. One that says something else of the same minute is
left out and listed: nobody knows which is right, and results of yesterday must not change by
themselves. Whoever knows better says `replace`.
"""

from __future__ import annotations

import fcntl
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from ats.commands.market_file import look_at
from schemas.errors import Misconfigured, TryLater
from schemas.market import trading_day
from simulator.market import columnar
from simulator.market.bar_columns import PRICES, Bar
from simulator.market.bars import KEPT
from simulator.market.files import read_file
from simulator.market.replay import no_usable_row
from simulator.market.report import BadRow, Fault, FileReport

Progress = Callable[[str], None]
SAID: Final = (*PRICES, "volume")  # what a bar says of its symbol's minute


@dataclass(slots=True)
class Imported:
    """What came of one file.

    Attributes:
        report: What it held, with every row left out and why.
        added, known, replaced: Bars that are new, stood there already, or took another's place.
        contradicted: Rows that say something else than the catalogue, and were left out.
        days: The trading days of its bars.
    """

    report: FileReport
    added: int = 0
    known: int = 0
    replaced: int = 0
    contradicted: list[BadRow] = field(default_factory=list)
    days: set[date] = field(default_factory=set)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the catalogue for one writer; makes the folder.

    Raises:
        TryLater: another import is running.
        Misconfigured: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise Misconfigured(f"cannot write the catalogue {folder}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryLater(f"another import writes the catalogue {folder} now") from None
        yield


def take_in(
    path: Path, folder: Path, *, most_bad: float, replace: bool, tell: Progress = lambda _: None
) -> Imported:
    """Read one file and keep its bars, day by day; the caller holds the catalogue.

    A day is written whole or not at all, so an import that was killed is simply run again.

    Raises:
        Misconfigured: the file cannot be used, or the catalogue not be written.
    """
    look_at(path)
    tell(f"reading {path.name}")
    bars = read_file(path)
    report = bars.report(path.name, bars.bad)
    report.refuse_broken(most_bad)
    if not len(bars.good):
        raise Misconfigured(no_usable_row(path.name, bars.bad))
    imported = Imported(report)
    keep(
        folder,
        bars.good.bars(),
        imported,
        replace=replace,
        tell=lambda day: tell(f"{path.name}: {day}"),
    )
    return imported


def keep(
    folder: Path,
    bars: Iterable[Bar],
    imported: Imported,
    *,
    replace: bool,
    tell: Callable[[date], None] = lambda _: None,
) -> None:
    """Put bars into their days, each day whole or not at all; the caller holds the catalogue.

    Raises:
        Misconfigured: the catalogue cannot be read or written.
    """
    for day, own in sorted(_by_day(bars).items()):
        tell(day)
        _merge(folder / f"{day}{KEPT}", own, imported, replace=replace)
        imported.days.add(day)


def _by_day(bars: Iterable[Bar]) -> dict[date, list[Bar]]:
    found: dict[date, list[Bar]] = defaultdict(list)
    for bar in bars:
        found[trading_day(bar.start)].append(bar)
    return found


def _merge(path: Path, bars: Iterable[Bar], imported: Imported, *, replace: bool) -> None:
    kept = {_place(bar): bar for bar in columnar.read(path).bars()} if path.exists() else {}
    changed = False
    for bar in bars:
        before = kept.get(_place(bar))
        if before and _said(before) == _said(bar):
            imported.known += 1
            continue
        if before and not replace:
            imported.contradicted.append(_contradiction(bar, before))
            continue
        imported.added += before is None
        imported.replaced += before is not None
        kept[_place(bar)], changed = bar, True
    if changed:
        columnar.write(path, kept.values())


def _place(bar: Bar) -> tuple[str, int]:
    return bar.symbol, bar.start


def _said(bar: Bar) -> tuple[int, ...]:
    return tuple(getattr(bar, name) for name in SAID)


def _contradiction(bar: Bar, before: Bar) -> BadRow:
    name = next(each for each in SAID if getattr(bar, each) != getattr(before, each))
    said, kept = getattr(bar, name), getattr(before, name)
    return BadRow(
        bar.line,
        name,
        f"{bar.symbol} at {bar.start.ist():%Y-%m-%d %H:%M}: {said}, the catalogue has {kept}",
        Fault.REPEATED,
    )

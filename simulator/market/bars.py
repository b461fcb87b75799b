"""Reads recorded one-minute candles from CSV: in any known dialect, else strictly.

Good rows become bars; bad rows are listed, each with the reason.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import numpy as np

from schemas.errors import Misconfigured, Unreadable
from schemas.market import trading_day
from schemas.text import REPLACEMENT, clean
from schemas.units import Paise, Price, Quantity, UtcNs
from simulator.market.bar_columns import PRICES, Bar, BarColumns
from simulator.market.dialect import (
    MINUTE,
    SPELLINGS,
    in_words,
    length_of,
    moment_of,
    moment_text,
    places_of,
    symbol_of,
    whole_of,
)
from simulator.market.report import BadRow, Fault, FileReport
from simulator.market.session import market_session

COLUMNS: Final = ("symbol", "timestamp", "open", "high", "low", "close", "volume")
KEPT: Final = ".parquet"  # a day of `ats data import`
MAX_PRICE: Final = 10**9  # ten million rupees: more is a column mixed up
MAX_BAR_VOLUME: Final = 2**32 - 1  # the feed's day volume has 32 bits
MAX_SYMBOL: Final = 64  # characters; Dhan's longest are some 30
MAX_LINE: Final = 2**20  # characters; a packed file of some MB can hold a line of many GB
MOST_ROWS: Final = 10_000_000  # of one file, which take some 5 GB of memory


class LeftOut(Unreadable):
    """A row cannot be used; next: leave it out and list it."""

    def __init__(self, fault: Fault, reason: str, field: str) -> None:
        super().__init__(reason, field)
        self.fault = fault

    def row(self, line: int) -> BadRow:
        return BadRow(line, self.field, self.reason, self.fault)


@dataclass(slots=True)
class Bars:
    """What a file held, in the file's order.

    Attributes:
        rows: All that were not empty.
        symbol: Of a file without a column for it.
    """

    good: BarColumns = field(default_factory=lambda: BarColumns.of([]))
    bad: list[BadRow] = field(default_factory=list)
    rows: int = 0
    symbol: str = ""
    length: UtcNs | None = None

    def report(self, name: str, bad: Sequence[BadRow]) -> FileReport:
        """For a person; `bad` are the rows left out in the end."""
        length = in_words(self.length) if self.length else "1 minute (too few to be sure)"
        symbols = np.unique(self.good.place)
        return FileReport(
            name,
            self.rows,
            len(symbols),
            f"bars of {length}",
            tuple(bad),
            sum(map(self._unsorted, symbols.tolist())),
            self.symbol,
        )

    def _unsorted(self, place: int) -> int:
        own = self.good.start[self.good.place == place]
        return int((own < np.maximum.accumulate(own)).sum())


def read_file(path: Path) -> Bars:
    """Read a CSV file, gzipped when its name ends in `.gz`.

    Raises:
        Misconfigured: no such file, a broken archive, a header that lacks a column, or bars that
            are not of one minute.
    """
    with lines_of(path) as lines:
        return read_lines(lines, path.name, symbol_of(path))


@contextmanager
def lines_of(path: Path) -> Iterator[Iterable[str]]:
    """The lines of a text file, gzipped when its name ends in `.gz`.

    Raises:
        Misconfigured: it cannot be read, now or in the middle.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
            if path.suffix == ".gz"
            else (path.open(encoding="utf-8-sig", errors="replace", newline="")) as file
        ):
            yield _bounded(file, path.name)
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(f"cannot read the market file {path.name}: {error}") from None


def _bounded(file: IO[str], name: str) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise Misconfigured(
                f"the market file {name}: line {number} is longer than any row; is it a CSV file?"
            )
        yield line


def read_lines(lines: Iterable[str], name: str = "", symbol: str = "") -> Bars:
    """Read CSV text. Each line stands for itself, so a broken quote spoils one row, not the rest.

    `symbol` is whose the bars are when no column says it.

    Raises:
        Misconfigured: the header lacks a column, the rows are too many, or the bars are not of one
            minute.
    """
    numbered = enumerate(lines, start=1)
    at = _places(next(numbered, (1, ""))[1], name, symbol)
    bars, found = Bars(symbol="" if "symbol" in at else symbol), list[Bar]()
    for line, text in filled(numbered):
        bars.rows += 1
        if bars.rows > MOST_ROWS:
            raise Misconfigured(
                f"the market file {name} has more than {MOST_ROWS:,} rows: split it, for example "
                "by month"
            )
        try:
            found.append(_bar(line, text, at, symbol))
        except LeftOut as error:
            bars.bad.append(error.row(line))
    bars.length = _length(found, name)
    seen, good = dict[tuple[str, int], int](), list[Bar]()
    for bar in found:
        try:
            _check_start(bar)
            _check_first(bar, seen.setdefault((bar.symbol, bar.start), bar.line))
        except LeftOut as error:
            bars.bad.append(error.row(bar.line))
        else:
            good.append(bar)
    bars.good = BarColumns.of(good)
    bars.bad.sort(key=lambda row: row.line)
    return bars


def _length(bars: Iterable[Bar], name: str) -> UtcNs | None:
    """How long all the bars are, as far as they are enough to tell.

    Raises:
        Misconfigured: those of one symbol are not of one minute.
    """
    by_symbol: dict[str, list[Bar]] = defaultdict(list)
    for bar in bars:
        by_symbol[bar.symbol].append(bar)
    known = None
    for symbol, own in by_symbol.items():
        length = length_of([bar.start for bar in own])
        if length not in (None, MINUTE):
            raise Misconfigured(
                f"the market file {name}: the bars of {symbol} are {in_words(length)} long "
                f"(from line {own[0].line}); a market is played from bars of 1 minute"
            )
        known = known or length
    return known


def filled(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The numbered lines that are not blank."""
    return ((line, text) for line, text in numbered if text.strip())


def _places(header: str, name: str, symbol: str) -> Mapping[str, int]:
    at = places_of(header)
    wanted = [column for column in COLUMNS if column != "symbol" or not symbol]
    if missing := [column for column in wanted if column not in at]:
        raise Misconfigured(
            f"the market file {name}: its first line lacks the column {', '.join(missing)}; "
            f"expected {','.join(COLUMNS)} ({SPELLINGS})"
        )
    return at


def _bar(line: int, text: str, at: Mapping[str, int], symbol: str) -> Bar:
    cells = cells_of(text, at)
    symbol = cells.get("symbol", symbol)
    check_symbol(symbol)
    start = time_of("timestamp", moment_text(cells))
    opened, high, low, close = (price_of(name, cells[name]) for name in PRICES)
    if high < low:
        raise LeftOut(Fault.RANGE, f"high {high} is below low {low}", "high")
    for name, price in (("open", opened), ("close", close)):
        if not low <= price <= high:
            reason = f"{name} {price} is outside low {low} to high {high}"
            raise LeftOut(Fault.RANGE, reason, name)
    volume = volume_of("volume", cells["volume"])
    return Bar(line, symbol, start, opened, high, low, close, volume)


def is_symbol(text: str) -> bool:
    """Whether anything can be called so: printed as it is, and read as UTF-8 without loss."""
    return 0 < len(text) <= MAX_SYMBOL and text.isprintable() and REPLACEMENT not in text


def check_symbol(symbol: str) -> None:
    """Raises LeftOut when nothing can be called so."""
    if not is_symbol(symbol):
        reason = f"no symbol: {clean(symbol, MAX_SYMBOL)!r}" if symbol else "empty"
        raise LeftOut(Fault.SYMBOL, reason, "symbol")


def cells_of(text: str, at: Mapping[str, int]) -> dict[str, str]:
    """The cells of one line by column name, stripped; `at` says where each column stands.

    Raises:
        Unreadable: naming the missing column, or that the line is not CSV.
    """
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LeftOut(Fault.CELLS, f"not CSV: {error}", "line") from None
    for name, place in at.items():
        if place >= len(cells):
            reason = f"missing, the row has only {len(cells)} fields"
            raise LeftOut(Fault.CELLS, reason, name)
    return {name: cells[place].strip() for name, place in at.items()}


def time_of(name: str, text: str) -> UtcNs:
    """Raises LeftOut when the text is no time."""
    try:
        return moment_of(text)
    except (ValueError, OverflowError):
        raise LeftOut(
            Fault.TIME,
            f"not a time such as 2016-08-16 09:15:00+05:30, or an epoch: {text[:40]!r}",
            name,
        ) from None


def check_session(name: str, moment: UtcNs) -> None:
    """Raises LeftOut when the market is closed then."""
    if moment not in market_session(trading_day(moment)):
        reason = f"outside the session of 09:15 to 15:30: {moment.ist():%Y-%m-%d %H:%M:%S} IST"
        raise LeftOut(Fault.SESSION, reason, name)


def _check_start(bar: Bar) -> None:
    if bar.start % MINUTE:
        reason = f"not the start of a minute: {bar.start.ist():%H:%M:%S.%f} IST"
        raise LeftOut(Fault.MINUTE, reason, "timestamp")
    check_session("timestamp", bar.start)


def _check_first(bar: Bar, first: int) -> None:
    if first != bar.line:
        reason = f"second bar of {bar.symbol} at {bar.start.ist():%H:%M}, first on line {first}"
        raise LeftOut(Fault.REPEATED, reason, "timestamp")


def price_of(name: str, text: str) -> Price:
    """Read a price in rupees.

    Raises:
        Unreadable: not a whole number of paise, not above 0, or impossibly high.
    """
    try:
        paise = Paise.from_rupees(text)
    except ValueError as error:
        raise LeftOut(Fault.PRICE, str(error), name) from None
    if not 0 < paise <= MAX_PRICE:
        raise LeftOut(Fault.PRICE, f"impossible price {text[:40]!r}", name)
    return Price(paise)


def volume_of(name: str, text: str) -> Quantity:
    """Read a bar's volume in units.

    Raises:
        Unreadable: not a whole number from 0 to `MAX_BAR_VOLUME`.
    """
    try:
        volume = whole_of(text)
    except ValueError:
        volume = -1
    if not 0 <= volume <= MAX_BAR_VOLUME:
        raise LeftOut(
            Fault.VOLUME,
            f"not a whole number of units from 0 to {MAX_BAR_VOLUME}: {text[:40]!r}",
            name,
        )
    return Quantity(volume)

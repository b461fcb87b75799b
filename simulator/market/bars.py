"""Reads recorded one-minute candles from CSV, strictly.

Good rows become bars; bad rows are listed, each with the reason.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final

from schemas.errors import Misconfigured, Unreadable
from schemas.market import trading_day
from schemas.units import NS_PER_SECOND, Paise, Price, Quantity, UtcNs
from simulator.market.session import market_session

COLUMNS: Final = ("symbol", "timestamp", "open", "high", "low", "close", "volume")
PRICES: Final = ("open", "high", "low", "close")
MAX_PRICE: Final = 10**9  # ten million rupees: more is a column mixed up
MAX_BAR_VOLUME: Final = 2**32 - 1  # the feed's day volume has 32 bits
_MINUTE_NS: Final = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: the minute from `start`. `line` counts from 1, the header included."""

    line: int
    symbol: str
    start: UtcNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Quantity


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out; `line` counts from 1, the header included."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


@dataclass(slots=True)
class Bars:
    """What a file held, in the file's order."""

    good: list[Bar] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def read_file(path: Path) -> Bars:
    """Read a CSV file, gzipped when its name ends in `.gz`.

    Raises:
        Misconfigured: no such file, a broken archive, or a header without the columns of `COLUMNS`.
    """
    with lines_of(path) as lines:
        return read_lines(lines)


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
            else (path.open(encoding="utf-8-sig", errors="replace", newline="")) as lines
        ):
            yield lines
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(f"cannot read the market file {path.name}: {error}") from None


def read_lines(lines: Iterable[str]) -> Bars:
    """Read CSV text. Each line stands for itself, so a broken quote spoils one row, not the rest.

    Raises:
        Misconfigured: the header lacks a column.
    """
    numbered = enumerate(lines, start=1)
    at = _places(next(numbered, (1, ""))[1])
    bars = Bars()
    seen: dict[tuple[str, int], int] = {}
    for line, text in filled(numbered):
        try:
            bar = _bar(line, text, at)
            if first := seen.get((bar.symbol, bar.start)):
                raise Unreadable(
                    f"second bar of {bar.symbol} at {bar.start.ist():%H:%M}, first on line {first}",
                    "timestamp",
                )
        except Unreadable as error:
            bars.bad.append(BadRow(line, error.field, error.reason))
        else:
            seen[bar.symbol, bar.start] = line
            bars.good.append(bar)
    return bars


def days_of(bars: Iterable[Bar]) -> list[date]:
    """The trading days that `bars` touch, oldest first."""
    return sorted({trading_day(bar.start) for bar in bars})


def filled(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The numbered lines that are not blank."""
    return ((line, text) for line, text in numbered if text.strip())


def _places(header: str) -> Mapping[str, int]:
    names = [name.strip() for name in header.split(",")]
    if missing := [name for name in COLUMNS if name not in names]:
        raise Misconfigured(
            f"the market file's first line lacks the column {', '.join(missing)}: expected "
            f"{','.join(COLUMNS)}"
        )
    return {name: names.index(name) for name in COLUMNS}


def _bar(line: int, text: str, at: Mapping[str, int]) -> Bar:
    cells = cells_of(text, at)
    if not cells["symbol"]:
        raise Unreadable("empty", "symbol")
    start = _start(cells["timestamp"])
    opened, high, low, close = (price_of(name, cells[name]) for name in PRICES)
    if high < low:
        raise Unreadable(f"high {high} is below low {low}", "high")
    for name, price in (("open", opened), ("close", close)):
        if not low <= price <= high:
            raise Unreadable(f"{name} {price} is outside low {low} to high {high}", name)
    return Bar(
        line, cells["symbol"], start, opened, high, low, close, volume_of("volume", cells["volume"])
    )


def cells_of(text: str, at: Mapping[str, int]) -> dict[str, str]:
    """The cells of one line by column name, stripped; `at` says where each column stands.

    Raises:
        Unreadable: naming the missing column, or that the line is not CSV.
    """
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Unreadable(f"not CSV: {error}", "line") from None
    for name, place in at.items():
        if place >= len(cells):
            raise Unreadable(f"missing, the row has only {len(cells)} fields", name)
    return {name: cells[place].strip() for name, place in at.items()}


def _start(text: str) -> UtcNs:
    try:
        moment = datetime.fromisoformat(text)
        start = UtcNs.from_datetime(moment)
        session = market_session(trading_day(start))
    except (
        ValueError,
        OverflowError,
    ):  # the first and the last day of the calendar have no Indian neighbour
        raise Unreadable(
            f"not a time such as 2016-08-16T09:15:00+05:30: {text[:40]!r}", "timestamp"
        ) from None
    if start % _MINUTE_NS:
        raise Unreadable(f"not the start of a minute: {text[:40]!r}", "timestamp")
    if start not in session:
        raise Unreadable(f"outside the session of 09:15 to 15:30: {text[:40]!r}", "timestamp")
    return start


def price_of(name: str, text: str) -> Price:
    """Read a price in rupees.

    Raises:
        Unreadable: not a whole number of paise, not above 0, or impossibly high.
    """
    try:
        paise = Paise.from_rupees(text)
    except ValueError as error:
        raise Unreadable(str(error), name) from None
    if not 0 < paise <= MAX_PRICE:
        raise Unreadable(f"impossible price {text[:40]!r}", name)
    return Price(paise)


def volume_of(name: str, text: str) -> Quantity:
    """Read a bar's volume in units.

    Raises:
        Unreadable: not a whole number from 0 to `MAX_BAR_VOLUME`.
    """
    try:
        volume = int(text) if text.isascii() and text.isdigit() else -1
    except ValueError:  # more digits than Python reads at once
        volume = -1
    if not 0 <= volume <= MAX_BAR_VOLUME:
        raise Unreadable(
            f"not a whole number of units from 0 to {MAX_BAR_VOLUME}: {text[:40]!r}", name
        )
    return Quantity(volume)

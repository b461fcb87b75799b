"""Compare candles on `ats.candles` with those of a CSV.

The one that was played, or longer ones from elsewhere. Prices to the paisa, volume exactly. The
played file is read here once more, row by row independently of the simulator, so that one mistake
cannot hide in both; only the spelling of columns and times is known in one place.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle
from schemas.units import Paise, UtcNs
from simulator.market.dialect import moment_of, moment_text, places_of, symbol_of, whole_of
from simulator.market.session import market_session

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("timestamp", *PRICES, "volume")
_LINE: Final = re.compile(r"line (\d+),")


class Bar(NamedTuple):
    """Prices in paise, volume in shares."""

    open: int
    high: int
    low: int
    close: int
    volume: int


Bars = dict[tuple[str, UtcNs], Bar]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the candles compare; each list holds one line per candle at fault."""

    timeframe: Timeframe
    expected: int
    equal: int
    missing: tuple[str, ...]
    different: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def exact(self) -> bool:
        return self.equal == self.expected and not self.unexpected

    def lines(self, most: int = 5) -> list[str]:
        """What to tell a person."""
        lines = [f"{self.equal:,} of {self.expected:,} {self.timeframe} candles equal the file"]
        for name, rows in (
            ("missing", self.missing),
            ("different", self.different),
            ("not in the file", self.unexpected),
        ):
            lines += [f"{name}: {row}" for row in rows[:most]]
            lines += [f"{name}: {len(rows) - most:,} more"] if len(rows) > most else []
        return lines


@dataclass(frozen=True, slots=True)
class Reference:
    """A file of longer bars to compare with."""

    path: Path
    bars: Bars
    timeframe: Timeframe


def bars_of(path: Path, *, without: Container[int] = ()) -> Bars:
    """Read a candle CSV, gzipped when its name ends in `.gz`.

    The first of two rows of one bar counts. Rows on the lines `without` (from 1, the header
    included) are left out, and so is what no candle of the engine can equal: a row that cannot be
    read, or outside the session.

    Raises:
        Misconfigured: the file cannot be read, or its header lacks a column.
    """
    bars: Bars = {}
    try:
        with _opened(path) as lines:
            places = _places(path, next(lines, ""))
            symbol = symbol_of(path)
            for line, text in enumerate(lines, start=2):
                if line not in without and (row := _row(text, places, symbol)):
                    bars.setdefault(*row)
    except (OSError, EOFError, zlib.error) as error:
        raise Misconfigured(f"cannot read the candle file {path}: {error}") from None
    return bars


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _places(path: Path, header: str) -> Mapping[str, int]:
    at = places_of(header)
    if missing := [name for name in COLUMNS if name not in at]:
        raise Misconfigured(
            f"candle file {path}: its first line lacks the column {', '.join(missing)}"
        )
    return at


def _row(text: str, at: Mapping[str, int], symbol: str) -> tuple[tuple[str, UtcNs], Bar] | None:
    try:
        row = next(csv.reader([text], strict=True))
        cells = {name: row[place].strip() for name, place in at.items()}
        start = moment_of(moment_text(cells))
        opened, high, low, close = (int(Paise.from_rupees(cells[name])) for name in PRICES)
        bar = Bar(opened, high, low, close, whole_of(cells["volume"]))
        key = cells.get("symbol", symbol), start
        return (key, bar) if start in market_session(trading_day(start)) else None
    except (csv.Error, StopIteration, IndexError, ValueError, OverflowError):
        return None


def lines_named(bad_rows: Iterable[str]) -> frozenset[int]:
    """The lines of the rows that the simulator lists as unusable, such as `line 4, high: ...`."""
    return frozenset(int(found[1]) for row in bad_rows if (found := _LINE.match(row)))


def on_day(bars: Bars, day: date) -> Bars:
    return {key: bar for key, bar in bars.items() if trading_day(key[1]) == day}


def reference(path: Path, played: Bars) -> Reference:
    """Read a file of longer bars.

    Raises:
        Misconfigured: it cannot be read, its bars are of no length the engine makes, or nothing in
            it is of what is played.
    """
    bars = bars_of(path)
    if not overlap(bars, played):
        raise Misconfigured(
            f"candle file {path}: none of its symbols and days is in the market file"
        )
    return Reference(path, bars, timeframe_of(path, bars))


def timeframe_of(path: Path, bars: Bars) -> Timeframe:
    """How long the file's bars are: the smallest step between two of one symbol.

    Raises:
        Misconfigured: no two bars, or a length the engine does not make.
    """
    starts = sorted(bars)
    steps = {later - at for (symbol, at), (same, later) in pairwise(starts) if symbol == same}
    found = [timeframe for timeframe in Timeframe if timeframe.ns == min(steps, default=0)]
    if not found:
        known = ", ".join(Timeframe)
        raise Misconfigured(
            f"candle file {path}: its bars are of no length that the engine makes ({known})"
        )
    return found[0]


def overlap(other: Bars, played: Bars) -> Bars:
    """Those of `other` whose symbol and day were played."""
    days = {(symbol, trading_day(start)) for symbol, start in played}
    return {key: bar for key, bar in other.items() if (key[0], trading_day(key[1])) in days}


def compare(
    expected: Bars,
    candles: Iterable[Candle],
    symbols: Mapping[InstrumentId, str],
    timeframe: Timeframe = Timeframe.M1,
    *,
    of: Container[str] | None = None,
) -> Comparison:
    """Compare by (symbol, bar start) the candles of one timeframe.

    Of the symbols `of` only, unless it is None.
    """
    got = {
        (symbols.get(candle.instrument, str(candle.instrument)), candle.start): Bar(
            candle.open, candle.high, candle.low, candle.close, candle.volume
        )
        for candle in candles
        if candle.timeframe is timeframe and (of is None or symbols.get(candle.instrument) in of)
    }
    both = expected.keys() & got.keys()
    return Comparison(
        timeframe=timeframe,
        expected=len(expected),
        equal=sum(expected[key] == got[key] for key in both),
        missing=tuple(_name(key) for key in sorted(expected.keys() - got.keys())),
        different=tuple(
            f"{_name(k)}: file {expected[k]}, engine {got[k]}"
            for k in sorted(both)
            if expected[k] != got[k]
        ),
        unexpected=tuple(_name(key) for key in sorted(got.keys() - expected.keys())),
    )


def _name(key: tuple[str, UtcNs]) -> str:
    return f"{key[0]} {key[1].ist():%Y-%m-%d %H:%M}"

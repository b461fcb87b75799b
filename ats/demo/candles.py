"""Compare candles on `ats.candles` with those of a CSV: the one that was played, or longer ones from elsewhere.

Prices to the paisa, volume exactly. The played file is read here once more, independently of the simulator, so that one
mistake cannot hide in both.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TextIO

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle
from schemas.units import Paise, UtcNs

COLUMNS = ("symbol", "timestamp", "open", "high", "low", "close", "volume")


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


def open_csv(path: Path) -> TextIO:
    """Open a plain or gzipped CSV.

    Raises:
        Misconfigured: no such file.
    """
    try:
        return gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")
    except OSError as error:
        raise Misconfigured(f"market file {path}: {error.strerror}") from None


def bars_of(path: Path) -> Bars:
    """Read the good rows of a candle CSV; bad ones are the simulator's to report."""
    bars: Bars = {}
    with open_csv(path) as lines:
        for row in csv.DictReader(lines):
            try:
                start = UtcNs.from_datetime(datetime.fromisoformat(row["timestamp"]))
                opened, high, low, close = (
                    int(Paise.from_rupees(row[name])) for name in ("open", "high", "low", "close")
                )
                bars.setdefault((row["symbol"], start), Bar(opened, high, low, close, int(row["volume"])))
            except (KeyError, TypeError, ValueError):
                continue
    return bars


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
        raise Misconfigured(f"candle file {path}: its bars are of no length that the engine makes ({known})")
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
    """Compare by (symbol, bar start) the candles of one timeframe, and of the symbols `of` only unless it is None."""
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
            f"{_name(k)}: file {expected[k]}, engine {got[k]}" for k in sorted(both) if expected[k] != got[k]
        ),
        unexpected=tuple(_name(key) for key in sorted(got.keys() - expected.keys())),
    )


def _name(key: tuple[str, UtcNs]) -> str:
    return f"{key[0]} {key[1].ist():%Y-%m-%d %H:%M}"

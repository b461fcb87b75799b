"""Compare the 1-minute candles on `ats.candles` with those of the CSV that was played: prices to the paisa, volume exactly.

The file is read here once more, independently of the simulator, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TextIO

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Timeframe
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
        lines = [f"{self.equal:,} of {self.expected:,} one-minute candles equal the file"]
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


def compare(expected: Bars, candles: Iterable[Candle], symbols: Mapping[InstrumentId, str]) -> Comparison:
    """Compare by (symbol, bar start)."""
    got = {
        (symbols.get(candle.instrument, str(candle.instrument)), candle.start): Bar(
            candle.open, candle.high, candle.low, candle.close, candle.volume
        )
        for candle in candles
        if candle.timeframe is Timeframe.M1
    }
    both = expected.keys() & got.keys()
    return Comparison(
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

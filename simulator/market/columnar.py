"""Bars of one day as a Parquet file: what `ats data import` writes, read much faster than CSV.

Money is whole paise, times are nanoseconds since 1970 UTC, bars stand by symbol and then by time.
A file says in its own words that it is one of these; what it holds is checked again, since a disk
and a stranger can change it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import Misconfigured
from schemas.market import trading_day
from schemas.units import Price, Quantity, UtcNs
from simulator.market.bars import KEPT, MAX_BAR_VOLUME, MAX_PRICE, PRICES, Bar, Bars
from simulator.market.dialect import FIRST, LAST, MINUTE
from simulator.market.session import market_session

MOST_ROWS: Final = 20_000_000  # some 50,000 instruments; a larger number is a broken footer
MARK: Final = b"ats.bars"
VERSION: Final = b"1"
SCHEMA: Final = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in PRICES),
        pa.field("volume", pa.int64(), nullable=False),
    ],
    {MARK: VERSION},
)


def write(path: Path, bars: Iterable[Bar]) -> None:
    """Put a day's bars in the place of `path`, whole or not at all.

    Raises:
        Misconfigured: it cannot be written.
    """
    ordered = sorted(bars, key=lambda bar: (bar.symbol, bar.start))
    columns = {name: [getattr(bar, name) for bar in ordered] for name in SCHEMA.names}
    beside = path.with_name(f".{path.name}.new")
    try:
        pq.write_table(pa.table(columns, schema=SCHEMA), beside, compression="zstd")
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Misconfigured(f"cannot write {path}: {error}") from None


def read(path: Path) -> Bars:
    """A file of `write`; a bar's line is its place in the file, from 1.

    Raises:
        Misconfigured: it cannot be read, is none of ours, holds what `write` was never given, or
            is called by another day than its own.
    """
    table = _table(path, SCHEMA.names)
    columns = {name: table[name].to_numpy() for name in SCHEMA.names if name != "symbol"}
    symbols = table["symbol"].to_pylist()
    if wrong := _wrong(columns, symbols):
        raise Misconfigured(f"the market file {path.name}: row {wrong[0] + 1}: {wrong[1]}")
    _same_day(path, columns["start"])
    prices = (map(Price, columns[name].tolist()) for name in PRICES)
    starts = map(UtcNs, columns["start"].tolist())
    volumes = map(Quantity, columns["volume"].tolist())
    good = list(map(Bar, range(1, len(symbols) + 1), symbols, starts, *prices, volumes))
    return Bars(good, [], len(good), length=MINUTE)


def outline(path: Path) -> Mapping[str, int]:
    """How many bars of each symbol; nothing else is read.

    Raises:
        Misconfigured: it cannot be read, or is none of ours.
    """
    return Counter(_table(path, ["symbol"])["symbol"].to_pylist())


def _table(path: Path, columns: list[str]) -> pa.Table:
    try:
        return _opened(path).read(columns)
    except (OSError, pa.ArrowException) as error:
        raise Misconfigured(f"cannot read the market file {path.name}: {error}") from None


def _opened(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise Misconfigured(f"cannot read the market file {path.name}: {error}") from None
    schema = file.schema_arrow
    if (schema.metadata or {}).get(MARK) != VERSION or not schema.equals(SCHEMA):
        raise Misconfigured(
            f"the market file {path.name} is a Parquet file, but none that `ats data import` "
            "wrote; save it as CSV and import that"
        )
    if file.metadata.num_rows > MOST_ROWS:
        raise Misconfigured(
            f"the market file {path.name} says it has {file.metadata.num_rows:,} rows; "
            f"{MOST_ROWS:,} are the most"
        )
    return file


def _wrong(columns: dict[str, np.ndarray], symbols: list[str]) -> tuple[int, str] | None:
    """The first row that `write` was never given, and why; None where all are good."""
    start, low, high = columns["start"], columns["low"], columns["high"]
    if not len(start):
        return None
    if not FIRST <= start[0] < LAST:
        return 0, "not of the years 1990 to 2099"
    checks = {
        "a price is impossible": np.any(
            [(columns[name] <= 0) | (columns[name] > MAX_PRICE) for name in PRICES], axis=0
        ),
        "open or close is outside low to high": np.any(
            [(columns[name] < low) | (columns[name] > high) for name in ("open", "close")], axis=0
        ),
        "the volume is impossible": (columns["volume"] < 0) | (columns["volume"] > MAX_BAR_VOLUME),
        "not a minute of the day's session": _elsewhere(start),
        "a second bar of the same minute, or out of order": _unordered(start, symbols),
    }
    found = [(int(np.argmax(bad)), why) for why, bad in checks.items() if bad.any()]
    return min(found, key=lambda each: each[0], default=None)  # of one row the first check


def _elsewhere(start: np.ndarray) -> np.ndarray:
    session = market_session(trading_day(int(start[0])))
    wrong: np.ndarray = (start < session.open) | (start >= session.close) | (start % MINUTE != 0)
    return wrong


def _unordered(start: np.ndarray, symbols: list[str]) -> np.ndarray:
    rows = zip(symbols, start.tolist(), strict=True)
    return np.array([False, *(later <= before for before, later in pairwise(rows))])


def _same_day(path: Path, start: np.ndarray) -> None:
    """A day that was copied to another one's name would be played, and merged, as that one."""
    named = _day_of(path)
    if named and len(start) and (own := trading_day(int(start[0]))) != named:
        raise Misconfigured(
            f"the market file {path.name} holds bars of {own}: give it that day's name"
        )


def days_in(folder: Path) -> Iterator[tuple[date, Path]]:
    """The days of a catalogue, oldest first; what else stands in the folder is nobody's."""
    for path in sorted(folder.glob(f"*{KEPT}")):
        if day := _day_of(path):
            yield day, path


def _day_of(path: Path) -> date | None:
    """The day that a file is called by, as `ats data import` writes it; None for other names."""
    try:
        day = date.fromisoformat(path.stem)
    except ValueError:
        return None
    return day if f"{day}" == path.stem else None

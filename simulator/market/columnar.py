"""Bars of one day as a Parquet file: what `ats data import` writes, read much faster than CSV.

Money is whole paise, times are nanoseconds since 1970 UTC, bars stand by symbol and then by time.
A file says in its own words that it is one of these; what it holds is checked again, since a disk
and a stranger can change it.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import Misconfigured
from schemas.market import trading_day
from simulator.market.bar_columns import PRICES, Bar, BarColumns, Flags, Numbers
from simulator.market.bars import KEPT, MAX_BAR_VOLUME, MAX_PRICE, is_symbol
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
        beside.unlink(missing_ok=True)  # of an import that was killed, or somebody's link
        table = pa.table(columns, schema=SCHEMA)
        pq.write_table(table, beside, compression="zstd", write_page_checksum=True)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Misconfigured(f"cannot write {path}: {error}") from None


def read(path: Path) -> BarColumns:
    """The bars of a file of `write`, by symbol and then by time; a line is its place, from 1.

    Raises:
        Misconfigured: it cannot be read, is none of ours, holds what `write` was never given, or
            is called by another day than its own.
    """
    table = _table(path, SCHEMA.names)
    coded = table["symbol"].dictionary_encode().unify_dictionaries()
    named = _named(path, coded.chunk(0).dictionary) if coded.num_chunks else []
    codes = np.concatenate([np.zeros(0, np.int32), *(each.indices for each in coded.chunks)])
    ordered = sorted(named)
    rank = np.array([bisect_left(ordered, each) for each in named], np.int64)
    figures = {name: table[name].to_numpy() for name in SCHEMA.names if name != "symbol"}
    line = np.arange(1, len(codes) + 1)
    found = BarColumns(ordered, rank[codes], line, **figures)
    if wrong := _wrong(found):
        raise Misconfigured(f"the market file {path.name}: row {wrong[0] + 1}: {wrong[1]}")
    _same_day(path, found.start)
    return found


def outline(path: Path) -> Mapping[str, int]:
    """How many bars of each symbol; nothing else is read.

    Raises:
        Misconfigured: it cannot be read, or is none of ours.
    """
    counts = _table(path, ["symbol"])["symbol"].value_counts()
    return dict(zip(_named(path, counts.field(0)), counts.field(1).to_pylist(), strict=True))


def _named(path: Path, symbols: pa.Array) -> list[str]:
    try:
        named: list[str] = symbols.to_pylist()
    except UnicodeDecodeError:
        named = [""]
    if not all(map(is_symbol, named)):
        raise Misconfigured(f"the market file {path.name} holds a symbol that no import takes")
    return named


def _table(path: Path, columns: list[str]) -> pa.Table:
    try:
        return _opened(path).read(columns)
    except (OSError, pa.ArrowException) as error:
        raise Misconfigured(f"cannot read the market file {path.name}: {error}") from None


def _opened(path: Path) -> pq.ParquetFile:
    if not path.is_file():  # opening a FIFO would wait for a writer, for ever
        raise Misconfigured(f"cannot read the market file {path.name}: it is no file")
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
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


def _wrong(bars: BarColumns) -> tuple[int, str] | None:
    """The first row that `write` was never given, and why; None where all are good."""
    if not len(bars.start):
        return None
    if not FIRST <= bars.start[0] < LAST:
        return 0, "not of the years 1990 to 2099"
    prices = np.array([getattr(bars, name) for name in PRICES])
    ends = np.array([bars.open, bars.close])
    checks = {
        "a price is impossible": np.any((prices <= 0) | (prices > MAX_PRICE), axis=0),
        "open or close is outside low to high": np.any(
            (ends < bars.low) | (ends > bars.high), axis=0
        ),
        "the volume is impossible": (bars.volume < 0) | (bars.volume > MAX_BAR_VOLUME),
        "not a minute of the day's session": _elsewhere(bars.start),
        "a second bar of the same minute, or out of order": _unordered(bars),
    }
    found = [(int(np.argmax(bad)), why) for why, bad in checks.items() if bad.any()]
    return min(found, key=lambda each: each[0], default=None)  # of one row the first check


def _elsewhere(start: Numbers) -> Flags:
    session = market_session(trading_day(int(start[0])))
    wrong: Flags = (start < session.open) | (start >= session.close) | (start % MINUTE != 0)
    return wrong


def _unordered(bars: BarColumns) -> Flags:
    symbols, times = np.diff(bars.place), np.diff(bars.start)
    return np.append(False, (symbols < 0) | ((symbols == 0) & (times <= 0)))


def _same_day(path: Path, start: Numbers) -> None:
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

"""Microseconds of CPU for a bar of a recorded day: a gzipped CSV beside a day of `ats data`.

Run: python -m benchmarks.catalogue. The day has fifty symbols, each of them traded in every minute.
Both are read by what every command with `--market` reads with, then played through to the prints of
a backtest; the best of seven rounds counts.
"""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from ats.data.catalogue import take_in
from backtest.market import markets_of
from schemas.units import NS_PER_MINUTE, UtcNs
from simulator.market.bars import KEPT
from simulator.market.files import read_file
from simulator.market.session import market_session

DAY = date(2026, 11, 27)
SYMBOLS = 50
ROUNDS = 7


def rows() -> Iterator[str]:
    """A day as vendors write it: by symbol, rupees with two places, times with their offset."""
    yield "symbol,timestamp,open,high,low,close,volume\n"
    dice, session = random.Random(7), market_session(DAY)
    for number in range(SYMBOLS):
        price = dice.randint(10_000, 400_000)
        for start in range(session.open, session.close, NS_PER_MINUTE):
            moves = (0, *(dice.randint(-90, 90) for _ in range(3)))
            opened, *_, closed = made = [price + move for move in moves]
            told = (opened, max(made), min(made), closed)
            figures = ",".join(f"{paise / 100:.2f}" for paise in told)
            yield f"S{number:03},{UtcNs(start).ist():%Y-%m-%d %H:%M:%S+05:30},{figures},"
            yield f"{dice.randint(100, 90_000)}\n"
            price = max(closed, 5_000)


def played(path: Path) -> object:
    """All prints of a market file, as a backtest plays them."""
    return list(markets_of(path))


def cost(read: Callable[[Path], object], path: Path, bars: int) -> float:
    """Microseconds of CPU for one bar."""
    started = time.process_time()
    read(path)
    return (time.process_time() - started) / bars * 1e6


def main() -> None:
    with TemporaryDirectory() as folder:
        packed = Path(folder) / "day.csv.gz"
        with gzip.open(packed, "wt") as file:
            file.writelines(rows())
        bars = take_in(packed, Path(folder), most_bad=0, replace=False).added
        day = Path(folder) / f"{DAY}{KEPT}"
        for name, read in (("read and checked", read_file), ("made prints of", played)):
            csv, kept = (
                min(cost(read, path, bars) for _ in range(ROUNDS)) for path in (packed, day)
            )
            said = f"gzipped CSV {csv:.1f} µs a bar, catalogue {kept:.2f}"
            print(f"{name}: {said}: {csv / kept:.0f} times less")
    print(f"{bars:,} bars, load {os.getloadavg()[0]:.0f} at the end")


if __name__ == "__main__":
    main()

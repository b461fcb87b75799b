"""Ticks a second through the pure engine from records' bytes, beside today's peers.

Run: python -m benchmarks.engine [--record]. Work: bars of 1, 5 and 15 minutes and on each EMA 9,
21, 50, 200, RSI, MACD, ATR, Bollinger, ADX with DI, Supertrend, Stochastic, OBV and VWAP, with
their values after every tick on both sides; what bars close with is measured apart. Everyone's
indicators have seen 40 bars before they are timed (TA-Lib's 250). Everyone runs in each of three
rounds and the best counts. Read the ratios of ticks per CPU-second: the machine and what else runs
on it hardly change them. `make bench-peers` installs talipp; `benchmarks._peers` finds the rest.
`--record` keeps the run and writes its figures into docs/streams.md.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path

import numpy as np
import psutil

from benchmarks._engine_report import Measured, Row, Run, markdown, save
from benchmarks._indicators import Pace, Stopwatch
from benchmarks._peers import Peer, peers
from schemas.binary import Rows
from schemas.market import Timeframe, trading_day
from schemas.ticks import HEADER, TICK, Batch, encode
from schemas.units import UtcNs
from simulator.market.session import market_session
from streams.columns.names import Indicator
from streams.engine import snapshot
from streams.engine.compiled import StructArray
from streams.engine.config import EngineConfig
from streams.engine.engine import HISTORICAL_BAR, Engine
from streams.engine.machine import warm_up
from streams.engine.messages import Writer

BATCHES = (1, 16, 25, 128, 1_024, 4_096)
INSTRUMENTS = (50, 500, 5_000)
INDICATORS = (
    "ema",
    "rsi",
    "macd",
    "atr",
    "bollinger",
    "adx",
    "supertrend",
    "stochastic",
    "obv",
    "vwap",
)
TIMEFRAMES = (Timeframe.M1, Timeframe.M5, Timeframe.M15)
SESSION = market_session(trading_day(1_704_171_600 * 10**9))
ROUNDS = 3
SECONDS = 0.3  # of CPU for each figure
PEER_SECONDS = 0.7
MOST_RECORDS = 30_000
STRIDE = 64  # records between two looks at the clock
WARM = 40  # bars, as many as the peers get


def market(count: int, instruments: int) -> Rows:
    """Two ticks a second for each instrument, as Dhan conflates a liquid share.

    After a session's end the next day begins.
    """
    rows = np.zeros(count, TICK)
    chance = np.random.default_rng(1)
    seconds, session = (
        np.arange(count) // (2 * instruments),
        (SESSION.close - SESSION.open) // 10**9,
    )
    rows["exchange_time"] = SESSION.open + (seconds // session * 86_400 + seconds % session) * 10**9
    rows["clock"] = rows["exchange_time"]
    rows["segment"], rows["security_id"] = 1, 1 + chance.permutation(count) % instruments
    rows["price"] = 100_000 + np.cumsum(chance.integers(-3, 4, count)) % 20_000
    rows["volume"] = np.arange(count)
    return rows


def batches(rows: Rows, size: int) -> Iterator[Batch]:
    for end in range(size, len(rows) + 1, size):
        yield Batch(UtcNs(rows["clock"][end - 1]), UtcNs(0), 0, rows[end - size : end])


def past(instruments: int) -> StructArray:
    """`WARM` bars of every instrument and timeframe from the sessions before."""
    session, places = SESSION.close - SESSION.open, [*Timeframe]
    parts = []
    for timeframe in TIMEFRAMES:
        days, within = np.divmod(np.arange(-WARM, 0), session // timeframe.ns)
        bars = np.zeros((instruments, WARM), HISTORICAL_BAR)
        bars["key"] = (1 << 32 | 1 + np.arange(instruments))[:, None]
        bars["timeframe"] = places.index(timeframe)
        bars["start"] = SESSION.open + days * Timeframe.D1.ns + within * timeframe.ns
        bars["close"] = 100_000 + 15 * (np.arange(WARM) % 7)
        bars["open"], bars["high"], bars["low"], bars["volume"] = (
            bars["close"],
            bars["close"] + 30,
            bars["close"] - 20,
            1_000,
        )
        parts.append(bars.reshape(-1))
    return np.concatenate(parts)


def records(rows: Rows, size: int) -> list[bytes]:
    return [encode(batch) for batch in islice(batches(rows, size), MOST_RECORDS)]


def rate(rows: Rows, before: StructArray, work: list[bytes], *, values: bool) -> Pace:
    """How fast a warm engine is: every instrument known, its indicators ready."""
    engine = Engine(EngineConfig(TIMEFRAMES, frozenset(map(Indicator, INDICATORS))), rules=())
    engine.seed(before)
    engine.apply(encode(Batch(UtcNs(rows["clock"][len(rows) - 1]), UtcNs(0), 0, rows)))
    each_tick = (lambda _: None) if values else None
    watch, done = Stopwatch(), 0
    for first in range(0, len(work), STRIDE):
        part = work[first : first + STRIDE]
        with watch:
            for record in part:
                engine.apply(record, each_tick)
        done += sum(map(len, part))
        if watch.cpu > SECONDS:
            break
    headers = min(first + STRIDE, len(work)) * HEADER.itemsize
    return watch.pace((done - headers) // TICK.itemsize)


def best(paces: Iterable[Pace]) -> Pace:
    return max(paces, key=lambda pace: pace.cpu)


def measure(instruments: int, installed: list[Peer], rounds: int) -> Measured:
    """All contenders, one after another in each round."""
    rows, before = market(1_000_000, instruments), past(instruments)
    first, rest = rows[: len(rows) // 4], rows[len(rows) // 4 :]
    work = {size: records(rest, size) for size in BATCHES}
    ours: dict[tuple[int, bool], list[Pace]] = {}
    theirs: dict[str, list[Pace]] = {}
    for _ in range(rounds):
        for size, values in product(BATCHES, (True, False)):
            pace = rate(first, before, work[size], values=values)
            ours.setdefault((size, values), []).append(pace)
        for peer in (each for each in installed if instruments <= each.most):
            name, pace = peer.run(instruments, PEER_SECONDS)
            theirs.setdefault(name, []).append(pace)
    return Measured(
        instruments,
        {name: best(paces) for name, paces in theirs.items()},
        [Row(size, best(ours[size, True]), best(ours[size, False])) for size in BATCHES],
    )


def whole_engine() -> None:
    """Measure the engine with all timeframes and indicators of 5,000 instruments.

    Prints the messages of a minute's turn, memory and snapshots.
    """
    rows = market(1_000_000, 5_000)
    engine = Engine()
    writer = Writer(engine)
    before = psutil.Process().memory_info().rss
    gc.collect()
    gc.freeze()  # as the service does
    turns = []
    for batch in batches(rows, 10_000):
        closed, fired = engine.process(batch)
        started = time.process_time()  # of our own core: what else runs would show as ours
        written = len(list(writer.outputs(closed, fired)))
        if written > 5_000:
            turns.append((time.process_time() - started) / written * 1e6)
    grown = (psutil.Process().memory_info().rss - before) / 1e6
    started = time.perf_counter()
    dumped = snapshot.dump(engine)
    between = time.perf_counter()
    snapshot.restore(dumped, engine.rules)
    restored = time.perf_counter() - between
    print("5,000 instruments, seven timeframes, all indicators:")
    print(f"  a message in {min(turns):.1f} µs at the turn of a minute")
    print(
        f"  snapshot of {len(dumped) / 1e6:.0f} MB: written in {between - started:.2f} s, read in "
        f"{restored:.2f} s"
    )
    print(f"  {grown:.0f} MB resident more than before the engine")


def machine(kernels: float) -> dict[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.0f}",
        "python": platform.python_version(),
        "numba": version("numba"),
        "kernels": f"{kernels:.1f} s",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{platform.machine()} {named[0]}" if named else platform.machine()


def main() -> None:
    options = ArgumentParser(description="The pure engine beside its peers.")
    options.add_argument("--record", action="store_true", help="keep the run, write it into docs")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="the best of these counts")
    given = options.parse_args()
    started = time.process_time()
    warm_up()
    about = machine(time.process_time() - started) | {"rounds": str(given.rounds)}
    installed, missing = peers()
    for name, reason in missing.items():
        print(f"without {name}: {reason}")
    run = Run(about, missing, [measure(each, installed, given.rounds) for each in INSTRUMENTS])
    print(markdown(run))
    if given.record:
        save(run)
    whole_engine()


if __name__ == "__main__":
    main()

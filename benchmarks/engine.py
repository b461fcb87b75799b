"""Ticks a second through the pure engine, beside nautilus_trader, talipp and pandas with TA-Lib.

Run: python -m benchmarks.engine Work: bars of 1, 5 and 15 minutes and on each EMA 9, 21, 50, 200,
RSI, MACD, ATR, Bollinger, ADX with DI, Supertrend, Stochastic, OBV and VWAP. Everyone's indicators
have seen 40 bars before they are timed. Read the ratios; absolute figures are of the machine and of
what else runs on it. Figures are the best of three runs. `make bench-peers` installs the first two
peers.
"""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from schemas.binary import Rows
from schemas.market import Timeframe, trading_day
from schemas.ticks import TICK, Batch
from schemas.units import UtcNs
from simulator.market.session import market_session
from streams.columns.names import Indicator
from streams.engine import snapshot
from streams.engine.compiled import StructArray
from streams.engine.config import EngineConfig
from streams.engine.engine import HISTORICAL_BAR, Engine
from streams.engine.machine import warm_up
from streams.engine.messages import Writer

BATCHES = (1, 16, 128, 1_024, 4_096)
INSTRUMENTS = (50, 500, 5_000)
PEERS = {"nautilus": "nautilus_trader", "talipp": "talipp", "pandas": ""}
PEERS_FOLDER = Path(sys.prefix) / "peers"
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
SECONDS = 0.4
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


def rate(rows: Rows, before: StructArray, size: int, *, provisional: bool) -> float:
    """Ticks a second of a warm engine: every instrument known, its indicators ready."""
    engine = Engine(EngineConfig(TIMEFRAMES, frozenset(map(Indicator, INDICATORS))), rules=())
    engine.seed(before)
    cut = len(rows) // 4
    engine.process(Batch(UtcNs(rows["clock"][cut - 1]), UtcNs(0), 0, rows[:cut]))
    work = list(batches(rows[cut:], size))
    started, done = time.perf_counter(), 0
    for batch in work:
        engine.process(batch, (lambda _: None) if provisional else None)
        done += size
        if time.perf_counter() - started > SECONDS:
            break
    return done / (time.perf_counter() - started)


def best(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(3))


def of_peers(instruments: int) -> dict[str, float]:
    """Ticks a second of every peer that is installed."""
    found = {}
    for peer, library in PEERS.items():
        if library and not (PEERS_FOLDER / library).is_dir():
            print(f"without {peer}: install it with `make bench-peers`")
            continue
        environment = dict(os.environ) | ({"PYTHONPATH": str(PEERS_FOLDER)} if library else {})
        command = [sys.executable, "-m", "benchmarks._indicators", peer, str(instruments), "1.5"]
        done = [
            subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
            for _ in range(3)
        ]
        found[peer] = max(float(each.stdout) for each in done)
    return found


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


def main() -> None:
    started = time.perf_counter()
    warm_up()
    print(f"kernels ready after {time.perf_counter() - started:.1f} s")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    for instruments in INSTRUMENTS:
        rows, before = market(1_000_000, instruments), past(instruments)
        peers = of_peers(instruments)
        print(
            f"{instruments} instruments; "
            + ", ".join(f"{name} {value:,.0f} ticks/s" for name, value in peers.items())
        )
        print(
            f"{'batch':>6} {'values':>12} {'ticks/s':>12} {'µs/batch':>9}  "
            + " ".join(f"{'× ' + name:>10}" for name in peers)
        )
        for size in BATCHES:
            for provisional, name in ((True, "provisional"), (False, "finals")):
                ours = best(partial(rate, rows, before, size, provisional=provisional))
                ratios = " ".join(f"{ours / value:>10,.0f}" for value in peers.values())
                print(
                    f"{size:>6} {name:>12} {ours:>12,.0f} {size / ours * 1e6:>9,.1f}  {ratios}",
                    flush=True,
                )
        print()
    whole_engine()


if __name__ == "__main__":
    main()

"""Ticks a second through the engine, beside a loop of plain Python and TA-Lib. Run: python -m benchmarks.engine (half a minute).

Read the ratios; absolute figures are of the machine and of what else runs on it. One figure is the best of three runs.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable

import numpy as np
import talib

from schemas.market import session_of, trading_day
from schemas.ticks import TICK, Batch, Rows
from schemas.units import UtcNs
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.machine import warm_up
from streams.engine.messages import Writer

BATCHES = (1, 16, 128, 1_024, 4_096)
INSTRUMENTS = (50, 500, 5_000)
SESSION = session_of(trading_day(1_704_171_600 * 10**9))
FEWEST_SECONDS = 0.25


def market(count: int, instruments: int) -> Rows:
    """Two ticks a second and instrument, as Dhan conflates a liquid share; a session's end begins anew the next day."""
    rows = np.zeros(count, TICK)
    chance = np.random.default_rng(1)
    seconds, session = np.arange(count) // (2 * instruments), (SESSION.close - SESSION.open) // 10**9
    rows["exchange_time"] = SESSION.open + (seconds // session * 86_400 + seconds % session) * 10**9
    rows["clock"] = rows["exchange_time"]
    rows["segment"], rows["security_id"] = 1, 1 + chance.permutation(count) % instruments
    rows["price"] = 100_000 + np.cumsum(chance.integers(-3, 4, count)) % 20_000
    rows["volume"] = np.arange(count)
    return rows


def rate(rows: Rows, batch: int, *, messages: bool) -> float:
    """Ticks a second of a warm engine: every instrument known."""
    engine = Engine(EngineConfig(provisional=False))
    writer = Writer(engine)
    engine.process(Batch(UtcNs(rows["clock"][0]), UtcNs(0), 0, rows[: len(rows) // 4]))
    batches = [
        Batch(UtcNs(rows["clock"][end - 1]), UtcNs(0), 0, rows[end - batch : end])
        for end in range(len(rows) // 4 + batch, len(rows) + 1, batch)
    ]
    started, done = time.perf_counter(), 0
    for each in batches:
        closed, fired = engine.process(each)
        if messages:
            writer.outputs(closed, fired)
        done += batch
        if done % 1_024 < batch and time.perf_counter() - started > FEWEST_SECONDS:
            break
    return done / (time.perf_counter() - started)


def plain_python(rows: Rows) -> float:
    """What one would write first: dictionaries of bars, TA-Lib over the last hundred closes at every tick.

    Its indicators are those of the forming bar, the engine's those of closed bars: the usual way to write it does more
    work than the question needs, and that is part of what the ratio shows.
    """
    history = {int(security): [100_000.0] * 100 for security in np.unique(rows["security_id"])}
    bars: dict[int, list[float]] = {}
    ticks = zip(rows["security_id"].tolist(), rows["exchange_time"].tolist(), rows["price"].tolist(), strict=True)
    started, done = time.perf_counter(), 0
    for security, moment, price in ticks:
        minute = moment // (60 * 10**9)
        bar = bars.get(security)
        if bar is None or bar[0] != minute:
            if bar is not None:
                history[security] = [*history[security][1:], bar[3]]
            bar = bars[security] = [minute, price, price, price]
        bar[1:] = max(bar[1], price), min(bar[2], price), price
        now = np.array([*history[security], price], float)
        talib.EMA(now, 9), talib.EMA(now, 21), talib.RSI(now, 14)
        done += 1
        if done % 64 == 0 and time.perf_counter() - started > FEWEST_SECONDS:
            break
    return done / (time.perf_counter() - started)


def best(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(3))


def main() -> None:
    started = time.perf_counter()
    warm_up()
    print(f"kernels ready after {time.perf_counter() - started:.1f} s")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print(f"{'instruments':>11} {'batch':>6} {'engine':>12} {'+ messages':>12} {'× plain Python':>15}   ticks/s")
    for instruments in INSTRUMENTS:
        rows = market(1_000_000, instruments)
        base = best(lambda rows=rows: plain_python(rows))  # type: ignore[misc]
        for batch in BATCHES:
            pure = best(lambda rows=rows, batch=batch: rate(rows, batch, messages=False))  # type: ignore[misc]
            whole = best(lambda rows=rows, batch=batch: rate(rows, batch, messages=True))  # type: ignore[misc]
            print(f"{instruments:>11} {batch:>6} {pure:>12,.0f} {whole:>12,.0f} {pure / base:>15,.0f}")
        print(f"{instruments:>11} {'–':>6} {base:>12,.0f} {'':>12} {1:>15}   plain Python\n")


if __name__ == "__main__":
    main()

"""The work of `benchmarks.engine` in other libraries.

It runs as a process of its own, because those libraries want other versions than we do: `python -m
benchmarks._indicators PEER INSTRUMENTS SECONDS` prints ticks a second. The work: bars of 1, 5 and
15 minutes, and on each EMA 9, 21, 50, 200, RSI, MACD, ATR, Bollinger, ADX with DI, Supertrend,
Stochastic, OBV and VWAP, as far as the peer has them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SPANS = (60, 300, 900)
WINDOW = 250  # bars TA-Lib is given: as many as its EMA 200 needs
BATCH = 1_024
WARM = 40  # bars each indicator has seen before it is timed: in its warm-up it does less

Bar = list[float]  # open, high, low, close, volume, bucket


def ticks(instruments: int) -> Iterator[tuple[int, int, int, int]]:
    """Rows of (instrument, second, price, volume), two ticks a second for each instrument.

    The engine's benchmark has the same.
    """
    chance = np.random.default_rng(1)
    count = 1_000_000
    order = (chance.permutation(count) % instruments).tolist()
    prices = (100_000 + np.cumsum(chance.integers(-3, 4, count)) % 20_000).tolist()
    for nth in range(count):
        yield order[nth], nth // (2 * instruments), prices[nth], 1


def warmed(indicator: Callable[[Bar], None]) -> Callable[[Bar], None]:
    for nth in range(WARM):
        price = 100_000.0 + 15 * (nth % 7)
        indicator([price, price + 30, price - 20, price + 5, 1_000.0, nth - WARM - 1.0])
    return indicator


def each_tick(
    indicators: Callable[[], Callable[[Bar], None]], instruments: int, seconds: float
) -> float:
    """Only the peer's own work is timed; forming bars are made beforehand.

    It sees every one, for a value per tick.
    """
    update = [[warmed(indicators()) for _ in SPANS] for _ in range(instruments)]
    bars: list[list[Bar]] = [[[0.0] * 5 + [-1.0] for _ in SPANS] for _ in range(instruments)]
    source, spent, done = ticks(instruments), 0.0, 0
    while spent < seconds:
        work = []
        for (instrument, second, price, volume), _ in zip(source, range(BATCH), strict=False):
            for span, bar, into in zip(SPANS, bars[instrument], update[instrument], strict=True):
                if bar[5] != second // span:
                    bar[:] = [price, price, price, price, 0, second // span]
                bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
                bar[4] += volume
                work.append((into, bar.copy()))
        started = time.perf_counter()
        for into, bar in work:
            into(bar)
        spent += time.perf_counter() - started
        done += len(work) // len(SPANS)
    return done / spent


def nautilus(instruments: int, seconds: float) -> float:
    """Its own compiled indicators, without Supertrend and ADX, which it has not, and VWAP, which
    wants datetimes.

    It has no peek, so each forming bar counts as a bar.
    """
    from nautilus_trader import indicators as n  # noqa: PLC0415 (installed on demand)

    def fresh() -> Callable[[Bar], None]:
        closes = [n.ExponentialMovingAverage(period).update_raw for period in (9, 21, 50, 200)]
        closes += [
            n.RelativeStrengthIndex(14).update_raw,
            n.MovingAverageConvergenceDivergence(12, 26).update_raw,
        ]
        ranges = [
            n.AverageTrueRange(14).update_raw,
            n.BollingerBands(20, 2.0).update_raw,
            n.Stochastics(14, 3).update_raw,
        ]
        direction, balance = n.DirectionalMovement(14).update_raw, n.OnBalanceVolume(0).update_raw

        def update(bar: Bar) -> None:
            for close in closes:
                close(bar[3])
            for range_ in ranges:
                range_(bar[1], bar[2], bar[3])
            direction(bar[1], bar[2])
            balance(bar[0], bar[3], bar[4])

        return update

    return each_tick(fresh, instruments, seconds)


def talipp(instruments: int, seconds: float) -> float:
    """Its peek: the last value is replaced."""
    from talipp import indicators as t  # noqa: PLC0415 (installed on demand)
    from talipp.ohlcv import OHLCV  # noqa: PLC0415

    def fresh() -> Callable[[Bar], None]:
        closes = [
            *(t.EMA(period) for period in (9, 21, 50, 200)),
            t.RSI(14),
            t.MACD(12, 26, 9),
            t.BB(20, 2),
        ]
        bars = [t.ATR(14), t.ADX(14, 14), t.SuperTrend(10, 3), t.Stoch(14, 3), t.OBV(), t.VWAP()]
        last = [-1.0]

        def update(bar: Bar) -> None:
            whole = OHLCV(*bar[:5])
            grows = last[0] != bar[5]
            last[0] = bar[5]
            for each in closes:
                (each.add if grows else each.update)(bar[3])
            for each in bars:
                (each.add if grows else each.update)(whole)

        return update

    return each_tick(fresh, instruments, seconds)


def pandas(instruments: int, seconds: float) -> float:
    """Batches by groupby, then TA-Lib for each instrument that had a tick, and each timeframe."""
    import pandas as pd  # noqa: PLC0415 (imports slowly)
    import talib as t  # noqa: PLC0415

    past = np.full((instruments, len(SPANS), 5, WINDOW), 100_000.0)
    past[:, :, :, ::2] += 100
    buckets = np.full((instruments, len(SPANS)), -1)
    source, started, done = ticks(instruments), time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        rows = [row for row, _ in zip(source, range(BATCH), strict=False)]
        frame = pd.DataFrame(rows, columns=["instrument", "second", "price", "volume"])
        for place, span in enumerate(SPANS):
            groups = frame.groupby(["instrument", frame["second"] // span])
            bars = groups.agg(
                open=("price", "first"), high=("price", "max"), low=("price", "min"),
                close=("price", "last"),
                volume=("volume", "sum"),
            )  # fmt: skip
            for (instrument, bucket), bar in zip(bars.index, bars.to_numpy(float), strict=True):
                _take(past[instrument, place], bar, buckets[instrument, place] != bucket)
                buckets[instrument, place] = bucket
                _indicators(t, past[instrument, place])
        done += len(rows)
    return done / (time.perf_counter() - started)


def _take(window: Any, bar: Any, grows: bool) -> None:
    if grows:
        window[:, :-1] = window[:, 1:]
        window[:, -1] = bar
        return
    window[1, -1], window[2, -1] = max(window[1, -1], bar[1]), min(window[2, -1], bar[2])
    window[3, -1] = bar[3]
    window[4, -1] += bar[4]


def _indicators(t: Any, window: Any) -> None:
    _, high, low, close, volume = window
    for period in (9, 21, 50, 200):
        t.EMA(close, period)
    (
        t.RSI(close, 14),
        t.MACD(close),
        t.BBANDS(close, 20, 2, 2),
        t.OBV(close, volume),
        t.VWAP(high, low, close, volume),
    )
    t.ATR(high, low, close, 14), t.ADX(high, low, close, 14), t.PLUS_DI(high, low, close, 14)
    (
        t.MINUS_DI(high, low, close, 14),
        t.SUPERTREND(high, low, close, 10, 3.0),
        t.STOCH(high, low, close, 14, 3, 0, 3, 0),
    )


if __name__ == "__main__":
    peer, instruments, seconds = sys.argv[1:]
    print(
        {"nautilus": nautilus, "talipp": talipp, "pandas": pandas}[peer](
            int(instruments), float(seconds)
        )
    )

"""The work of `benchmarks.engine` in other libraries.

It runs as a process of its own, also under interpreters that have nothing of ours: `python
benchmarks/_indicators.py PEER INSTRUMENTS SECONDS` prints ticks per CPU-second and per second as
JSON. The work: bars of 1, 5 and 15 minutes, and on each EMA 9, 21, 50, 200, RSI, MACD, ATR,
Bollinger, ADX with DI, Supertrend, Stochastic, OBV and VWAP after every tick, as far as the peer
has them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

SPANS = (60, 300, 900)
WINDOW = 250  # bars TA-Lib is given: as many as its EMA 200 needs
BATCH = 1_024
WARM = 40  # bars each indicator has seen before it is timed: in its warm-up it does less

Bar = list[float]  # open, high, low, close, volume, bucket


class Pace(NamedTuple):
    """Ticks per CPU-second, and per second of the clock on the wall."""

    cpu: float
    wall: float


class Stopwatch:
    """CPU time and time on the wall, summed over what is timed."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time() - self._cpu
        self.wall += time.perf_counter() - self._wall

    def pace(self, done: int) -> Pace:
        return Pace(done / self.cpu, done / self.wall)


def tick_table(instruments: int) -> Any:
    """Rows of (instrument, second, price, volume), two ticks a second for each instrument.

    The engine's benchmark has the same.
    """
    chance = np.random.default_rng(1)
    count = 1_000_000
    order = chance.permutation(count) % instruments
    prices = 100_000 + np.cumsum(chance.integers(-3, 4, count)) % 20_000
    nth = np.arange(count)
    return np.column_stack([order, nth // (2 * instruments), prices, np.ones(count, np.int64)])


def ticks(instruments: int) -> Iterator[list[int]]:
    """The same, one after another."""
    yield from tick_table(instruments).tolist()


def warmed(indicator: Callable[[Bar], None]) -> Callable[[Bar], None]:
    for nth in range(WARM):
        price = 100_000.0 + 15 * (nth % 7)
        indicator([price, price + 30, price - 20, price + 5, 1_000.0, nth - WARM - 1.0])
    return indicator


def each_tick(
    indicators: Callable[[], Callable[[Bar], None]], instruments: int, seconds: float
) -> Pace:
    """Only the peer's own work is timed; forming bars are made beforehand.

    It sees every one, for a value per tick.
    """
    update = [[warmed(indicators()) for _ in SPANS] for _ in range(instruments)]
    bars: list[list[Bar]] = [[[0.0] * 5 + [-1.0] for _ in SPANS] for _ in range(instruments)]
    source, watch, done = ticks(instruments), Stopwatch(), 0
    while watch.cpu < seconds:
        work = []
        for (instrument, second, price, volume), _ in zip(source, range(BATCH), strict=False):
            for span, bar, into in zip(SPANS, bars[instrument], update[instrument], strict=True):
                if bar[5] != second // span:
                    bar[:] = [price, price, price, price, 0, second // span]
                bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
                bar[4] += volume
                work.append((into, bar.copy()))
        with watch:
            for into, bar in work:
                into(bar)
        done += len(work) // len(SPANS)
    return watch.pace(done)


def nautilus(instruments: int, seconds: float) -> Pace:
    """NautilusTrader 2: compiled indicators, without Supertrend and ADX, which it has not.

    It has no peek, so each forming bar counts as a bar.
    """
    from nautilus_trader import indicators as n  # noqa: PLC0415 (installed on demand)

    def fresh() -> Callable[[Bar], None]:
        closes = [n.ExponentialMovingAverage(period).update_raw for period in (9, 21, 50, 200)]
        closes += [
            n.RelativeStrengthIndex(14).update_raw,
            n.MovingAverageConvergenceDivergence(12, 26, 9).update_raw,
            n.BollingerBands(20, 2.0).update_raw,
        ]
        ranges = [
            n.AverageTrueRange(14).update_raw,
            n.Stochastics(14, 3, 3).update_raw,
        ]
        movement, balance = n.DirectionalMovement(14).update_raw, n.OnBalanceVolume().update_raw
        average = n.VolumeWeightedAveragePrice().update_raw

        def update(bar: Bar) -> None:
            _, high, low, price, volume, _ = bar
            for close in closes:
                close(price)
            for range_ in ranges:
                range_(high, low, price)
            movement(high, low)
            balance(price, volume)
            average(price, volume)

        return update

    return each_tick(fresh, instruments, seconds)


def talipp(instruments: int, seconds: float) -> Pace:
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


def talib_stream(instruments: int, seconds: float) -> Pace:
    """TA-Lib's handles: `peek` for a forming bar, `update` once it is final."""
    t: Any = import_module("talib.stream")  # only this peer needs it
    close: Any = 100_000.0 + 15 * (np.arange(WINDOW) % 7)
    high, low, volume = close + 30, close - 20, np.full(WINDOW, 1_000.0)

    def fresh() -> Callable[[Bar], None]:
        closes = [t.EMA(close, period) for period in (9, 21, 50, 200)]
        closes += [t.RSI(close, 14), t.MACD(close, 12, 26, 9), t.BBANDS(close, 20, 2, 2)]
        ranges = [of(high, low, close, 14) for of in (t.ATR, t.ADX, t.PLUS_DI, t.MINUS_DI)]
        ranges += [
            t.SUPERTREND(high, low, close, 10, 3.0),
            t.STOCH(high, low, close, 14, 3, 0, 3, 0),
        ]
        balance, average = t.OBV(close, volume), t.VWAP(high, low, close, volume)
        last: list[Bar] = []

        def of_all(method: str) -> Callable[[Bar], None]:
            of_close, of_range = ([getattr(o, method) for o in group] for group in (closes, ranges))
            of_balance, of_average = getattr(balance, method), getattr(average, method)

            def call(bar: Bar) -> None:
                _, high, low, price, volume, _ = bar
                for each in of_close:
                    each(price)
                for each in of_range:
                    each(high, low, price)
                of_balance(price, volume)
                of_average(high, low, price, volume)

            return call

        peek, commit = of_all("peek"), of_all("update")

        def update(bar: Bar) -> None:
            if last and last[0][5] != bar[5]:
                commit(last[0])
            last[:] = [bar]
            peek(bar)

        return update

    return each_tick(fresh, instruments, seconds)


def pandas(instruments: int, seconds: float) -> Pace:
    """Batches by groupby, then TA-Lib for each instrument that had a tick, and each timeframe.

    It has one value per batch of 1,024 ticks and instrument, not one per tick.
    """
    import pandas as pd  # noqa: PLC0415 (imports slowly)
    import talib as t  # noqa: PLC0415

    past = np.full((instruments, len(SPANS), 5, WINDOW), 100_000.0)
    past[:, :, :, ::2] += 100
    buckets = np.full((instruments, len(SPANS)), -1)
    source, watch, done = ticks(instruments), Stopwatch(), 0
    while watch.cpu < seconds:
        rows = [row for row, _ in zip(source, range(BATCH), strict=False)]
        with watch:
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
    return watch.pace(done)


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


PEERS = {
    "nautilus": (nautilus, "nautilus-trader"),
    "talib": (talib_stream, "TA-Lib"),
    "talipp": (talipp, "talipp"),
    "pandas": (pandas, "pandas"),
}


if __name__ == "__main__":
    peer, instruments, seconds = sys.argv[1:]
    run, package = PEERS[peer]
    pace = run(int(instruments), float(seconds))
    print(json.dumps(pace._asdict() | {"version": version(package)}))

"""Indicators over the last bars, and the sums that the next bar completes.

Sums cover all but the newest bar and are made anew at each commit: sums of whole paise are exact,
and a provisional value costs no walk over the window. `n` is the number of bars committed before
this one; formulas are those of TA-Lib (`streams.engine.indicators`).
"""

from __future__ import annotations

import numpy as np

from streams.engine.compiled import FloatArray, IntArray, inner
from streams.engine.layout import (
    AT_BOLLINGER,
    AT_CLOSE,
    AT_DONCHIAN,
    AT_HIGH,
    AT_LOW,
    AT_MFI,
    AT_ROC,
    AT_SMA,
    AT_STOCHASTIC,
    AT_VOLUME,
    AT_WILLIAMS,
    AT_WMA,
    BARS,
    BIT_BOLLINGER,
    BIT_DONCHIAN,
    BIT_MFI,
    BIT_ROC,
    BIT_SMA,
    BIT_STOCHASTIC,
    BIT_WILLIAMS,
    BIT_WMA,
    CLOSE_10,
    CLOSES,
    DIFFERENCES_19,
    HIGH_13,
    HIGH_19,
    HIGHS,
    INFLOW_13,
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    LAST_TYPICAL,
    LOW_13,
    LOW_19,
    LOWS,
    OUTFLOW_13,
    RAW_1,
    RAW_2,
    RING,
    SLOW_1,
    SLOW_2,
    SQUARES_19,
    SUM_19,
    SUM_49,
    TYPICAL_19,
    WEIGHTED_19,
)


@inner
def windowed(wanted: int, n: int, s: FloatArray, out: FloatArray) -> None:
    """Averages, bands and sums over the last bars.

    Bollinger's deviation is that of the population.
    """
    close = out[AT_CLOSE]
    if wanted & BIT_SMA:
        if n >= 19:
            out[AT_SMA] = (s[SUM_19] + close) / 20.0
        if n >= 49:
            out[AT_SMA + 1] = (s[SUM_49] + close) / 50.0
    if wanted & BIT_WMA and n >= 19:
        out[AT_WMA] = (s[WEIGHTED_19] + 20.0 * close) / 210.0
    if wanted & BIT_BOLLINGER and n >= 19:
        # sums of differences from the last close are small whole numbers, hence exact
        step = close - s[LAST_CLOSE]
        total, squares = s[DIFFERENCES_19] + step, s[SQUARES_19] + step * step
        deviation = np.sqrt(max(20.0 * squares - total * total, 0.0)) / 20.0
        middle = (s[SUM_19] + close) / 20.0
        out[AT_BOLLINGER] = middle + 2.0 * deviation
        out[AT_BOLLINGER + 1] = middle
        out[AT_BOLLINGER + 2] = middle - 2.0 * deviation
    if wanted & BIT_ROC and n >= 10:
        out[AT_ROC] = (close / s[CLOSE_10] - 1.0) * 100.0
    if wanted & BIT_MFI and n >= 14:
        typical = out[AT_HIGH] + out[AT_LOW] + close
        flow = typical / 3.0 * out[AT_VOLUME]
        inflow = s[INFLOW_13] + (flow if typical > s[LAST_TYPICAL] else 0.0)
        outflow = s[OUTFLOW_13] + (flow if typical < s[LAST_TYPICAL] else 0.0)
        out[AT_MFI] = 100.0 * (inflow / (inflow + outflow)) if inflow + outflow >= 1.0 else 0.0


@inner
def channels(wanted: int, n: int, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """Highest highs and lowest lows: Donchian 20, Williams %R 14, slow stochastic 14, 3, 3."""
    high, low, close = out[AT_HIGH], out[AT_LOW], out[AT_CLOSE]
    if wanted & BIT_DONCHIAN and n >= 19:
        top, bottom = max(s[HIGH_19], high), min(s[LOW_19], low)
        out[AT_DONCHIAN], out[AT_DONCHIAN + 1], out[AT_DONCHIAN + 2] = (
            top,
            (top + bottom) / 2.0,
            bottom,
        )
    if n < 13:
        return
    top, bottom = max(s[HIGH_13], high), min(s[LOW_13], low)
    span = (top - bottom) / 100.0
    if wanted & BIT_WILLIAMS:
        out[AT_WILLIAMS] = (close - top) / span if span != 0 else 0.0
    if wanted & BIT_STOCHASTIC:
        raw = (close - bottom) / span if span != 0 else 0.0
        slow = (s[RAW_2] + s[RAW_1] + raw) / 3.0
        if n >= 17:
            out[AT_STOCHASTIC], out[AT_STOCHASTIC + 1] = (
                slow,
                (s[SLOW_2] + s[SLOW_1] + slow) / 3.0,
            )
        if commit:
            s[RAW_2], s[RAW_1], s[SLOW_2], s[SLOW_1] = s[RAW_1], raw, s[SLOW_1], slow


@inner
def cci(n: int, s: FloatArray, prices: IntArray, out: FloatArray) -> float:
    """CCI 20, in whole thirds of paise up to the last division."""
    typical = out[AT_HIGH] + out[AT_LOW] + out[AT_CLOSE]
    total = s[TYPICAL_19] + typical
    distance = 20.0 * typical - total
    deviation = abs(distance)
    for back in range(1, RING):
        at = n - back
        deviation += abs(
            20.0 * (prices[HIGHS + at % RING] + prices[LOWS + at % RING] + prices[at % CLOSES])
            - total
        )
    return 20.0 * distance / (0.015 * deviation) if deviation != 0 else 0.0


@inner
def push_bar(n: int, s: FloatArray, prices: IntArray, volumes: FloatArray, out: FloatArray) -> None:
    """Put the final bar into the rings."""
    prices[n % CLOSES] = int(out[AT_CLOSE])
    prices[HIGHS + n % RING] = int(out[AT_HIGH])
    prices[LOWS + n % RING] = int(out[AT_LOW])
    volumes[n % RING] = out[AT_VOLUME]
    s[LAST_CLOSE], s[LAST_HIGH], s[LAST_LOW] = out[AT_CLOSE], out[AT_HIGH], out[AT_LOW]
    s[BARS] = n + 1


@inner
def precompute(wanted: int, n: int, s: FloatArray, prices: IntArray, volumes: FloatArray) -> None:
    """Make the sums that the next bar completes.

    Over at most 19, 13 or 49 bars that end with bar `n`.
    """
    last = prices[n % CLOSES]
    total = weighted = differences = squares = typical = 0
    top_13 = top_19 = 0
    bottom_13 = bottom_19 = np.int64(1) << 40
    for back in range(min(n + 1, RING - 1)):
        at = n - back
        close, high, low = prices[at % CLOSES], prices[HIGHS + at % RING], prices[LOWS + at % RING]
        total += close
        weighted += (RING - 1 - back) * close
        differences += close - last
        squares += (close - last) * (close - last)
        typical += high + low + close
        top_19, bottom_19 = max(top_19, high), min(bottom_19, low)
        if back < 13:
            top_13, bottom_13 = top_19, bottom_19
    s[SUM_19], s[WEIGHTED_19], s[DIFFERENCES_19], s[SQUARES_19], s[TYPICAL_19] = (
        total,
        weighted,
        differences,
        squares,
        typical,
    )
    s[HIGH_13], s[LOW_13], s[HIGH_19], s[LOW_19] = top_13, bottom_13, top_19, bottom_19
    if wanted & BIT_SMA:
        for back in range(RING - 1, min(n + 1, CLOSES - 1)):
            total += prices[(n - back) % CLOSES]
        s[SUM_49] = total
    if wanted & BIT_ROC and n >= 9:
        s[CLOSE_10] = prices[(n - 9) % CLOSES]
    if wanted & BIT_MFI:
        money_flow(n, s, prices, volumes)


@inner
def money_flow(n: int, s: FloatArray, prices: IntArray, volumes: FloatArray) -> None:
    """Money flow in and out over the 13 bars that end with bar `n`.

    Each bar counts against the bar before it.
    """
    inflow = outflow = 0.0
    later = prices[HIGHS + n % RING] + prices[LOWS + n % RING] + prices[n % CLOSES]
    s[LAST_TYPICAL] = later
    for back in range(min(n, 13)):
        at = n - back - 1
        earlier = prices[HIGHS + at % RING] + prices[LOWS + at % RING] + prices[at % CLOSES]
        flow = later / 3.0 * volumes[(at + 1) % RING]
        if later > earlier:
            inflow += flow
        elif later < earlier:
            outflow += flow
        later = earlier
    s[INFLOW_13], s[OUTFLOW_13] = inflow, outflow

"""Indicators over the last bars, and the sums that the next bar completes.

Sums cover all but the newest bar and are made anew at each commit: sums of whole paise are exact,
and a provisional value costs no walk over the window. `n` is the number of bars committed before
this one; formulas and arguments are those of `streams.engine.indicators`.
"""

from __future__ import annotations

import numpy as np

from streams.engine.compiled import FloatArray, IntArray, inlined, inner
from streams.engine.lanes import (
    BarLanes,
    Lanes,
    get,
    keep,
    larger,
    magnitude,
    put,
    select,
    smaller,
    square_root,
)
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
    TYPICALS,
    WEIGHTED_19,
)

_NAN = np.nan


@inlined
def windowed(wanted: int, n: Lanes, s: int, bar: BarLanes, out: int) -> None:
    """Averages, bands and sums over the last bars.

    Bollinger's deviation is that of the population.
    """
    close, twenty = bar.close, n >= 19.0
    if wanted & BIT_SMA:
        put(out, AT_SMA, select(twenty, (get(s, SUM_19) + close) / 20.0, _NAN))
        put(out, AT_SMA + 1, select(n >= 49.0, (get(s, SUM_49) + close) / 50.0, _NAN))
    if wanted & BIT_WMA:
        put(out, AT_WMA, select(twenty, (get(s, WEIGHTED_19) + 20.0 * close) / 210.0, _NAN))
    if wanted & BIT_BOLLINGER:
        # sums of differences from the last close are small whole numbers, hence exact
        step = close - get(s, LAST_CLOSE)
        total, squares = get(s, DIFFERENCES_19) + step, get(s, SQUARES_19) + step * step
        deviation = square_root(larger(20.0 * squares - total * total, 0.0)) / 20.0
        middle = (get(s, SUM_19) + close) / 20.0
        put(out, AT_BOLLINGER, select(twenty, middle + 2.0 * deviation, _NAN))
        put(out, AT_BOLLINGER + 1, select(twenty, middle, _NAN))
        put(out, AT_BOLLINGER + 2, select(twenty, middle - 2.0 * deviation, _NAN))
    if wanted & BIT_ROC:
        put(out, AT_ROC, select(n >= 10.0, (close / get(s, CLOSE_10) - 1.0) * 100.0, _NAN))
    if wanted & BIT_MFI:
        put(out, AT_MFI, select(n >= 14.0, mfi(s, bar), _NAN))


@inlined
def mfi(s: int, bar: BarLanes) -> Lanes:
    """MFI 14."""
    typical, last = bar.high + bar.low + bar.close, get(s, LAST_TYPICAL)
    flow = typical / 3.0 * bar.volume
    inflow = get(s, INFLOW_13) + select(typical > last, flow, 0.0)
    outflow = get(s, OUTFLOW_13) + select(typical < last, flow, 0.0)
    moved = inflow + outflow
    return select(moved >= 1.0, 100.0 * (inflow / moved), 0.0)


@inlined
def channels(wanted: int, n: Lanes, s: int, bar: BarLanes, out: int, lane: int) -> None:  # noqa: PLR0917 (kernels take no names)
    """Highest highs and lowest lows: Donchian 20, Williams %R 14, slow stochastic 14, 3, 3."""
    if wanted & BIT_DONCHIAN:
        top, bottom = larger(get(s, HIGH_19), bar.high), smaller(get(s, LOW_19), bar.low)
        put(out, AT_DONCHIAN, select(n >= 19.0, top, _NAN))
        put(out, AT_DONCHIAN + 1, select(n >= 19.0, (top + bottom) / 2.0, _NAN))
        put(out, AT_DONCHIAN + 2, select(n >= 19.0, bottom, _NAN))
    top, bottom = larger(get(s, HIGH_13), bar.high), smaller(get(s, LOW_13), bar.low)
    span = (top - bottom) / 100.0
    if wanted & BIT_WILLIAMS:
        value = select(span == 0.0, 0.0, (bar.close - top) / span)
        put(out, AT_WILLIAMS, select(n >= 13.0, value, _NAN))
    if wanted & BIT_STOCHASTIC:
        raw = select(span == 0.0, 0.0, (bar.close - bottom) / span)
        slow = (get(s, RAW_2) + get(s, RAW_1) + raw) / 3.0
        slowest = (get(s, SLOW_2) + get(s, SLOW_1) + slow) / 3.0
        put(out, AT_STOCHASTIC, select(n >= 17.0, slow, _NAN))
        put(out, AT_STOCHASTIC + 1, select(n >= 17.0, slowest, _NAN))
        if lane >= 0:
            keep(s, RAW_2, get(s, RAW_1), lane)
            keep(s, RAW_1, select(n >= 13.0, raw, 0.0), lane)
            keep(s, SLOW_2, get(s, SLOW_1), lane)
            keep(s, SLOW_1, select(n >= 13.0, slow, 0.0), lane)


@inlined
def cci(s: int, bar: BarLanes) -> Lanes:
    """CCI 20, in whole thirds of paise up to the last division."""
    typical = bar.high + bar.low + bar.close
    total = get(s, TYPICAL_19) + typical
    distance = 20.0 * typical - total
    deviation = magnitude(distance)
    for nth in range(RING - 1):
        deviation = deviation + magnitude(get(s, TYPICALS + nth) - total)
    return select(deviation == 0.0, 0.0, 20.0 * distance / (0.015 * deviation))


@inner
def push_bar(n: int, s: FloatArray, prices: IntArray, volumes: FloatArray, out: FloatArray) -> None:
    """Put the final bar into the rings."""
    prices[n % CLOSES] = int(out[AT_CLOSE])
    prices[HIGHS + n % RING] = int(out[AT_HIGH])
    prices[LOWS + n % RING] = int(out[AT_LOW])
    volumes[n % RING] = out[AT_VOLUME]
    s[LAST_CLOSE], s[LAST_HIGH], s[LAST_LOW] = out[AT_CLOSE], out[AT_HIGH], out[AT_LOW]
    s[TYPICALS + n % (RING - 1)] = 20.0 * (out[AT_HIGH] + out[AT_LOW] + out[AT_CLOSE])
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

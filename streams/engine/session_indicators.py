"""Indicators of an instrument's day: VWAP, opening range, pivots."""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.units import NS_PER_SECOND
from streams.engine.compiled import FloatArray, IntArray, inner
from streams.engine.layout import (
    ANCHOR,
    AT_PIVOT,
    AT_RANGE,
    AT_VWAP,
    BEFORE_HIGH,
    BEFORE_LAST,
    BEFORE_LOW,
    BIT_PIVOT,
    BIT_RANGE,
    BIT_VWAP,
    DAY_OPEN,
    DAY_SQUARES,
    DAY_TURNOVER,
    DAY_VOLUME,
    DAY_WHOLE,
    HIGH,
    LOW,
    RANGE_HIGH,
    RANGE_LOW,
    SQUARES,
    START,
    TICKS,
    TURNOVER,
    VOLUME,
)

# Crabel (1990), Day Trading with Short Term Price Patterns
OPENING_RANGE: Final = 15 * 60 * NS_PER_SECOND


@inner
def compute_day(  # noqa: PLR0917 (kernels take no names)
    wanted: int, live: IntArray, day: FloatArray, forming: bool, end: int, out: FloatArray
) -> None:
    """Values of the instrument's day at a bar that ends at `end`.

    Session VWAP, opening range, pivots. `forming` counts the open 1-minute bar in. All need a day
    that was watched from its open on, pivots the day before too. VWAP's bands are two
    volume-weighted standard deviations. Pivots are the floor traders': Person (2004), A Complete
    Guide to Technical Trading Tactics, ch. 6.
    """
    forming = forming and live[TICKS] > 0
    if wanted & BIT_VWAP and day[DAY_WHOLE] > 0:
        volume, turnover, squares = day[DAY_VOLUME], day[DAY_TURNOVER], day[DAY_SQUARES]
        if forming:
            volume, turnover, squares = (
                volume + live[VOLUME],
                turnover + live[TURNOVER],
                squares + live[SQUARES],
            )
        if volume > 0:
            mean = turnover / (3.0 * volume)
            deviation = np.sqrt(max(squares / (9.0 * volume) - mean * mean, 0.0))
            out[AT_VWAP] = live[ANCHOR] + mean
            out[AT_VWAP + 1] = live[ANCHOR] + (mean + 2.0 * deviation)
            out[AT_VWAP + 2] = live[ANCHOR] + (mean - 2.0 * deviation)
    ends = live[DAY_OPEN] + OPENING_RANGE
    if wanted & BIT_RANGE and day[DAY_WHOLE] > 0 and end >= ends:
        high, low = day[RANGE_HIGH], day[RANGE_LOW]
        if forming and live[START] < ends:
            high = max(high, live[HIGH]) if not np.isnan(high) else float(live[HIGH])
            low = min(low, live[LOW]) if not np.isnan(low) else float(live[LOW])
        out[AT_RANGE], out[AT_RANGE + 1] = high, low
    if wanted & BIT_PIVOT:
        high, low = day[BEFORE_HIGH], day[BEFORE_LOW]
        pivot = (high + low + day[BEFORE_LAST]) / 3.0
        out[AT_PIVOT] = pivot
        out[AT_PIVOT + 1], out[AT_PIVOT + 2] = 2.0 * pivot - low, 2.0 * pivot - high
        out[AT_PIVOT + 3], out[AT_PIVOT + 4] = pivot + (high - low), pivot - (high - low)

"""Indicators of an instrument's day: VWAP, opening range, pivots."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from schemas.units import NS_PER_SECOND
from streams.engine.compiled import FloatArray, IntArray, inlined
from streams.engine.lanes import Lanes, put, select
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
    TURNOVER,
    VOLUME,
)

# Crabel (1990), Day Trading with Short Term Price Patterns
OPENING_RANGE: Final = 15 * 60 * NS_PER_SECOND


class DayValues(NamedTuple):
    """In a kernel: what an instrument's day has come to, NaN where unknown.

    The opening range may be one of a range that is not over yet.
    """

    vwap: float
    vwap_upper: float
    vwap_lower: float
    range_high: float
    range_low: float
    pivot: float
    pivot_r1: float
    pivot_s1: float
    pivot_r2: float
    pivot_s2: float


@inlined
def day_values(wanted: int, live: IntArray, day: FloatArray, forming: bool) -> DayValues:
    """Session VWAP, opening range, pivots.

    `forming` counts the open 1-minute bar in. All need a day that was watched from its open on,
    pivots the day before too. VWAP's bands are two volume-weighted standard deviations. Pivots are
    the floor traders': Person (2004), A Complete Guide to Technical Trading Tactics, ch. 6.
    """
    vwap = upper = lower = np.nan
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
            vwap = live[ANCHOR] + mean
            upper = live[ANCHOR] + (mean + 2.0 * deviation)
            lower = live[ANCHOR] + (mean - 2.0 * deviation)
    top = bottom = np.nan
    if wanted & BIT_RANGE and day[DAY_WHOLE] > 0:
        top, bottom = day[RANGE_HIGH], day[RANGE_LOW]
        if forming and live[START] < live[DAY_OPEN] + OPENING_RANGE:
            top = max(top, live[HIGH]) if not np.isnan(top) else float(live[HIGH])
            bottom = min(bottom, live[LOW]) if not np.isnan(bottom) else float(live[LOW])
    high, low = day[BEFORE_HIGH], day[BEFORE_LOW]
    pivot = (high + low + day[BEFORE_LAST]) / 3.0
    return DayValues(
        vwap,
        upper,
        lower,
        top,
        bottom,
        pivot,
        2.0 * pivot - low,
        2.0 * pivot - high,
        pivot + (high - low),
        pivot - (high - low),
    )


@inlined
def write_day(wanted: int, values: DayValues, range_known: Lanes, out: int) -> None:
    """Write them for each timeframe; the opening range where the bar does not end before it."""
    if wanted & BIT_VWAP:
        put(out, AT_VWAP, values.vwap)
        put(out, AT_VWAP + 1, values.vwap_upper)
        put(out, AT_VWAP + 2, values.vwap_lower)
    if wanted & BIT_RANGE:
        put(out, AT_RANGE, select(range_known > 0.0, values.range_high, np.nan))
        put(out, AT_RANGE + 1, select(range_known > 0.0, values.range_low, np.nan))
    if wanted & BIT_PIVOT:
        put(out, AT_PIVOT, values.pivot)
        put(out, AT_PIVOT + 1, values.pivot_r1)
        put(out, AT_PIVOT + 2, values.pivot_s1)
        put(out, AT_PIVOT + 3, values.pivot_r2)
        put(out, AT_PIVOT + 4, values.pivot_s2)

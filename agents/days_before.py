"""What an instrument's daily bars say of the days before: extremes, volume, volatility. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import talib

from schemas.inputs import DailyBars
from schemas.market_context import DaysBefore

PERIOD: Final = 14  # days of an average true range, as everywhere here
AVERAGED: Final = 20  # days of volume: a month of sessions
LEAST_RANKED: Final = 40  # days: a percentile of fewer says nothing


def days_before(bars: DailyBars) -> DaysBefore | None:
    """The days before `bars.trading_date`; None where there is none."""
    count = sum(day < bars.trading_date for day in bars.days)
    if not count:
        return None
    return DaysBefore(
        high=bars.high[count - 1],
        low=bars.low[count - 1],
        close=bars.close[count - 1],
        average_volume=float(np.mean(bars.volume[max(0, count - AVERAGED) : count])),
        volatility_percentile=_volatility_percentile(bars, count),
    )


def _volatility_percentile(bars: DailyBars, count: int) -> float | None:
    """Average true range by close, so that a share that doubled compares with itself."""
    high, low, close = (
        np.array(column[:count], dtype="float64") for column in (bars.high, bars.low, bars.close)
    )
    ranges = talib.ATR(high, low, close, PERIOD) / close
    known = ranges[~np.isnan(ranges)]
    if len(known) < LEAST_RANKED:
        return None
    return round(100 * float(np.mean(known <= known[-1])), 1)

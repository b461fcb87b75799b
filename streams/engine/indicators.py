"""Incremental indicators: values for the next bar; a commit makes it part of the state.

A formula serves four timeframes at once (`streams.engine.lanes`), and both a bar that is forming
and one that is final: `lane` is the timeframe whose bar is final and enters the state, `FORMING`
when none does. `s` and `out` are addresses, of the state and of the row for the values.

Recurrences and their seeds are TA-Lib's, equal to it within 1e-9. Windows keep sums over all but
the newest bar, made anew at each commit: sums of whole paise are exact, and a provisional value
costs no walk over the window. `n` is the number of bars committed before this one. Unless it says
otherwise, a formula is that of TA-Lib 0.8, whose sources are Wilder (1978), New Concepts in
Technical Trading Systems (RSI, ATR, ADX), Appel (2005), Technical Analysis (MACD), Bollinger
(2002), Bollinger on Bollinger Bands, Lane (1984), Lane's Stochastics, Lambert (1980), Commodity
Channel Index, Quong and Soudack (1989), Money Flow Index, Granville (1963), Granville's New Key to
Stock Market Profits (OBV).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.engine.compiled import inlined
from streams.engine.lanes import BarLanes, Lanes, get, keep, larger, magnitude, put, select
from streams.engine.layout import (
    ADX,
    AT_ADX,
    AT_ATR,
    AT_CCI,
    AT_CLOSE,
    AT_EMA,
    AT_HIGH,
    AT_KELTNER,
    AT_LOW,
    AT_MACD,
    AT_OBV,
    AT_OPEN,
    AT_RSI,
    AT_SUPERTREND,
    AT_VOLUME,
    ATR_10,
    ATR_14,
    BARS,
    BIT_ADX,
    BIT_ATR,
    BIT_CCI,
    BIT_EMA,
    BIT_KELTNER,
    BIT_MACD,
    BIT_OBV,
    BIT_RSI,
    BIT_SUPERTREND,
    CHANNEL,
    CHANNEL_ATR,
    EMA_9,
    EMA_21,
    EMA_50,
    EMA_200,
    FAST,
    GAIN,
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    LOSS,
    LOWER,
    MINUS_DM,
    OBV,
    PLUS_DM,
    RANGE_SUM,
    SIGNAL,
    SLOW,
    TREND,
    UPPER,
    WINDOWED,
)
from streams.engine.windows import cci, channels, windowed

FORMING: Final = -1
"""In place of a lane: no bar is final."""

_TINY: Final = 1e-14  # TA-Lib's TA_IS_ZERO
_NAN: Final = np.nan


@inlined
def compute(wanted: int, s: int, bar: BarLanes, out: int, lane: int) -> None:
    """Write prices, volume and indicators of a bar of each timeframe."""
    n = get(s, BARS)
    put(out, AT_OPEN, bar.open)
    put(out, AT_HIGH, bar.high)
    put(out, AT_LOW, bar.low)
    put(out, AT_CLOSE, bar.close)
    put(out, AT_VOLUME, bar.volume)
    recursive(wanted, n, s, bar, out, lane)
    if wanted & WINDOWED:
        windowed(wanted, n, s, bar, out)
        channels(wanted, n, s, bar, out, lane)
    if wanted & BIT_CCI:
        put(out, AT_CCI, select(n >= 19.0, cci(s, bar), _NAN))


@inlined
def recursive(wanted: int, n: Lanes, s: int, bar: BarLanes, out: int, lane: int) -> None:  # noqa: PLR0917 (kernels take no names)
    """Indicators that follow from their own last value."""
    if wanted & BIT_EMA:
        emas(n, s, bar.close, out, lane)
    if wanted & BIT_MACD:
        macd(n, s, bar.close, out, lane)
    if wanted & BIT_RSI:
        rsi(n, s, bar.close, out, lane)
    if wanted & (BIT_ATR | BIT_ADX | BIT_KELTNER | BIT_SUPERTREND):
        true_range_indicators(wanted, n, s, bar, out, lane)
    if wanted & BIT_OBV:
        balance = obv(n, s, bar)
        put(out, AT_OBV, balance)
        if lane >= 0:
            keep(s, OBV, balance, lane)


@inlined
def ema(value: Lanes, close: Lanes, n: Lanes, period: float) -> Lanes:
    """Exponential moving average; the seed is the mean of the first `period` closes."""
    total = value + close
    seed = select(n == period - 1.0, total / period, total)
    return select(n >= period, value + (close - value) * (2.0 / (period + 1.0)), seed)


@inlined
def emas(n: Lanes, s: int, close: Lanes, out: int, lane: int) -> None:
    """EMA 9, 21, 50 and 200."""
    ema_9, ema_21 = ema(get(s, EMA_9), close, n, 9.0), ema(get(s, EMA_21), close, n, 21.0)
    ema_50, ema_200 = ema(get(s, EMA_50), close, n, 50.0), ema(get(s, EMA_200), close, n, 200.0)
    put(out, AT_EMA, select(n >= 8.0, ema_9, _NAN))
    put(out, AT_EMA + 1, select(n >= 20.0, ema_21, _NAN))
    put(out, AT_EMA + 2, select(n >= 49.0, ema_50, _NAN))
    put(out, AT_EMA + 3, select(n >= 199.0, ema_200, _NAN))
    if lane >= 0:
        keep(s, EMA_9, ema_9, lane)
        keep(s, EMA_21, ema_21, lane)
        keep(s, EMA_50, ema_50, lane)
        keep(s, EMA_200, ema_200, lane)


@inlined
def macd(n: Lanes, s: int, close: Lanes, out: int, lane: int) -> None:
    """MACD 12, 26, 9.

    As in TA-Lib, the fast average is seeded with the last 12 of the first 26 closes.
    """
    fast, slow, signal = get(s, FAST), get(s, SLOW), get(s, SIGNAL)
    ready, seeded = n >= 26.0, n == 25.0
    fast_seed, slow_seed = select(n >= 14.0, fast + close, 0.0), slow + close
    fast_seed = select(seeded, fast_seed / 12.0, fast_seed)
    slow_seed = select(seeded, slow_seed / 26.0, slow_seed)
    fast = select(ready, fast + (close - fast) * (2.0 / 13.0), fast_seed)
    slow = select(ready, slow + (close - slow) * (2.0 / 27.0), slow_seed)
    line = fast - slow
    total = select(ready, signal + line, select(seeded, line, signal))
    total = select(n == 33.0, total / 9.0, total)
    signal = select(n >= 34.0, signal + (line - signal) * 0.2, total)
    put(out, AT_MACD, select(n >= 33.0, line, _NAN))
    put(out, AT_MACD + 1, select(n >= 33.0, signal, _NAN))
    put(out, AT_MACD + 2, select(n >= 33.0, line - signal, _NAN))
    if lane >= 0:
        keep(s, FAST, fast, lane)
        keep(s, SLOW, slow, lane)
        keep(s, SIGNAL, signal, lane)


@inlined
def wilder(value: Lanes, sample: Lanes, n: Lanes, period: float) -> Lanes:
    """Wilder's smoothing; the seed is the mean of the first `period` samples.

    The first sample is that of bar 1.
    """
    total = select(n > period, value * (period - 1.0) + sample, value + sample)
    return select(n >= period, total / period, total)


@inlined
def rsi(n: Lanes, s: int, close: Lanes, out: int, lane: int) -> None:
    """RSI 14."""
    change = select(n > 0.0, close - get(s, LAST_CLOSE), 0.0)
    gain = wilder(get(s, GAIN), larger(change, 0.0), n, 14.0)
    loss = wilder(get(s, LOSS), larger(0.0 - change, 0.0), n, 14.0)
    moved = gain + loss
    value = select(moved > _TINY, 100.0 * (gain / moved), 0.0)
    put(out, AT_RSI, select(n >= 14.0, value, _NAN))
    if lane >= 0:
        keep(s, GAIN, gain, lane)
        keep(s, LOSS, loss, lane)


@inlined
def true_range_indicators(  # noqa: PLR0917 (kernels take no names)
    wanted: int, n: Lanes, s: int, bar: BarLanes, out: int, lane: int
) -> None:
    """Indicators made of true ranges.

    ATR 14 and 10, the directional system, Keltner's channel, Supertrend.
    """
    before = get(s, LAST_CLOSE)
    gap = larger(bar.high - bar.low, magnitude(bar.high - before))
    true_range = select(n > 0.0, larger(gap, magnitude(bar.low - before)), 0.0)
    atr_14 = wilder(get(s, ATR_14), true_range, n, 14.0)
    atr_10 = wilder(get(s, ATR_10), true_range, n, 10.0)
    if wanted & BIT_ATR:
        put(out, AT_ATR, select(n >= 14.0, atr_14, _NAN))
    if wanted & BIT_KELTNER:
        keltner(n, true_range, s, bar, out, lane)
    if wanted & BIT_ADX:
        adx(n, true_range, s, bar, out, lane)
    if wanted & BIT_SUPERTREND:
        supertrend(n, atr_10, s, bar, out, lane)
    if lane >= 0:
        keep(s, ATR_14, atr_14, lane)
        keep(s, ATR_10, atr_10, lane)


@inlined
def keltner(n: Lanes, true_range: Lanes, s: int, bar: BarLanes, out: int, lane: int) -> None:  # noqa: PLR0917 (kernels take no names)
    """Keltner's channel: EMA 20 of typical prices, and 2 ATR 10.

    Seeded like TA-Lib's with the ten ranges up to bar 19.

    Source: Keltner (1960), How to Make Money in Commodities; Raschke and Connors (1995), Street
        Smarts, for the ATR.
    """
    middle = ema(get(s, CHANNEL), (bar.high + bar.low + bar.close) / 3.0, n, 20.0)
    atr = select(n > 9.0, wilder(get(s, CHANNEL_ATR), true_range, n - 9.0, 10.0), 0.0)
    put(out, AT_KELTNER, select(n >= 19.0, middle + 2.0 * atr, _NAN))
    put(out, AT_KELTNER + 1, select(n >= 19.0, middle, _NAN))
    put(out, AT_KELTNER + 2, select(n >= 19.0, middle - 2.0 * atr, _NAN))
    if lane >= 0:
        keep(s, CHANNEL, middle, lane)
        keep(s, CHANNEL_ATR, atr, lane)


@inlined
def adx(n: Lanes, true_range: Lanes, s: int, bar: BarLanes, out: int, lane: int) -> None:  # noqa: PLR0917 (kernels take no names)
    """ADX 14 with +DI and -DI."""
    up, down = bar.high - get(s, LAST_HIGH), get(s, LAST_LOW) - bar.low
    plus, minus, total = get(s, PLUS_DM), get(s, MINUS_DM), get(s, RANGE_SUM)
    smooth = n >= 14.0
    rose, fell = (n > 0.0) & (up > 0.0) & (up > down), (n > 0.0) & (down > 0.0) & (up < down)
    plus = select(rose, up, 0.0) + select(smooth, plus - plus / 14.0, plus)
    minus = select(fell, down, 0.0) + select(smooth, minus - minus / 14.0, minus)
    total = select(smooth, total - total / 14.0, total) + true_range
    plus_di = select(total > _TINY, 100.0 * (plus / total), 0.0)
    minus_di = select(total > _TINY, 100.0 * (minus / total), 0.0)
    both = plus_di + minus_di
    average, index = get(s, ADX), 100.0 * (magnitude(minus_di - plus_di) / both)
    known = smooth & (both > _TINY)
    taken = select(n > 27.0, average * 13.0 + index, average + index)
    average = select(known, taken, average)
    average = select((n == 27.0) | ((n > 27.0) & known), average / 14.0, average)
    put(out, AT_ADX, select(n >= 27.0, average, _NAN))
    put(out, AT_ADX + 1, select(smooth, plus_di, _NAN))
    put(out, AT_ADX + 2, select(smooth, minus_di, _NAN))
    if lane >= 0:
        keep(s, PLUS_DM, plus, lane)
        keep(s, MINUS_DM, minus, lane)
        keep(s, RANGE_SUM, total, lane)
        keep(s, ADX, average, lane)


@inlined
def supertrend(n: Lanes, atr: Lanes, s: int, bar: BarLanes, out: int, lane: int) -> None:  # noqa: PLR0917 (kernels take no names)
    """Supertrend 10, 3: direction 1 above the line, -1 below.

    Source: Seban (2008), Tout le monde mérite d'être riche.
    """
    last_upper, last_lower, trend = get(s, UPPER), get(s, LOWER), get(s, TREND)
    before, middle = get(s, LAST_CLOSE), (bar.high + bar.low) / 2.0
    upper, lower = middle + 3.0 * atr, middle - 3.0 * atr
    first = n <= 10.0
    upper = select(first | (upper < last_upper) | (before > last_upper), upper, last_upper)
    lower = select(first | (lower > last_lower) | (before < last_lower), lower, last_lower)
    risen = ((trend < 0.0) & (bar.close > upper)) | ((trend >= 0.0) & (bar.close >= lower))
    trend = select(first | risen, 1.0, -1.0)
    put(out, AT_SUPERTREND, select(n >= 10.0, select(trend > 0.0, lower, upper), _NAN))
    put(out, AT_SUPERTREND + 1, select(n >= 10.0, trend, _NAN))
    if lane >= 0:
        keep(s, UPPER, select(n >= 10.0, upper, 0.0), lane)
        keep(s, LOWER, select(n >= 10.0, lower, 0.0), lane)
        keep(s, TREND, select(n >= 10.0, trend, 0.0), lane)


@inlined
def obv(n: Lanes, s: int, bar: BarLanes) -> Lanes:
    """On-balance volume."""
    balance, before = get(s, OBV), get(s, LAST_CLOSE)
    fallen = select(bar.close < before, balance - bar.volume, balance)
    return select((n == 0.0) | (bar.close > before), balance + bar.volume, fallen)

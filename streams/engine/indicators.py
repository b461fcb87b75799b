"""Incremental indicators: values for the next bar; `commit` makes it part of the state.

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

from streams.engine.compiled import FloatArray, IntArray, inner
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
    BIT_PROFILE,
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
    RING,
    SIGNAL,
    SLOW,
    TREND,
    UPPER,
    WINDOWED,
)
from streams.engine.volume_profile import volume_profile
from streams.engine.windows import cci, channels, precompute, push_bar, windowed

_TINY: Final = 1e-14  # TA-Lib's TA_IS_ZERO


@inner
def compute(  # noqa: PLR0917 (kernels take no names)
    wanted: int,
    s: FloatArray,
    prices: IntArray,
    volumes: FloatArray,
    out: FloatArray,
    bins: FloatArray,
    commit: bool,
) -> None:
    """Complete `out`, whose first columns hold the bar's prices and volume.

    `commit` makes the bar part of the state, because it is final.
    """
    n = int(s[BARS])
    recursive(wanted, n, s, out, commit)
    if wanted & WINDOWED:
        windowed(wanted, n, s, out)
        channels(wanted, n, s, out, commit)
    if wanted & BIT_CCI and n >= 19:
        out[AT_CCI] = cci(n, s, prices, out)
    if wanted & BIT_PROFILE and n >= RING - 1:
        volume_profile(n, prices, volumes, out, bins)
    if commit:
        push_bar(n, s, prices, volumes, out)
        if wanted & WINDOWED:
            precompute(wanted, n, s, prices, volumes)


@inner
def recursive(wanted: int, n: int, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """Indicators that follow from their own last value."""
    if wanted & BIT_EMA:
        emas(n, s, out, commit)
    if wanted & BIT_MACD:
        macd(n, s, out, commit)
    if wanted & BIT_RSI:
        rsi(n, s, out, commit)
    if wanted & (BIT_ATR | BIT_ADX | BIT_KELTNER | BIT_SUPERTREND):
        true_range_indicators(wanted, n, s, out, commit)
    if wanted & BIT_OBV:
        balance = obv(n, s, out)
        out[AT_OBV] = balance
        if commit:
            s[OBV] = balance


@inner
def ema(value: float, close: float, n: int, period: int) -> float:
    """Exponential moving average; the seed is the mean of the first `period` closes."""
    if n >= period:
        return value + (close - value) * (2.0 / (period + 1))
    total = value + close
    return total / period if n == period - 1 else total


@inner
def emas(n: int, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """EMA 9, 21, 50 and 200."""
    close = out[AT_CLOSE]
    fast, slow, middle, long = (
        ema(s[EMA_9], close, n, 9),
        ema(s[EMA_21], close, n, 21),
        ema(s[EMA_50], close, n, 50),
        ema(s[EMA_200], close, n, 200),
    )
    out[AT_EMA] = fast if n >= 8 else np.nan
    out[AT_EMA + 1] = slow if n >= 20 else np.nan
    out[AT_EMA + 2] = middle if n >= 49 else np.nan
    out[AT_EMA + 3] = long if n >= 199 else np.nan
    if commit:
        s[EMA_9], s[EMA_21], s[EMA_50], s[EMA_200] = fast, slow, middle, long


@inner
def macd(n: int, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """MACD 12, 26, 9.

    As in TA-Lib, the fast average is seeded with the last 12 of the first 26 closes.
    """
    close = out[AT_CLOSE]
    signal, line = s[SIGNAL], 0.0
    if n >= 26:
        fast, slow = (
            s[FAST] + (close - s[FAST]) * (2.0 / 13),
            s[SLOW] + (close - s[SLOW]) * (2.0 / 27),
        )
        line = fast - slow
        if n >= 34:
            signal += (line - signal) * 0.2
        else:
            signal += line
            if n == 33:
                signal /= 9.0
    else:
        fast = s[FAST] + close if n >= 14 else 0.0
        slow = s[SLOW] + close
        if n == 25:
            fast /= 12.0
            slow /= 26.0
            signal = fast - slow
    if n >= 33:
        out[AT_MACD], out[AT_MACD + 1], out[AT_MACD + 2] = line, signal, line - signal
    if commit:
        s[FAST], s[SLOW], s[SIGNAL] = fast, slow, signal


@inner
def wilder(value: float, sample: float, n: int, period: int) -> float:
    """Wilder's smoothing; the seed is the mean of the first `period` samples.

    The first sample is that of bar 1.
    """
    if n > period:
        return (value * (period - 1) + sample) / period
    total = value + sample
    return total / period if n == period else total


@inner
def rsi(n: int, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """RSI 14."""
    change = out[AT_CLOSE] - s[LAST_CLOSE] if n > 0 else 0.0
    gain, loss = wilder(s[GAIN], max(change, 0.0), n, 14), wilder(s[LOSS], max(-change, 0.0), n, 14)
    if n >= 14:
        moved = gain + loss
        out[AT_RSI] = 100.0 * (gain / moved) if moved > _TINY else 0.0
    if commit:
        s[GAIN], s[LOSS] = gain, loss


@inner
def true_range_indicators(
    wanted: int, n: int, s: FloatArray, out: FloatArray, commit: bool
) -> None:
    """Indicators made of true ranges.

    ATR 14 and 10, the directional system, Keltner's channel, Supertrend.
    """
    high, low, before = out[AT_HIGH], out[AT_LOW], s[LAST_CLOSE]
    true_range = max(high - low, abs(high - before), abs(low - before)) if n > 0 else 0.0
    atr_14, atr_10 = wilder(s[ATR_14], true_range, n, 14), wilder(s[ATR_10], true_range, n, 10)
    if wanted & BIT_ATR and n >= 14:
        out[AT_ATR] = atr_14
    if wanted & BIT_KELTNER:
        keltner(n, true_range, s, out, commit)
    if wanted & BIT_ADX:
        adx(n, true_range, s, out, commit)
    if wanted & BIT_SUPERTREND and n >= 10:
        supertrend(n, atr_10, s, out, commit)
    if commit:
        s[ATR_14], s[ATR_10] = atr_14, atr_10


@inner
def keltner(n: int, true_range: float, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """Keltner's channel: EMA 20 of typical prices, and 2 ATR 10.

    Seeded like TA-Lib's with the ten ranges up to bar 19.

    Source: Keltner (1960), How to Make Money in Commodities; Raschke and Connors (1995), Street
        Smarts, for the ATR.
    """
    middle = ema(s[CHANNEL], (out[AT_HIGH] + out[AT_LOW] + out[AT_CLOSE]) / 3.0, n, 20)
    atr = wilder(s[CHANNEL_ATR], true_range, n - 9, 10) if n > 9 else 0.0
    if n >= 19:
        out[AT_KELTNER] = middle + 2.0 * atr
        out[AT_KELTNER + 1] = middle
        out[AT_KELTNER + 2] = middle - 2.0 * atr
    if commit:
        s[CHANNEL], s[CHANNEL_ATR] = middle, atr


@inner
def adx(n: int, true_range: float, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """ADX 14 with +DI and -DI."""
    plus = minus = 0.0
    if n > 0:
        up, down = out[AT_HIGH] - s[LAST_HIGH], s[LAST_LOW] - out[AT_LOW]
        if down > 0 and up < down:
            minus = down
        elif up > 0 and up > down:
            plus = up
    average = s[ADX]
    if n < 14:
        plus, minus, total = s[PLUS_DM] + plus, s[MINUS_DM] + minus, s[RANGE_SUM] + true_range
    else:
        plus += s[PLUS_DM] - s[PLUS_DM] / 14
        minus += s[MINUS_DM] - s[MINUS_DM] / 14
        total = s[RANGE_SUM] - s[RANGE_SUM] / 14 + true_range
        plus_di = minus_di = 0.0
        if total > _TINY:
            plus_di, minus_di = 100.0 * (plus / total), 100.0 * (minus / total)
            if plus_di + minus_di > _TINY:
                index = 100.0 * (abs(minus_di - plus_di) / (plus_di + minus_di))
                average = (average * 13 + index) / 14 if n > 27 else average + index
        if n == 27:
            average /= 14
        out[AT_ADX + 1], out[AT_ADX + 2] = plus_di, minus_di
        if n >= 27:
            out[AT_ADX] = average
    if commit:
        s[PLUS_DM], s[MINUS_DM], s[RANGE_SUM], s[ADX] = plus, minus, total, average


@inner
def supertrend(n: int, atr: float, s: FloatArray, out: FloatArray, commit: bool) -> None:
    """Supertrend 10, 3: direction 1 above the line, -1 below.

    Source: Seban (2008), Tout le monde mérite d'être riche.
    """
    close, before, middle = out[AT_CLOSE], s[LAST_CLOSE], (out[AT_HIGH] + out[AT_LOW]) / 2.0
    upper, lower, trend = middle + 3.0 * atr, middle - 3.0 * atr, 1.0
    if n > 10:
        if not (upper < s[UPPER] or before > s[UPPER]):
            upper = s[UPPER]
        if not (lower > s[LOWER] or before < s[LOWER]):
            lower = s[LOWER]
        risen = close > upper if s[TREND] < 0 else close >= lower
        trend = 1.0 if risen else -1.0
    out[AT_SUPERTREND], out[AT_SUPERTREND + 1] = lower if trend > 0 else upper, trend
    if commit:
        s[UPPER], s[LOWER], s[TREND] = upper, lower, trend


@inner
def obv(n: int, s: FloatArray, out: FloatArray) -> float:
    """On-balance volume."""
    if n == 0 or out[AT_CLOSE] > s[LAST_CLOSE]:
        return float(s[OBV] + out[AT_VOLUME])
    return float(s[OBV] - out[AT_VOLUME]) if out[AT_CLOSE] < s[LAST_CLOSE] else float(s[OBV])

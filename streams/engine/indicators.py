"""The indicators, compiled: one bar after the last committed one gives readings, and if it is final becomes committed.

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

from schemas.units import NS_PER_SECOND
from streams.columns.names import Indicator
from streams.engine.compiled import Numbers, Reals, inner
from streams.engine.layout import (
    ADX,
    ANCHOR,
    AT,
    ATR_10,
    ATR_14,
    BARS,
    BEFORE_HIGH,
    BEFORE_LAST,
    BEFORE_LOW,
    BINS,
    BIT,
    CHANNEL,
    CHANNEL_ATR,
    CLOSE_10,
    CLOSES,
    DAY_OPEN,
    DAY_SQUARES,
    DAY_TURNOVER,
    DAY_VOLUME,
    DAY_WHOLE,
    EMA_9,
    EMA_21,
    EMA_50,
    EMA_200,
    FAST,
    GAIN,
    HIGH,
    HIGH_13,
    HIGH_19,
    HIGHS,
    INFLOW_13,
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    LAST_TYPICAL,
    LOSS,
    LOW,
    LOW_13,
    LOW_19,
    LOWER,
    LOWS,
    MINUS_DM,
    OBV,
    OUTFLOW_13,
    PLUS_DM,
    RANGE_HIGH,
    RANGE_LOW,
    RANGE_SUM,
    RAW_1,
    RAW_2,
    RING,
    SIGNAL,
    SLOW,
    SLOW_1,
    SLOW_2,
    SPREAD_19,
    SQUARES,
    SQUARES_19,
    START,
    SUM_19,
    SUM_49,
    TICKS,
    TREND,
    TURNOVER,
    TYPICAL_19,
    UPPER,
    VOLUME,
    WEIGHTED_19,
)  # fmt: skip

# Crabel (1990), Day Trading with Short Term Price Patterns
OPENING_RANGE: Final = 15 * 60 * NS_PER_SECOND
_TINY: Final = 1e-14  # TA-Lib's TA_IS_ZERO
# Dalton, Jones and Dalton (1990), Mind Over Markets: about one standard deviation
_VALUE_AREA: Final = 0.7

_SMA, _EMA, _WMA, _RSI, _MACD, _ATR = (
    BIT[Indicator(name)] for name in ("sma", "ema", "wma", "rsi", "macd", "atr")
)
_BOLLINGER, _ADX, _STOCHASTIC, _CCI = (
    BIT[Indicator(name)] for name in ("bollinger", "adx", "stochastic", "cci")
)
_WILLIAMS, _MFI, _OBV, _ROC = (BIT[Indicator(name)] for name in ("williams_r", "mfi", "obv", "roc"))
_DONCHIAN, _KELTNER, _SUPERTREND = (
    BIT[Indicator(name)] for name in ("donchian", "keltner", "supertrend")
)
_VWAP, _RANGE, _PIVOT = (BIT[Indicator(name)] for name in ("vwap", "opening_range", "pivot"))
_PROFILE = BIT[Indicator.VOLUME_PROFILE]
_WINDOWED: Final = (
    _SMA | _WMA | _BOLLINGER | _STOCHASTIC | _CCI | _WILLIAMS | _MFI | _ROC | _DONCHIAN
)

# Where an indicator's first column stands; its others follow.
_AT_SMA, _AT_EMA, _AT_WMA, _AT_RSI = AT["sma_20"], AT["ema_9"], AT["wma_20"], AT["rsi_14"]
_AT_MACD, _AT_ATR, _AT_BOLLINGER, _AT_ADX = (
    AT["macd"],
    AT["atr_14"],
    AT["bollinger_upper"],
    AT["adx_14"],
)
_AT_STOCHASTIC, _AT_CCI, _AT_WILLIAMS, _AT_MFI = (
    AT["stochastic_k"],
    AT["cci_20"],
    AT["williams_r_14"],
    AT["mfi_14"],
)
_AT_OBV, _AT_ROC, _AT_DONCHIAN, _AT_KELTNER = (
    AT["obv"],
    AT["roc_10"],
    AT["donchian_upper"],
    AT["keltner_upper"],
)
_AT_SUPERTREND, _AT_VWAP, _AT_RANGE = AT["supertrend"], AT["vwap"], AT["opening_range_high"]
_AT_PIVOT, _AT_PROFILE = AT["pivot"], AT["volume_poc"]
_O, _H, _L, _C, _V = (AT[name] for name in ("open", "high", "low", "close", "volume"))


@inner
def read(  # noqa: PLR0917 (kernels take no names)
    wanted: int, s: Reals, prices: Numbers, volumes: Reals, out: Reals, bins: Reals, commit: bool
) -> None:
    """Complete `out`, whose first columns hold the bar's prices and volume, and take the bar in if it is final."""
    n = int(s[BARS])
    recur(wanted, n, s, out, commit)
    if wanted & _WINDOWED:
        windows(wanted, n, s, out)
        extremes(wanted, n, s, out, commit)
    if wanted & _CCI and n >= 19:
        out[_AT_CCI] = channel_index(n, s, prices, out)
    if wanted & _PROFILE and n >= RING - 1:
        profile(n, prices, volumes, out, bins)
    if commit:
        keep(n, s, prices, volumes, out)
        if wanted & _WINDOWED:
            gather(wanted, n, s, prices, volumes)


@inner
def recur(wanted: int, n: int, s: Reals, out: Reals, commit: bool) -> None:
    """What follows from its own last value."""
    if wanted & _EMA:
        averages(n, s, out, commit)
    if wanted & _MACD:
        convergence(n, s, out, commit)
    if wanted & _RSI:
        strength(n, s, out, commit)
    if wanted & (_ATR | _ADX | _KELTNER | _SUPERTREND):
        ranges(wanted, n, s, out, commit)
    if wanted & _OBV:
        balance = balance_of(n, s, out)
        out[_AT_OBV] = balance
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
def averages(n: int, s: Reals, out: Reals, commit: bool) -> None:
    close = out[_C]
    fast, slow, middle, long = (
        ema(s[EMA_9], close, n, 9),
        ema(s[EMA_21], close, n, 21),
        ema(s[EMA_50], close, n, 50),
        ema(s[EMA_200], close, n, 200),
    )
    out[_AT_EMA] = fast if n >= 8 else np.nan
    out[_AT_EMA + 1] = slow if n >= 20 else np.nan
    out[_AT_EMA + 2] = middle if n >= 49 else np.nan
    out[_AT_EMA + 3] = long if n >= 199 else np.nan
    if commit:
        s[EMA_9], s[EMA_21], s[EMA_50], s[EMA_200] = fast, slow, middle, long


@inner
def convergence(n: int, s: Reals, out: Reals, commit: bool) -> None:
    """MACD 12, 26, 9.

    As in TA-Lib, the fast average is seeded with the last 12 of the first 26 closes.
    """
    close = out[_C]
    signal, macd = s[SIGNAL], 0.0
    if n >= 26:
        fast, slow = (
            s[FAST] + (close - s[FAST]) * (2.0 / 13),
            s[SLOW] + (close - s[SLOW]) * (2.0 / 27),
        )
        macd = fast - slow
        if n >= 34:
            signal += (macd - signal) * 0.2
        else:
            signal += macd
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
        out[_AT_MACD], out[_AT_MACD + 1], out[_AT_MACD + 2] = macd, signal, macd - signal
    if commit:
        s[FAST], s[SLOW], s[SIGNAL] = fast, slow, signal


@inner
def wilder(value: float, sample: float, n: int, period: int) -> float:
    """Wilder's smoothing; the seed is the mean of the first `period` samples, the first sample being that of bar 1."""
    if n > period:
        return (value * (period - 1) + sample) / period
    total = value + sample
    return total / period if n == period else total


@inner
def strength(n: int, s: Reals, out: Reals, commit: bool) -> None:
    """RSI 14."""
    change = out[_C] - s[LAST_CLOSE] if n > 0 else 0.0
    gain, loss = wilder(s[GAIN], max(change, 0.0), n, 14), wilder(s[LOSS], max(-change, 0.0), n, 14)
    if n >= 14:
        moved = gain + loss
        out[_AT_RSI] = 100.0 * (gain / moved) if moved > _TINY else 0.0
    if commit:
        s[GAIN], s[LOSS] = gain, loss


@inner
def ranges(wanted: int, n: int, s: Reals, out: Reals, commit: bool) -> None:
    """What is made of true ranges.

    ATR 14 and 10, the directional system, Keltner's channel, Supertrend.
    """
    high, low, before = out[_H], out[_L], s[LAST_CLOSE]
    true_range = max(high - low, abs(high - before), abs(low - before)) if n > 0 else 0.0
    atr_14, atr_10 = wilder(s[ATR_14], true_range, n, 14), wilder(s[ATR_10], true_range, n, 10)
    if wanted & _ATR and n >= 14:
        out[_AT_ATR] = atr_14
    if wanted & _KELTNER:
        keltner(n, true_range, s, out, commit)
    if wanted & _ADX:
        direction(n, true_range, s, out, commit)
    if wanted & _SUPERTREND and n >= 10:
        supertrend(n, atr_10, s, out, commit)
    if commit:
        s[ATR_14], s[ATR_10] = atr_14, atr_10


@inner
def keltner(n: int, true_range: float, s: Reals, out: Reals, commit: bool) -> None:
    """Keltner's channel: EMA 20 of typical prices, and 2 ATR 10, seeded like TA-Lib's with the ten ranges up to bar 19.

    Source: Keltner (1960), How to Make Money in Commodities; Raschke and Connors (1995), Street
        Smarts, for the ATR.
    """
    middle = ema(s[CHANNEL], (out[_H] + out[_L] + out[_C]) / 3.0, n, 20)
    atr = wilder(s[CHANNEL_ATR], true_range, n - 9, 10) if n > 9 else 0.0
    if n >= 19:
        out[_AT_KELTNER] = middle + 2.0 * atr
        out[_AT_KELTNER + 1] = middle
        out[_AT_KELTNER + 2] = middle - 2.0 * atr
    if commit:
        s[CHANNEL], s[CHANNEL_ATR] = middle, atr


@inner
def direction(n: int, true_range: float, s: Reals, out: Reals, commit: bool) -> None:
    """ADX 14 with +DI and -DI."""
    plus = minus = 0.0
    if n > 0:
        up, down = out[_H] - s[LAST_HIGH], s[LAST_LOW] - out[_L]
        if down > 0 and up < down:
            minus = down
        elif up > 0 and up > down:
            plus = up
    adx = s[ADX]
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
                adx = (adx * 13 + index) / 14 if n > 27 else adx + index
        if n == 27:
            adx /= 14
        out[_AT_ADX + 1], out[_AT_ADX + 2] = plus_di, minus_di
        if n >= 27:
            out[_AT_ADX] = adx
    if commit:
        s[PLUS_DM], s[MINUS_DM], s[RANGE_SUM], s[ADX] = plus, minus, total, adx


@inner
def supertrend(n: int, atr: float, s: Reals, out: Reals, commit: bool) -> None:
    """Supertrend 10, 3: direction 1 above the line, -1 below.

    Source: Seban (2008), Tout le monde mérite d'être riche.
    """
    close, before, middle = out[_C], s[LAST_CLOSE], (out[_H] + out[_L]) / 2.0
    upper, lower, trend = middle + 3.0 * atr, middle - 3.0 * atr, 1.0
    if n > 10:
        if not (upper < s[UPPER] or before > s[UPPER]):
            upper = s[UPPER]
        if not (lower > s[LOWER] or before < s[LOWER]):
            lower = s[LOWER]
        risen = close > upper if s[TREND] < 0 else close >= lower
        trend = 1.0 if risen else -1.0
    out[_AT_SUPERTREND], out[_AT_SUPERTREND + 1] = lower if trend > 0 else upper, trend
    if commit:
        s[UPPER], s[LOWER], s[TREND] = upper, lower, trend


@inner
def balance_of(n: int, s: Reals, out: Reals) -> float:
    """On-balance volume."""
    if n == 0 or out[_C] > s[LAST_CLOSE]:
        return float(s[OBV] + out[_V])
    return float(s[OBV] - out[_V]) if out[_C] < s[LAST_CLOSE] else float(s[OBV])


@inner
def windows(wanted: int, n: int, s: Reals, out: Reals) -> None:
    """Averages, bands and sums over the last bars.

    Bollinger's deviation is that of the population.
    """
    close = out[_C]
    if wanted & _SMA:
        if n >= 19:
            out[_AT_SMA] = (s[SUM_19] + close) / 20.0
        if n >= 49:
            out[_AT_SMA + 1] = (s[SUM_49] + close) / 50.0
    if wanted & _WMA and n >= 19:
        out[_AT_WMA] = (s[WEIGHTED_19] + 20.0 * close) / 210.0
    if wanted & _BOLLINGER and n >= 19:
        # sums of differences from the last close are small whole numbers, hence exact
        step = close - s[LAST_CLOSE]
        total, squares = s[SPREAD_19] + step, s[SQUARES_19] + step * step
        deviation = np.sqrt(max(20.0 * squares - total * total, 0.0)) / 20.0
        middle = (s[SUM_19] + close) / 20.0
        out[_AT_BOLLINGER] = middle + 2.0 * deviation
        out[_AT_BOLLINGER + 1] = middle
        out[_AT_BOLLINGER + 2] = middle - 2.0 * deviation
    if wanted & _ROC and n >= 10:
        out[_AT_ROC] = (close / s[CLOSE_10] - 1.0) * 100.0
    if wanted & _MFI and n >= 14:
        typical = out[_H] + out[_L] + close
        flow = typical / 3.0 * out[_V]
        inflow = s[INFLOW_13] + (flow if typical > s[LAST_TYPICAL] else 0.0)
        outflow = s[OUTFLOW_13] + (flow if typical < s[LAST_TYPICAL] else 0.0)
        out[_AT_MFI] = 100.0 * (inflow / (inflow + outflow)) if inflow + outflow >= 1.0 else 0.0


@inner
def extremes(wanted: int, n: int, s: Reals, out: Reals, commit: bool) -> None:
    """Highest highs and lowest lows: Donchian 20, Williams %R 14, slow stochastic 14, 3, 3."""
    high, low, close = out[_H], out[_L], out[_C]
    if wanted & _DONCHIAN and n >= 19:
        top, bottom = max(s[HIGH_19], high), min(s[LOW_19], low)
        out[_AT_DONCHIAN], out[_AT_DONCHIAN + 1], out[_AT_DONCHIAN + 2] = (
            top,
            (top + bottom) / 2.0,
            bottom,
        )
    if n < 13:
        return
    top, bottom = max(s[HIGH_13], high), min(s[LOW_13], low)
    span = (top - bottom) / 100.0
    if wanted & _WILLIAMS:
        out[_AT_WILLIAMS] = (close - top) / span if span != 0 else 0.0
    if wanted & _STOCHASTIC:
        raw = (close - bottom) / span if span != 0 else 0.0
        slow = (s[RAW_2] + s[RAW_1] + raw) / 3.0
        if n >= 17:
            out[_AT_STOCHASTIC], out[_AT_STOCHASTIC + 1] = (
                slow,
                (s[SLOW_2] + s[SLOW_1] + slow) / 3.0,
            )
        if commit:
            s[RAW_2], s[RAW_1], s[SLOW_2], s[SLOW_1] = s[RAW_1], raw, s[SLOW_1], slow


@inner
def channel_index(n: int, s: Reals, prices: Numbers, out: Reals) -> float:
    """CCI 20, in whole thirds of paise up to the last division."""
    typical = out[_H] + out[_L] + out[_C]
    total = s[TYPICAL_19] + typical
    distance = 20.0 * typical - total
    spread = abs(distance)
    for back in range(1, RING):
        at = n - back
        spread += abs(
            20.0 * (prices[HIGHS + at % RING] + prices[LOWS + at % RING] + prices[at % CLOSES])
            - total
        )
    return 20.0 * distance / (0.015 * spread) if spread != 0 else 0.0


@inner
def profile(n: int, prices: Numbers, volumes: Reals, out: Reals, bins: Reals) -> None:
    """Volume profile of the last 20 bars: point of control and value area.

    Each bar's volume is spread evenly over its range, in 24 steps from the lowest low to the
    highest high. The value area grows from the fullest step (the lowest of equals) to the fuller
    neighbour (upward when equal) until it holds 70%. Source: Steidlmayer and Koy (1986), Markets
    and Market Logic; Dalton, Jones and Dalton (1990), Mind Over Markets.
    """
    top, bottom, total = out[_H], out[_L], out[_V]
    for back in range(1, RING):
        at = (n - back) % RING
        top, bottom = max(top, prices[HIGHS + at]), min(bottom, prices[LOWS + at])
        total += volumes[at]
    if total <= 0:
        return
    step = (top - bottom) / BINS
    for nth in range(BINS):
        bins[nth] = 0.0
    spread(bins, out[_H], out[_L], out[_V], bottom, step)
    for back in range(1, RING):
        at = (n - back) % RING
        spread(bins, float(prices[HIGHS + at]), float(prices[LOWS + at]), volumes[at], bottom, step)
    fullest = 0
    for nth in range(1, BINS):
        if bins[nth] > bins[fullest]:
            fullest = nth
    first, last, held = fullest, fullest, bins[fullest]
    while held < _VALUE_AREA * total and last - first < BINS - 1:
        below = bins[first - 1] if first > 0 else -1.0
        above = bins[last + 1] if last < BINS - 1 else -1.0
        if above >= below:
            last += 1
            held += above
        else:
            first -= 1
            held += below
    out[_AT_PROFILE] = bottom + (fullest + 0.5) * step
    out[_AT_PROFILE + 1], out[_AT_PROFILE + 2] = bottom + (last + 1) * step, bottom + first * step


@inner
def spread(bins: Reals, high: float, low: float, volume: float, bottom: float, step: float) -> None:  # noqa: PLR0917
    """Add a bar's volume to the steps its range touches."""
    if step <= 0.0:
        bins[0] += volume
        return
    first, last = (
        min(int((low - bottom) / step), BINS - 1),
        min(int((high - bottom) / step), BINS - 1),
    )
    share = volume / (last - first + 1)
    for nth in range(first, last + 1):
        bins[nth] += share


@inner
def keep(n: int, s: Reals, prices: Numbers, volumes: Reals, out: Reals) -> None:
    """Put the bar into the rings."""
    prices[n % CLOSES] = int(out[_C])
    prices[HIGHS + n % RING] = int(out[_H])
    prices[LOWS + n % RING] = int(out[_L])
    volumes[n % RING] = out[_V]
    s[LAST_CLOSE], s[LAST_HIGH], s[LAST_LOW] = out[_C], out[_H], out[_L]
    s[BARS] = n + 1


@inner
def gather(wanted: int, n: int, s: Reals, prices: Numbers, volumes: Reals) -> None:
    """Make the sums that the next bar completes, over at most 19, 13 or 49 bars that end with bar `n`."""
    last = prices[n % CLOSES]
    total = weighted = spread_ = squares = typical = 0
    top_13 = top_19 = 0
    bottom_13 = bottom_19 = np.int64(1) << 40
    for back in range(min(n + 1, RING - 1)):
        at = n - back
        close, high, low = prices[at % CLOSES], prices[HIGHS + at % RING], prices[LOWS + at % RING]
        total += close
        weighted += (RING - 1 - back) * close
        spread_ += close - last
        squares += (close - last) * (close - last)
        typical += high + low + close
        top_19, bottom_19 = max(top_19, high), min(bottom_19, low)
        if back < 13:
            top_13, bottom_13 = top_19, bottom_19
    s[SUM_19], s[WEIGHTED_19], s[SPREAD_19], s[SQUARES_19], s[TYPICAL_19] = (
        total,
        weighted,
        spread_,
        squares,
        typical,
    )
    s[HIGH_13], s[LOW_13], s[HIGH_19], s[LOW_19] = top_13, bottom_13, top_19, bottom_19
    if wanted & _SMA:
        for back in range(RING - 1, min(n + 1, CLOSES - 1)):
            total += prices[(n - back) % CLOSES]
        s[SUM_49] = total
    if wanted & _ROC and n >= 9:
        s[CLOSE_10] = prices[(n - 9) % CLOSES]
    if wanted & _MFI:
        flows(n, s, prices, volumes)


@inner
def flows(n: int, s: Reals, prices: Numbers, volumes: Reals) -> None:
    """Money flow in and out over the 13 bars that end with bar `n`, each against the bar before it."""
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


@inner
def read_day(wanted: int, live: Numbers, day: Reals, forming: bool, end: int, out: Reals) -> None:  # noqa: PLR0917
    """What the instrument's day says at a bar that ends at `end`.

    Session VWAP, opening range, pivots. `forming` counts the open 1-minute bar in. All need a day
    that was watched from its open on, pivots the day before too. VWAP's bands are two
    volume-weighted standard deviations. Pivots are the floor traders': Person (2004), A Complete
    Guide to Technical Trading Tactics, ch. 6.
    """
    forming = forming and live[TICKS] > 0
    if wanted & _VWAP and day[DAY_WHOLE] > 0:
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
            out[_AT_VWAP] = live[ANCHOR] + mean
            out[_AT_VWAP + 1] = live[ANCHOR] + (mean + 2.0 * deviation)
            out[_AT_VWAP + 2] = live[ANCHOR] + (mean - 2.0 * deviation)
    ends = live[DAY_OPEN] + OPENING_RANGE
    if wanted & _RANGE and day[DAY_WHOLE] > 0 and end >= ends:
        high, low = day[RANGE_HIGH], day[RANGE_LOW]
        if forming and live[START] < ends:
            high = max(high, live[HIGH]) if not np.isnan(high) else float(live[HIGH])
            low = min(low, live[LOW]) if not np.isnan(low) else float(live[LOW])
        out[_AT_RANGE], out[_AT_RANGE + 1] = high, low
    if wanted & _PIVOT:
        high, low = day[BEFORE_HIGH], day[BEFORE_LOW]
        pivot = (high + low + day[BEFORE_LAST]) / 3.0
        out[_AT_PIVOT] = pivot
        out[_AT_PIVOT + 1], out[_AT_PIVOT + 2] = 2.0 * pivot - low, 2.0 * pivot - high
        out[_AT_PIVOT + 3], out[_AT_PIVOT + 4] = pivot + (high - low), pivot - (high - low)

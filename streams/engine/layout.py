"""Places in the rows of the engine's tables.

Kernels index with these constants, because numba compiles them to plain loads.
"""

from __future__ import annotations

from typing import Final

from streams.columns.names import PRICES, VALUES, Indicator

# A bar, in `live` (the 1-minute bar that ticks go to) and in `bars` (the longer ones, made of
# 1-minute bars).
(
    START,  # of the open bar, else of the last one; 0 before the first
    TICKS,  # 0 while nothing is in it
    OPEN,
    HIGH,
    LOW,
    CLOSE,
    VOLUME,
    COMPLETE,
    COMMITTED,  # start of the last bar the indicators have
) = range(9)
BAR_WIDTH: Final = 9

# The rest of an instrument's row in `live`.
(
    END,  # of the 1-minute bar
    OPENED_AT,
    CLOSED_AT,
    TURNOVER,  # of the bar: sum of 3 x (price - anchor) x volume
    SQUARES,  # of the bar: sum of 9 x (price - anchor)² x volume
    ANCHOR,  # first price of the day; keeps the sums small
    SESSION_OPEN,  # of the session the bar is in
    SESSION_CLOSE,
    DAY_OPEN,  # open of the day's first session
    DAY_CLOSE,  # close of its last
    COUNTER_DAY,  # Indian day number of `COUNTER`
    COUNTER,  # cumulative volume of the day, as far as bars have it
    LAST_AT,  # latest exchange time
    HOURS,  # which row of the calendar
    KEY,  # segment << 32 | security id
) = range(BAR_WIDTH, BAR_WIDTH + 15)
LIVE_WIDTH: Final = 24

# A tick, as seven words: `schemas.ticks.TICK`.
TIME, RECEIVED_AT, ROW_CLOCK, PRICE, DAY_TOTAL, INSTRUMENT_WORD = range(6)
KEY_BITS: Final = (1 << 40) - 1  # of the word: security id, segment above it
JOINED_AT: Final = 48  # of the word: above mode, when its gateway began to watch the instrument

# `market`, one row.
(
    CLOCK,  # largest market clock seen, UTC ns
    CLOCK_DAY,  # Indian day number of the clock
    DAY_SEEN_FROM,  # first clock of that day
    NEXT_DUE,  # no open bar is due before this clock
    TICKS_SEEN,
    LATE,  # ticks whose bar was over
    OUTSIDE,  # ticks outside the session
    RESETS,  # day volumes that fell
) = range(8)
MARKET_WIDTH: Final = 8

# `days`, float64: what the day of an instrument has come to, as far as 1-minute bars are closed.
(
    DAY_VOLUME,
    DAY_TURNOVER,
    DAY_SQUARES,
    RANGE_HIGH,  # opening range, NaN before the first bar in it
    RANGE_LOW,
    DAY_HIGH,
    DAY_LOW,
    DAY_LAST,
    DAY_WHOLE,  # 1: watched from the open on
    BEFORE_HIGH,  # of the day before, NaN when it was not whole
    BEFORE_LOW,
    BEFORE_LAST,
) = range(12)
DAY_WIDTH: Final = 12

# `states`, float64: the recurrences of one instrument, a lane for each timeframe. During warm-up
# each is the running sum of its seed.
(
    BARS,  # closed so far
    LAST_CLOSE,
    LAST_HIGH,
    LAST_LOW,
    EMA_9,
    EMA_21,
    EMA_50,
    EMA_200,
    FAST,
    SLOW,
    SIGNAL,
    GAIN,
    LOSS,
    ATR_14,
    ATR_10,
    PLUS_DM,
    MINUS_DM,
    RANGE_SUM,
    ADX,
    UPPER,
    LOWER,
    TREND,
    RAW_1,  # raw stochastic one and two bars ago
    RAW_2,
    SLOW_1,  # smoothed once
    SLOW_2,
    OBV,
    SUM_19,  # closes of the last 19 bars
    WEIGHTED_19,  # the same, weighted 1 to 19
    SUM_49,
    DIFFERENCES_19,  # closes of the last 19 less the last close: sum, and sum of squares
    SQUARES_19,
    HIGH_13,
    LOW_13,
    HIGH_19,
    LOW_19,
    TYPICAL_19,  # 3 x typical price of the last 19 bars
    LAST_TYPICAL,
    INFLOW_13,  # money flow of the last 13 bars
    OUTFLOW_13,
    CLOSE_10,  # close ten bars before the next one
    CHANNEL,  # EMA 20 of typical prices
    CHANNEL_ATR,
    INDICATOR_WIDTH,  # how many there are: stays last
) = range(44)

# Behind them in `states`, what follows from the rest and no snapshot holds. Of an open longer bar
# without the open minute, as `note_longer_bars` left it:
(
    FIRST_OPEN,  # 0 when nothing is in it yet
    HIGH_BEFORE,
    LOW_BEFORE,
    VOLUME_BEFORE,
    RANGE_KNOWN,  # 1: the bar ends with the day's opening range or later
) = range(INDICATOR_WIDTH, INDICATOR_WIDTH + 5)
TYPICALS: Final = RANGE_KNOWN + 1  # 60 x typical price of the last 19 bars, as a ring

# `prices`, int32, and `volumes`, float64: the last bars of one instrument and timeframe as rings.
CLOSES: Final = 50
RING: Final = 20
STATE_WIDTH: Final = TYPICALS + RING - 1
HIGHS: Final = CLOSES  # where the ring of highs begins, after that of closes
LOWS: Final = CLOSES + RING
PRICES_WIDTH: Final = CLOSES + 2 * RING

BINS: Final = 24

# `values`: the place of each column; `wanted`: the bit of each indicator.
AT: Final = {name: place for place, name in enumerate(VALUES)}
BIT: Final = {indicator: 1 << place for place, indicator in enumerate(Indicator)}

BIT_SMA, BIT_EMA, BIT_WMA, BIT_RSI, BIT_MACD, BIT_ATR = (
    BIT[Indicator(name)] for name in ("sma", "ema", "wma", "rsi", "macd", "atr")
)
BIT_BOLLINGER, BIT_ADX, BIT_STOCHASTIC, BIT_CCI = (
    BIT[Indicator(name)] for name in ("bollinger", "adx", "stochastic", "cci")
)
BIT_WILLIAMS, BIT_MFI, BIT_OBV, BIT_ROC = (
    BIT[Indicator(name)] for name in ("williams_r", "mfi", "obv", "roc")
)
BIT_DONCHIAN, BIT_KELTNER, BIT_SUPERTREND = (
    BIT[Indicator(name)] for name in ("donchian", "keltner", "supertrend")
)
BIT_VWAP, BIT_RANGE, BIT_PIVOT = (
    BIT[Indicator(name)] for name in ("vwap", "opening_range", "pivot")
)
BIT_PROFILE: Final = BIT[Indicator.VOLUME_PROFILE]
WINDOWED: Final = (
    BIT_SMA
    | BIT_WMA
    | BIT_BOLLINGER
    | BIT_STOCHASTIC
    | BIT_CCI
    | BIT_WILLIAMS
    | BIT_MFI
    | BIT_ROC
    | BIT_DONCHIAN
)

# Where an indicator's first column stands; its others follow.
AT_OPEN, AT_HIGH, AT_LOW, AT_CLOSE, AT_VOLUME = (AT[name] for name in PRICES)
AT_SMA, AT_EMA, AT_WMA, AT_RSI, AT_MACD, AT_ATR = (
    AT[name] for name in ("sma_20", "ema_9", "wma_20", "rsi_14", "macd", "atr_14")
)
AT_BOLLINGER, AT_ADX, AT_STOCHASTIC, AT_CCI = (
    AT[name] for name in ("bollinger_upper", "adx_14", "stochastic_k", "cci_20")
)
AT_WILLIAMS, AT_MFI, AT_OBV, AT_ROC = (
    AT[name] for name in ("williams_r_14", "mfi_14", "obv", "roc_10")
)
AT_DONCHIAN, AT_KELTNER, AT_SUPERTREND = (
    AT[name] for name in ("donchian_upper", "keltner_upper", "supertrend")
)
AT_VWAP, AT_RANGE, AT_PIVOT, AT_PROFILE = (
    AT[name] for name in ("vwap", "opening_range_high", "pivot", "volume_poc")
)


def wanted_of(indicators: frozenset[Indicator]) -> int:
    """The bits of `indicators`, as kernels read them."""
    return sum(BIT[indicator] for indicator in indicators)

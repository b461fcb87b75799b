"""The names of everything a closed bar has: what messages carry and what rules may ask for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Indicator(StrEnum):
    """One indicator, with the periods most people use.

    Each is computed only where the configuration wants it.
    """

    SMA = "sma"
    EMA = "ema"
    WMA = "wma"
    RSI = "rsi"
    MACD = "macd"
    ATR = "atr"
    BOLLINGER = "bollinger"
    ADX = "adx"
    STOCHASTIC = "stochastic"
    CCI = "cci"
    WILLIAMS_R = "williams_r"
    MFI = "mfi"
    OBV = "obv"
    ROC = "roc"
    DONCHIAN = "donchian"
    KELTNER = "keltner"
    SUPERTREND = "supertrend"
    VWAP = "vwap"
    OPENING_RANGE = "opening_range"
    PIVOT = "pivot"
    VOLUME_PROFILE = "volume_profile"


TABLE: Final[dict[Indicator, dict[str, int]]] = {
    Indicator.SMA: {"sma_20": 19, "sma_50": 49},
    Indicator.EMA: {"ema_9": 8, "ema_21": 20, "ema_50": 49, "ema_200": 199},
    Indicator.WMA: {"wma_20": 19},
    Indicator.RSI: {"rsi_14": 14},
    Indicator.MACD: {"macd": 33, "macd_signal": 33, "macd_histogram": 33},
    Indicator.ATR: {"atr_14": 14},
    Indicator.BOLLINGER: {"bollinger_upper": 19, "bollinger_middle": 19, "bollinger_lower": 19},
    Indicator.ADX: {"adx_14": 27, "plus_di_14": 14, "minus_di_14": 14},
    Indicator.STOCHASTIC: {"stochastic_k": 17, "stochastic_d": 17},
    Indicator.CCI: {"cci_20": 19},
    Indicator.WILLIAMS_R: {"williams_r_14": 13},
    Indicator.MFI: {"mfi_14": 14},
    Indicator.OBV: {"obv": 0},
    Indicator.ROC: {"roc_10": 10},
    Indicator.DONCHIAN: {"donchian_upper": 19, "donchian_middle": 19, "donchian_lower": 19},
    Indicator.KELTNER: {"keltner_upper": 19, "keltner_middle": 19, "keltner_lower": 19},
    Indicator.SUPERTREND: {"supertrend": 10, "supertrend_direction": 10},
    Indicator.VWAP: {"vwap": 0, "vwap_upper": 0, "vwap_lower": 0},
    Indicator.OPENING_RANGE: {"opening_range_high": 0, "opening_range_low": 0},
    Indicator.PIVOT: {"pivot": 0, "pivot_r1": 0, "pivot_s1": 0, "pivot_r2": 0, "pivot_s2": 0},
    Indicator.VOLUME_PROFILE: {"volume_poc": 19, "value_area_high": 19, "value_area_low": 19},
}
"""One row per indicator: its columns, each with how many bars come before its first value.

The order of rows and columns is the order of the kernels' columns: add at the end. Those of the
session begin anew with it: VWAP at its first bar, the opening range when it is over, pivots when
the day before was seen.
"""

COLUMNS_OF: Final = {indicator: tuple(columns) for indicator, columns in TABLE.items()}
INDICATOR_OF: Final = {name: indicator for indicator, columns in TABLE.items() for name in columns}
WARM_UP_OF: Final = {name: bars for columns in TABLE.values() for name, bars in columns.items()}

PRICES: Final = ("open", "high", "low", "close", "volume")
INDICATOR_COLUMNS: Final = tuple(INDICATOR_OF)
VALUES: Final = PRICES + INDICATOR_COLUMNS
"""What is kept of each timeframe's last closed bar, in the order of the kernels' columns."""

BAR_FACTS: Final = ("ticks", "complete")
"""What else a rule may look at, of the bar itself only; integers."""

FACTS: Final = ("instrument", "timeframe", "start", "end", *BAR_FACTS)
"""What a closed bar has besides `VALUES`; integers."""

TIME_FACTS: Final = ("session_minute", "minutes_left", "weekday")
"""When a bar closed, as whole numbers.

Minutes since its session's open, minutes until that session's close, and the day of the week in
India, Monday 0.
"""

PREVIOUS: Final = "previous_"
"""Before a column's name: its value at the bar before."""


def lagged(name: str, bars: int) -> str:
    """The name under which the value of `name` stands `bars` bars before: `close[3]`."""
    return f"{name}[{bars}]" if bars else name


def unlagged(name: str) -> tuple[str, int]:
    """The reverse of `lagged`; a name without a lag has 0."""
    base, bracket, bars = name.rpartition("[")
    return (base, int(bars[:-1])) if bracket else (name, 0)


_PRICE_INDICATORS: Final = frozenset(
    {
        Indicator.SMA,
        Indicator.EMA,
        Indicator.WMA,
        Indicator.MACD,
        Indicator.ATR,
        Indicator.BOLLINGER,
        Indicator.DONCHIAN,
        Indicator.KELTNER,
        Indicator.SUPERTREND,
        Indicator.VWAP,
        Indicator.OPENING_RANGE,
        Indicator.PIVOT,
        Indicator.VOLUME_PROFILE,
    }
)
_OF_SESSION: Final = frozenset({Indicator.VWAP, Indicator.OPENING_RANGE, Indicator.PIVOT})
_BAR_PRICES: Final = ("open", "high", "low", "close")


def is_price(name: str) -> bool:
    """Whether the column `name` of a bar is in paise, as `ema_9` and `previous_close` are."""
    base = name.partition("@")[0].removeprefix(PREVIOUS)
    return base in _BAR_PRICES or (
        INDICATOR_OF.get(base) in _PRICE_INDICATORS and base != "supertrend_direction"
    )


def may_be_missing(name: str) -> bool:
    """Whether `name` is unknown on some bars of every day, however long the engine has run.

    So are columns of the session, as VWAP and the opening range. Facts of bars that came from
    history are unknown too.
    """
    base = name.partition("@")[0].removeprefix(PREVIOUS)
    return base in (*BAR_FACTS, *TIME_FACTS) or INDICATOR_OF.get(base) in _OF_SESSION

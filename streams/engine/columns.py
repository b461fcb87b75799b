"""The names of everything a closed bar says: what messages carry and what rules may ask for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from schemas.market import Timeframe


class Study(StrEnum):
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


COLUMNS_OF: Final[dict[Study, tuple[str, ...]]] = {
    Study.SMA: ("sma_20", "sma_50"),
    Study.EMA: ("ema_9", "ema_21", "ema_50", "ema_200"),
    Study.WMA: ("wma_20",),
    Study.RSI: ("rsi_14",),
    Study.MACD: ("macd", "macd_signal", "macd_histogram"),
    Study.ATR: ("atr_14",),
    Study.BOLLINGER: ("bollinger_upper", "bollinger_middle", "bollinger_lower"),
    Study.ADX: ("adx_14", "plus_di_14", "minus_di_14"),
    Study.STOCHASTIC: ("stochastic_k", "stochastic_d"),
    Study.CCI: ("cci_20",),
    Study.WILLIAMS_R: ("williams_r_14",),
    Study.MFI: ("mfi_14",),
    Study.OBV: ("obv",),
    Study.ROC: ("roc_10",),
    Study.DONCHIAN: ("donchian_upper", "donchian_middle", "donchian_lower"),
    Study.KELTNER: ("keltner_upper", "keltner_middle", "keltner_lower"),
    Study.SUPERTREND: ("supertrend", "supertrend_direction"),
    Study.VWAP: ("vwap", "vwap_upper", "vwap_lower"),
    Study.OPENING_RANGE: ("opening_range_high", "opening_range_low"),
    Study.PIVOT: ("pivot", "pivot_r1", "pivot_s1", "pivot_r2", "pivot_s2"),
    Study.VOLUME_PROFILE: ("volume_poc", "value_area_high", "value_area_low"),
}
STUDY_OF: Final = {column: study for study, columns in COLUMNS_OF.items() for column in columns}

PRICES: Final = ("open", "high", "low", "close", "volume")
READINGS: Final = tuple(STUDY_OF)
VALUES: Final = PRICES + READINGS
"""What is kept of every slot's last closed bar, in the order of the kernels' columns."""

FACTS: Final = ("instrument", "timeframe", "start", "end", "ticks", "complete")
"""What else a closed bar has; integers."""

PREVIOUS: Final = "previous_"


def parts_of(column: str) -> tuple[str, bool, Timeframe | None]:
    """A column's value, whether it is that of the bar before, and the longer timeframe it is of (None: the bar's own).

    Raises:
        ValueError: there is no such column.
    """
    name, at, timeframe = column.partition("@")
    value = name.removeprefix(PREVIOUS)
    if value in VALUES and not (at and name != value):
        return value, name != value, Timeframe(timeframe) if at else None
    if column in FACTS[4:]:
        return column, False, None
    raise ValueError(f"no column {column!r}")
